"""Stand-ins for tests: an engine in memory that keeps the real one's rules, recordings that are only lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from spaces_ctl.engine import (
    Applied,
    Command,
    Counts,
    EndSpace,
    EngineError,
    Event,
    InvalidTable,
    Joined,
    Left,
    Reactions,
    Refused,
    Roster,
    SetAcl,
    SetRevoked,
    SetState,
    SpaceEnded,
    StageRow,
    StaleVersion,
    UnknownSpace,
    UpsertSpace,
)
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.service.tables import AclKey

__all__ = ["FakeEngine", "FakeRecordings"]


@dataclass(slots=True)
class _Room:
    table: UpsertSpace
    acls: dict[AclKey, frozenset[AccountId]] = field(default_factory=dict)
    versions: dict[AclKey, int] = field(default_factory=dict)
    state: SetState | None = None
    sessions: dict[int, tuple[AccountId | None, bool]] = field(default_factory=dict)
    """sid → account, anonymous."""


class FakeEngine:
    """A `MediaEngine` without media: refuses stale versions and closes whoever may not stay, as the real one does."""

    def __init__(self) -> None:
        """Knows no Space."""
        self.applied: list[Command] = []
        """What was carried out, in order."""
        self.before: Callable[[Command], None] = lambda command: None
        """Called before a command is carried out; raises what the engine should raise."""
        self.after: Callable[[Command], None] = lambda command: None
        """Called after it was carried out, before the answer."""
        self.closed_for: list[tuple[SpaceId, AccountId | None, str]] = []
        """Whom the engine put out, and the reason's code."""
        self.captions: list[tuple[SpaceId, bytes]] = []
        """What went out on the `captions` tracks."""
        self._rooms: dict[SpaceId, _Room] = {}
        self._ended: set[SpaceId] = set()
        self._revoked = SetRevoked(version=-1)
        self._group = 0
        self._events: list[Event] = []
        self._told = asyncio.Event()

    # The engine's face

    async def apply(self, command: Command) -> Applied:
        """Carries a command out. Raises StaleVersion, UnknownSpace, SpaceEnded, InvalidTable."""
        await asyncio.sleep(0)
        self.before(command)
        self._carry_out(command)
        self.applied.append(command)
        self.after(command)
        return Applied(self._fence())

    async def apply_all(self, commands: Iterable[Command]) -> list[Applied | EngineError]:
        """Carries out many, one answer each."""
        answers: list[Applied | EngineError] = []
        for command in commands:
            try:
                answers.append(await self.apply(command))
            except EngineError as error:
                answers.append(error)
        return answers

    async def present(self, space: SpaceId, accounts: Iterable[AccountId], *, unnamed: bool = False) -> set[AccountId]:
        """Which of these are connected by name (`unnamed`: anonymously)."""
        here = {account for account, anonymous in self._sessions(space).values() if anonymous is unnamed}
        return {account for account in accounts if account in here}

    async def roster(self, space: SpaceId, *, after: AccountId = 0, limit: int = 100) -> Roster:
        """A page of those who are connected by name."""
        sids = {
            account: sid for sid, (account, anonymous) in self._sessions(space).items() if account and not anonymous
        }
        later = sorted((account, sid) for account, sid in sids.items() if account > after)
        return Roster(later[:limit], later[limit - 1][0] if len(later) > limit else None)

    async def react(self, space: SpaceId, account: AccountId, index: int) -> None:
        """Told at once, one by one. Raises Refused."""
        if account not in await self.present(space, [account]):
            error = Refused("not here")
            error.code = "participant.not_in_space"
            raise error
        self.tell(Reactions(0, space, (*(0,) * index, 1)))

    async def kick(self, space: SpaceId, account: AccountId) -> Applied:
        """Closes the account's sessions."""
        self._known(space)
        self._close(space, lambda who, anonymous: "participant.removed" if who == account else None)
        return Applied(self._fence())

    async def counts(self, space: SpaceId) -> Counts | None:
        """People connected."""
        room = self._rooms.get(space)
        if room is None:
            return None
        people = list(room.sessions.values())
        named = sum(1 for account, anonymous in people if account is not None and not anonymous)
        unnamed = sum(1 for _, anonymous in people if anonymous)
        guests = len(people) - named - unnamed
        return Counts(0, space, named, unnamed, guests, len(people))

    async def caption(self, space: SpaceId, seat: int, generation: int, payload: bytes) -> None:
        """A line on the track. Raises Refused unless the seat's captions are allowed."""
        await asyncio.sleep(0)
        row = next((row for row in self._known(space).table.stage if row.seat == seat), None)
        if row is None or row.generation != generation or not row.caption:
            error = Refused("no captions of this seat")
            error.code = "captions.no_consent"
            raise error
        self.captions.append((space, payload))

    async def events(self) -> AsyncIterator[list[Event]]:
        """Batches, for ever."""
        while True:
            await self._told.wait()
            self._told.clear()
            if batch := self.take_events():
                yield batch

    def forget(self, space: SpaceId) -> None:
        """Knows nothing of the Space any more."""
        self._rooms.pop(space, None)

    def take_events(self) -> list[Event]:
        """What waits to be told, for tests that go step by step."""
        batch, self._events = self._events, []
        return batch

    # People

    def connect(self, space: SpaceId, account: AccountId | None, sid: int, *, anonymous: bool = False) -> str | None:
        """Somebody connects; the code of the refusal, or None."""
        if space in self._ended:
            return "state.ended"
        room = self._rooms.get(space)
        if room is None:
            return "space.not_found"
        if refusal := self._refusal(room, account, sid):
            return refusal
        room.sessions[sid] = (account, anonymous)
        if account is not None and not anonymous and self._watched(room, account):
            self.tell(Joined(0, space, account, sid))
        return None

    def disconnect(self, space: SpaceId, sid: int, *, lost: bool = True) -> None:
        """A connection ends."""
        room = self._rooms[space]
        account, anonymous = room.sessions.pop(sid)
        if account is not None and not anonymous and self._watched(room, account):
            self.tell(Left(0, space, account, sid, lost))

    def heard(self, space: SpaceId, account: AccountId) -> bool:
        """Whether frames of the account reach listeners."""
        room = self._rooms.get(space)
        if room is None or not room.table.live or (account, False) not in room.sessions.values():
            return False
        row = next((row for row in room.table.stage if row.account == account), None)
        return row is not None and not row.muted and (room.table.mic_open or row.role != "speaker")

    def tell(self, event: Event) -> None:
        """Puts an event into the queue."""
        self._events.append(event)
        self._told.set()

    # What tests look at

    @property
    def spaces(self) -> Mapping[SpaceId, UpsertSpace]:
        """Tables in force, version 0."""
        return {space: replace(room.table, version=0) for space, room in self._rooms.items()}

    def acls(self, space: SpaceId) -> dict[AclKey, frozenset[AccountId]]:
        """Sets that have members."""
        return {key: members for key, members in self._rooms[space].acls.items() if members}

    def snapshot(self, space: SpaceId) -> bytes:
        """What the `state` track says."""
        state = self._rooms[space].state
        return b"" if state is None else bytes(state.snapshot)

    def _carry_out(self, command: Command) -> None:
        match command:
            case UpsertSpace():
                self._upsert(command)
            case SetAcl():
                key = (command.kind, command.owner)
                room = self._known(command.space)
                members = frozenset(command.accounts)
                self._newer(room.versions.get(key), command.version, room.acls.get(key) == members)
                room.acls[key] = members
                room.versions[key] = command.version
                self._enforce(command.space)
            case SetState():
                room = self._known(command.space)
                if len(command.snapshot) > 64 * 1024:
                    raise InvalidTable("the state is too large")
                if room.state is not None:
                    self._newer(room.state.version, command.version, room.state.snapshot == command.snapshot)
                room.state = command
            case SetRevoked():
                self._newer(self._revoked.version, command.version, same=False)
                self._revoked = replace(command, sids=frozenset(command.sids))
                for space in self._rooms:
                    self._enforce(space)
            case EndSpace():
                if command.space in self._ended:
                    return
                room = self._known(command.space)
                if command.version <= room.table.version:
                    raise _stale(room.table.version, command.version)
                self._close(command.space, lambda account, anonymous: "state.ended")
                del self._rooms[command.space]
                self._ended.add(command.space)

    def _upsert(self, command: UpsertSpace) -> None:
        if command.space in self._ended:
            raise SpaceEnded("the Space has ended")
        stage = tuple(command.stage)
        seats = {row.seat for row in stage}
        if not len(stage) == len(seats) == len({row.account for row in stage}) <= 13 or seats - set(range(13)):
            raise InvalidTable("a seat or an account twice")
        room = self._rooms.get(command.space)
        if room is None:
            self._rooms[command.space] = _Room(command)
            return
        self._newer(room.table.version, command.version, replace(room.table, version=command.version) == command)
        room.table = command
        self._enforce(command.space)

    def _enforce(self, space: SpaceId) -> None:
        room = self._rooms[space]
        by_sid = dict(room.sessions)
        for sid, (account, _) in by_sid.items():
            if refusal := self._refusal(room, account, sid):
                del room.sessions[sid]
                self.closed_for.append((space, account, refusal))

    def _refusal(self, room: _Room, account: AccountId | None, sid: int) -> str | None:
        if not room.table.live:
            return "state.scheduled"
        if sid in set(self._revoked.sids):
            return "auth.session_revoked"
        if account is None:
            return "ticket.required" if room.table.ticketed else None
        kinds = {kind for (kind, _), members in room.acls.items() if account in members}
        if "bar" in kinds:
            return "participant.removed"
        if "deny" in kinds:
            return "participant.blocked_by_host"
        on_stage = any(row.account == account for row in room.table.stage)
        return "ticket.required" if room.table.ticketed and "allow" not in kinds and not on_stage else None

    def _close(self, space: SpaceId, why: Callable[[AccountId | None, bool], str | None]) -> None:
        room = self._rooms[space]
        for sid, (account, anonymous) in list(room.sessions.items()):
            if code := why(account, anonymous):
                del room.sessions[sid]
                self.closed_for.append((space, account, code))

    def _sessions(self, space: SpaceId) -> dict[int, tuple[AccountId | None, bool]]:
        return self._rooms[space].sessions if space in self._rooms else {}

    def _watched(self, room: _Room, account: AccountId) -> bool:
        rows: Sequence[StageRow] = room.table.stage
        return any(row.account == account for row in rows) or account in room.acls.get(("watch", 0), ())

    def _known(self, space: SpaceId) -> _Room:
        if space in self._ended:
            raise SpaceEnded("the Space has ended")
        if space not in self._rooms:
            raise UnknownSpace("no such Space")
        return self._rooms[space]

    def _newer(self, have: int | None, got: int, same: bool) -> None:
        if have is not None and (got < have or (got == have and not same)):
            raise _stale(have, got)

    def _fence(self) -> int:
        self._group += 1
        return self._group


