"""What becomes of lines of text: checked against the Space as it is now, shown, kept.

Consent is asked for at the last moment, in the same step of the event loop in which a line goes out: what is decided
before (a withdrawal, a mute of captions, a seat that is somebody else's by now) holds for every line after it. Lines
that went out before stay, as the audio does: consent was given when they were said, and they are kept and deleted with
it. Text is never logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from spaces_ctl.captions.messages import Heard
from spaces_ctl.clock import Clock
from spaces_ctl.engine import EngineError
from spaces_ctl.events import Ended
from spaces_ctl.model import AccountId, SpaceId, Status
from spaces_ctl.policy import evolve
from spaces_ctl.policy.replay import ReplayStatus
from spaces_ctl.policy.retention import Retention
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import CaptionTrack
from spaces_ctl.service.space_log import StoreDown, store_down_is_unavailable, store_errors
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.store import captions as store
from spaces_ctl.store.captions import Row
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import StoreError

__all__ = ["CaptionLine", "Captions", "captionable", "kept"]

log = logging.getLogger(__name__)

_MOST_TEXT = 800
"""Characters of a line. A payload of the engine's track has at most 4 KiB."""
_LATE_MS = 15_000
"""How long after the end of a Space its last words may come."""
_MOST_UNSAVED = 10_000
"""Lines that wait for a database that is down, in all Spaces together; further ones are shown and not kept."""
_AGAIN_S = 1.0
_MOST_OPEN = 1_000
"""Lines of a Space that began and did not end."""


class CaptionLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as viewers get it. A later one of the same `n` replaces it; one that is not final and is not followed by
    anything for ten seconds is to be taken off the screen.
    """

    space: SpaceId
    n: int
    """Counts the Space's lines as they began, not without holes."""
    account: AccountId
    seat: int
    start_ms: int
    """Since the Space started."""
    end_ms: int
    text: str
    """Empty: something was said that was not captioned."""
    final: bool


def captionable(state: Space) -> dict[int, int]:
    """Seat -> generation of those whose speech may become text now."""
    if state.status is not Status.LIVE or not state.captions_on:
        return {}
    return {seat.seat: seat.generation for seat in state.stage if seat.account in state.consented}


def kept(state: Space) -> bool:
    """Whether lines of a Space that has ended are kept, for its replay or for review."""
    return state.retention in (Retention.AUDIT, Retention.HELD) or state.replay.status not in (
        ReplayStatus.NONE,
        ReplayStatus.DELETED,
    )


