"""What has to be done again until it is done: programming an engine that did not answer, the journal, counts.

Every round is a plain method, so that tests take it step by step; `run` takes one a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from spaces_ctl.engine import EngineError
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.journal import BlockEntry
from spaces_ctl.service.presence import Presence
from spaces_ctl.service.side_effects import SideEffects
from spaces_ctl.service.spaces import Spaces

__all__ = ["Upkeep", "Watchdog"]

logger = logging.getLogger(__name__)

_ROUND_S = 1.0
_COMPARE_EVERY_MS = 60_000
_FORGET_EVERY_MS = 3_600_000


class Watchdog:
    """Tells whether the control loop is alive: a thread of metrics may ask from outside."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.rounds = 0
        """Rounds of upkeep since the process began."""
        self.last_ms = 0
        """When the last one ended."""
        self.restarts = 0
        """Loops that died and were replaced."""
        self.failures = 0
        """Rounds in which something could not be done."""


class Upkeep:
    """One process's rounds."""

    def __init__(
        self,
        *,
        spaces: Spaces,
        presence: Presence,
        effects: SideEffects,
        record_block: Callable[[BlockEntry], Awaitable[object]],
        watchdog: Watchdog,
        forget: Sequence[Callable[[], Awaitable[object]]] = (),
        round_s: float = _ROUND_S,
    ) -> None:
        """`record_block` writes a journaled block into the graph; `forget` deletes what is over, once an hour."""
        self._spaces = spaces
        self._presence = presence
        self._effects = effects
        self._record_block = record_block
        self._watchdog = watchdog
        self._forget = forget
        self._forgot_ms: int | None = None
        self._round_s = round_s
        self._compared_ms = spaces.clock.now_ms()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(self._round_s)

    async def round(self) -> None:
        """Everything once. What fails is tried again in the next."""
        for work in (self.settle, self.reprogram, self.reconcile, self.flush, self.follow_crowds, self.forget):
            try:
                await work()
            except (ServiceError, EngineError, OSError) as error:
                self._watchdog.failures += 1
                logger.warning("upkeep: %s: %s", work.__name__, error)
            except Exception:
                self._watchdog.failures += 1
                logger.exception("upkeep: %s", work.__name__)
        self._watchdog.rounds += 1
        self._watchdog.last_ms = self._spaces.clock.now_ms()

    async def settle(self) -> None:
        """What was decided while the database was down goes into the log and the graph."""
        await self._effects.record_blocks(self._record_block)
        await self._spaces.settle()

    async def reprogram(self) -> None:
        """Spaces of which the engine may not know the newest."""
        for space in self._spaces.programmer.doubtful:
            await self._spaces.refresh(space)

    async def reconcile(self) -> None:
        """Who is here and who should be: where something was missed, and everywhere once a minute."""
        now_ms = self._spaces.clock.now_ms()
        spaces = set(self._presence.missed)
        if now_ms - self._compared_ms >= _COMPARE_EVERY_MS:
            self._compared_ms = now_ms
            spaces |= self._spaces.live.keys()
        for space in sorted(spaces):
            await self._presence.reconcile(space)

    async def flush(self) -> None:
        """Counts and votes on the `state` track."""
        for space in self._spaces.changed_counts():
            await self._spaces.flush_snapshot(space)

    async def follow_crowds(self) -> None:
        """Who hears the mix."""
        await self._spaces.follow_crowds()

    async def forget(self) -> None:
        """What is over: sessions, tokens, keys, links; at the start and once an hour."""
        now_ms = self._spaces.clock.now_ms()
        if self._forgot_ms is None or now_ms - self._forgot_ms >= _FORGET_EVERY_MS:
            for one in self._forget:
                await one()
            self._forgot_ms = now_ms