def _stale(have: int, got: int) -> StaleVersion:
    error = StaleVersion(f"stale version {got}, have {have}")
    error.have, error.got = have, got
    return error


class FakeRecordings:
    """Remembers what was asked of it."""

    def __init__(self, duration_ms: int = 60_000) -> None:
        """Every recording is `duration_ms` long."""
        self.duration_ms = duration_ms
        self.calls: list[tuple[str, SpaceId, int]] = []
        """Name, Space, clip (0: none)."""
        self.previewed = (0, 0)
        """The last preview's stretch."""

    async def follow(self, space: SpaceId) -> None:
        """The Space is live."""
        self.calls.append(("follow", space, 0))

    async def finalize(self, space: SpaceId) -> int:
        """Makes the replay available."""
        self.calls.append(("finalize", space, 0))
        return self.duration_ms

    async def cut(self, space: SpaceId, clip: int, start_ms: int, end_ms: int, *, last_try: bool = False) -> None:
        """Makes a clip's audio."""
        self.calls.append(("cut", space, clip))

    async def film(self, space: SpaceId, clip: int) -> None:
        """Makes a clip's videos."""
        self.calls.append(("film", space, clip))

    async def preview(self, space: SpaceId, start_ms: int, end_ms: int) -> bytes:
        """No sound."""
        self.calls.append(("preview", space, 0))
        self.previewed = (start_ms, end_ms)
        return b"OggS"

    async def complete(self, space: SpaceId) -> None:
        """Makes the rest."""
        self.calls.append(("complete", space, 0))

    async def trim(self, space: SpaceId, start_ms: int) -> None:
        """Begins later."""
        self.calls.append(("trim", space, 0))

    async def delete_clip(self, space: SpaceId, clip: int) -> None:
        """Deletes a clip's audio."""
        self.calls.append(("delete_clip", space, clip))

    async def delete_replay(self, space: SpaceId) -> None:
        """Takes the public copy away."""
        self.calls.append(("delete_replay", space, 0))

    async def purge(self, space: SpaceId) -> None:
        """Deletes everything."""
        self.calls.append(("purge", space, 0))
