"""Keeps the captions process told: which Spaces to follow, and who may be captioned there. A reader of the bus.

What is told here may come a moment late: the engine passes on no sound, and `service.captions` no text, of somebody who
has withdrawn. It keeps the process from listening to silence, and makes it forget what it had heard.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

from spaces_ctl.captions.messages import Allow, Follow, FromServer, Leave, Lost
from spaces_ctl.captions.messages import Heard as HeardLine
from spaces_ctl.engine import EngineError, space_name
from spaces_ctl.events import Ended
from spaces_ctl.model import SpaceId
from spaces_ctl.service.captions import Captions, captionable
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import EventBus
from spaces_ctl.service.spaces import Spaces

__all__ = ["Captioning", "Door", "Process"]

log = logging.getLogger(__name__)

_AGAIN_S = 1.0
_RESUBSCRIBE_S = 0.1


class Door(NamedTuple):
    """How the process gets in: the engine's address, what to pin, and a token for a service."""

    address: str
    """host:port."""
    certificate_sha256: bytes | None
    token: str


class Process(Protocol):
    """The captions process, or the next one if it died."""

    def send(self, message: FromServer) -> None:
        """Hands a message over; lost if the process is down: `Captioning.resume` is called when one has come up."""
        ...


class Captioning:
    """`run` follows the bus; `hear` takes what the process says; `resume` when a process has come up."""

    def __init__(
        self, *, captions: Captions, spaces: Spaces, bus: EventBus, process: Process, door: Callable[[], Door]
    ) -> None:
        """`door` is asked before every connection: certificates and tokens change."""
        self._captions = captions
        self._spaces = spaces
        self._bus = bus
        self._process = process
        self._door = door
        self._followed: dict[SpaceId, dict[int, int]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            async with self._bus.subscribe() as events:
                for space in {*self._spaces.live, *self._followed}:
                    self._safely(space)
                async for recorded in events:
                    self._safely(recorded.space)
                    if isinstance(recorded.event, Ended):
                        await self._ended(recorded.space)
            # We were too slow for the bus, or it is being closed.
            await asyncio.sleep(_RESUBSCRIBE_S)

    def resume(self) -> None:
        """Everything from the beginning, to a process that knows nothing."""
        self._followed.clear()
        for space in self._spaces.live:
            self._safely(space)

    async def hear(self, message: HeardLine | Lost) -> None:
        """Something that the process says."""
        match message:
            case Lost():
                log.info("the captions' connection to a Space ended: %s", message.why)
                asyncio.get_running_loop().call_later(_AGAIN_S, self._again, message.space)
            case HeardLine():
                await self._captions.take(message)

    def _look(self, space: SpaceId) -> None:
        """Tells the process what is different now."""
        state = self._spaces.live.get(space)
        language = None if state is None else self._captions.language(state)
        seats = captionable(state) if state is not None and language is not None else {}
        followed = self._followed.get(space)
        if not seats:
            if followed is not None:
                del self._followed[space]
                self._process.send(Leave(space=space, finish=state is None))
        elif followed is None:
            assert language is not None
            door = self._door()
            self._process.send(
                Follow(
                    space=space,
                    url=f"https://{door.address}/spaces/{space_name(space)}",
                    token=door.token,
                    certificate_sha256=door.certificate_sha256,
                    language=language,
                    seats=seats,
                )
            )
        elif followed != seats:
            self._process.send(Allow(space=space, seats=seats))
        if seats:
            self._followed[space] = seats

    def _again(self, space: SpaceId) -> None:
        if self._followed.pop(space, None) is not None:
            self._safely(space)

    def _safely(self, space: SpaceId) -> None:
        try:
            self._look(space)
        except EngineError as error:
            # It is being stopped, or has failed: what follows from that is not for us to say.
            log.warning("captions of a Space do not begin: %s", type(error).__name__)

    async def _ended(self, space: SpaceId) -> None:
        try:
            await self._captions.ended(await self._spaces.get(space))
        except ServiceError as error:
            log.warning("captions of a Space that are not to be kept are still there: %s", error.code)