class _Numbers:
    """Which number each line has that is not final yet."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._open: dict[tuple[int, int, int], int] = {}

    def of(self, heard: Heard) -> int:
        key = (heard.seat, heard.generation, heard.line)
        number = self._open.pop(key, None)
        if number is None:
            self._last += 1
            number = self._last
        if not heard.final:
            self._open[key] = number
            while len(self._open) > _MOST_OPEN:
                del self._open[next(iter(self._open))]
        return number


class _Over(NamedTuple):
    """Who might be captioned when a Space ended."""

    accounts: Mapping[tuple[int, int], AccountId]
    """Seat and generation -> account; nobody if nothing is kept."""
    until_ms: int


class Captions:
    """`take` every line in order; `run` writes those that are final."""

    def __init__(
        self, *, db: Database, spaces: Spaces, engine: CaptionTrack, clock: Clock, languages: Sequence[str] = ()
    ) -> None:
        """`languages` (BCP 47) are those of the recogniser; without any there are no captions here."""
        self._db = db
        self._spaces = spaces
        self._engine = engine
        self._clock = clock
        self._languages = tuple(languages)
        self._numbers: dict[SpaceId, _Numbers] = {}
        self._over: dict[SpaceId, _Over] = {}
        self._viewers: defaultdict[SpaceId, list[Callable[[CaptionLine], None]]] = defaultdict(list)
        self._unsaved: list[tuple[SpaceId, Row]] = []
        self._save = asyncio.Event()
        self.refused = 0
        """Lines of somebody who may not be captioned (any more)."""
        self.lost = 0
        """Final lines that were shown and not kept, as the database was down for too long."""

    def language(self, state: Space) -> str | None:
        """In what the Space is captioned; None: not at all. A Space that names no language has the first."""
        if not self._languages:
            return None
        if not state.lang:
            return self._languages[0]
        wanted = state.lang.partition("-")[0].lower()
        return next((one for one in self._languages if one.partition("-")[0].lower() == wanted), None)

    # Lines

    async def take(self, heard: Heard) -> None:
        """Shows a line to those who watch, and keeps it if it is final; or forgets it, if it may not be."""
        numbers = await self._numbers_of(heard.space)
        over = None if heard.space in self._spaces.live else await self._over_of(heard.space)
        if numbers is None:
            return
        # From here to the viewers' queues nothing is awaited.
        account = _speaker(self._spaces.live.get(heard.space), over, heard)
        late = over is not None and over.until_ms < self._clock.now_ms()
        if account is None or late or len(heard.text) > _MOST_TEXT or heard.end_ms < heard.start_ms:
            self.refused += 1
            return
        line = CaptionLine(
            space=heard.space,
            n=numbers.of(heard),
            account=account,
            seat=heard.seat,
            start_ms=max(0, heard.start_ms),
            end_ms=max(0, heard.end_ms),
            text=heard.text,
            final=heard.final,
        )
        if line.final:
            self._keep(line)
        if over is None:
            for tell in list(self._viewers.get(line.space, ())):
                tell(line)
            await self._tell_track(line, heard.generation)

    def watch(self, space: SpaceId, tell: Callable[[CaptionLine], None]) -> Callable[[], None]:
        """Calls `tell` with every line of a Space from now on; it must not wait. Answers what ends that."""
        self._viewers[space].append(tell)

        def end() -> None:
            self._viewers[space].remove(tell)
            if not self._viewers[space]:
                del self._viewers[space]

        return end

    async def recent(self, state: Space, before: int | None, limit: int) -> list[Row]:
        """The newest final lines of a live Space, newest first, of those with a number below `before`.

        Raises ServiceError: `captions.unavailable`, `captions.no_consent`, `state.*`, `store.unavailable`.
        """
        if state.status is not Status.LIVE:
            raise ServiceError(f"state.{state.status.value}")
        if self.language(state) is None:
            raise ServiceError("captions.unavailable")
        if not captionable(state):
            raise ServiceError("captions.no_consent")
        with store_down_is_unavailable(), store_errors():
            return await self._db.read(lambda c: store.recent(c, state.id, before, limit))

    async def all_of(self, space: SpaceId) -> list[Row]:
        """Every line that is kept, by time. Raises ServiceError (`store.unavailable`)."""
        with store_down_is_unavailable(), store_errors():
            return await self._db.read(lambda c: store.of_space(c, space))

    async def ended(self, state: Space) -> None:
        """What is not to be kept goes. Raises ServiceError (`store.unavailable`)."""
        if not kept(state):
            self._unsaved = [(space, row) for space, row in self._unsaved if space != state.id]
            with store_down_is_unavailable(), store_errors():
                await self._db.write(lambda c: store.delete(c, state.id))

    async def run(self) -> None:
        """Writes final lines, for ever; what the database does not take now waits."""
        while True:
            await self._save.wait()
            self._save.clear()
            try:
                await self.flush()
            except Exception as error:
                # Its type only: a database's error quotes what was to be written.
                why = {"lines": len(self._unsaved), "error": type(error).__name__}
                log.warning("captions wait for the database", extra=why)
                await asyncio.sleep(_AGAIN_S)
                self._save.set()

    async def flush(self) -> None:
        """Writes what waits. Raises StoreError."""
        waiting = list(self._unsaved)
        rows: defaultdict[SpaceId, list[Row]] = defaultdict(list)
        for space, row in waiting:
            rows[space].append(row)
        if rows:

            def unit(c: sa.Connection) -> None:
                for space, own in rows.items():
                    store.insert(c, space, own)

            await self._db.write(unit)
            written = set(waiting)
            self._unsaved = [one for one in self._unsaved if one not in written]

    def forget(self) -> None:
        """Drops what is remembered of Spaces that are long over."""
        now_ms = self._clock.now_ms()
        for space in [space for space, over in self._over.items() if over.until_ms < now_ms]:
            del self._over[space]
        for space in [space for space in self._numbers if space not in self._spaces.live and space not in self._over]:
            del self._numbers[space]

    def _keep(self, line: CaptionLine) -> None:
        if len(self._unsaved) >= _MOST_UNSAVED:
            self.lost += 1
            return
        self._unsaved.append((line.space, (line.n, line.account, line.start_ms, line.end_ms, line.text)))
        self._save.set()

    async def _tell_track(self, line: CaptionLine, generation: int) -> None:
        payload = msgspec.json.encode(
            {
                "n": line.n,
                "account": str(line.account),
                "start_ms": line.start_ms,
                "end_ms": line.end_ms,
                "text": line.text,
                "final": line.final,
            }
        )
        try:
            await self._engine.caption(line.space, line.seat, generation, payload)
        except EngineError as error:
            # The seat is somebody else's by now, or its holder has withdrawn: the engine is asked after we looked.
            log.debug("the engine takes no caption: %s", type(error).__name__)

    async def _numbers_of(self, space: SpaceId) -> _Numbers | None:
        numbers = self._numbers.get(space)
        if numbers is None:
            try:
                last = await self._db.read(lambda c: store.last_number(c, space))
            except StoreError:
                return None  # two lines of one number would be worse than none
            unsaved = [row[0] for own, row in self._unsaved if own == space]
            numbers = self._numbers.setdefault(space, _Numbers(max((last, *unsaved))))
        return numbers

    async def _over_of(self, space: SpaceId) -> _Over | None:
        """Of a Space that is not live: who was captionable to its end, from its log."""
        over = self._over.get(space)
        if over is None:
            self.forget()
            try:
                over = await self._look_back(space)
            except (ServiceError, StoreDown):
                return None
            self._over[space] = over
        return over

    async def _look_back(self, space: SpaceId) -> _Over:
        before, ended_ms = Space(id=space), 0
        for recorded in await self._spaces.log.tail(space, 0):
            if isinstance(recorded.event, Ended):
                ended_ms = recorded.at_ms
                break
            before = evolve(before, recorded.event, recorded.at_ms)
        after = await self._spaces.get(space)
        if not ended_ms or not kept(after):
            return _Over({}, self._clock.now_ms() + _LATE_MS)
        seats = captionable(before)
        accounts = {(seat.seat, seat.generation): seat.account for seat in before.stage if seat.seat in seats}
        return _Over(accounts, ended_ms + _LATE_MS)


def _speaker(state: Space | None, over: _Over | None, heard: Heard) -> AccountId | None:
    """Whose line it is, if that person may be captioned."""
    if state is None:
        return None if over is None else over.accounts.get((heard.seat, heard.generation))
    if captionable(state).get(heard.seat) != heard.generation:
        return None
    return next(seat.account for seat in state.stage if seat.seat == heard.seat)
