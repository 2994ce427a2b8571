"""Brings the engine to what the log says: whole values, in an order in which nobody is let in who should be out.

The log is the truth and the engine a copy of it. Whatever goes wrong on the way, the remedy is the same: forget what
the engine was told and tell it everything again with higher versions.

A version is `lease epoch << 40 | n`: `n` counts up in the process that holds the lease, and a later holder's epoch is
greater, so that nothing which an earlier holder still has on its way can undo what a later one said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from spaces_ctl.engine import (
    Command,
    EndSpace,
    EngineError,
    EnginePanic,
    EngineTimeout,
    SetState,
    SpaceEnded,
    StaleVersion,
    UnknownSpace,
)
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import MediaEngine
from spaces_ctl.service.tables import AclKey, Tables, set_acl, set_state

__all__ = ["EPOCH_SHIFT", "Programmer"]

EPOCH_SHIFT = 40
_ATTEMPTS = 3


@dataclass(slots=True)
class _Known:
    """What the engine was told of a Space."""

    tables: Tables | None = None
    """None: not known, so everything has to be told."""
    sent: set[AclKey] = field(default_factory=set)
    """Sets that may have members in the engine."""
    stale_snapshot: bool = False


class Programmer:
    """One engine's tables. Calls for one Space must not overlap: `Spaces` holds the Space's lock."""

    def __init__(self, engine: MediaEngine, epoch: int) -> None:
        """`epoch` is that of this process's lease on the engine; 0 to 2^22 - 1. Raises ValueError."""
        if not 0 <= epoch < 1 << 22:
            raise ValueError(f"lease epoch {epoch} does not fit")
        self._engine = engine
        self._epoch = epoch
        self._n = 0
        self._known: dict[SpaceId, _Known] = {}
        self._retry: set[SpaceId] = set()

    @property
    def epoch(self) -> int:
        """Of the lease."""
        return self._epoch

    @property
    def doubtful(self) -> frozenset[SpaceId]:
        """Spaces whose tables in the engine may differ from the log's: to be programmed again."""
        return frozenset(self._retry)

    @property
    def stale_snapshots(self) -> frozenset[SpaceId]:
        """Spaces of which only counts have changed since the last snapshot."""
        return frozenset(space for space, known in self._known.items() if known.stale_snapshot)

    def doubt(self, space: SpaceId) -> None:
        """The engine may not know the newest: the next programming tells it everything."""
        self._known.setdefault(space, _Known()).tables = None
        self._retry.add(space)

    async def program(self, space: SpaceId, want: Tables | None, *, ended: bool = False) -> int | None:
        """Tells the engine what changed and returns the fence group, None if nothing had to be said.

        `want` None and not `ended`: the Space is not live yet and the engine knows nothing of it. Raises ServiceError
        (`engine.unavailable`): the engine may have taken a part; the Space is `doubtful` until it is programmed again.
        """
        if want is None and not ended:
            return None
        known = self._known.setdefault(space, _Known())
        for attempt in range(_ATTEMPTS):
            try:
                if want is None:
                    return await self._end(space)
                fence = await self._send(space, known, want)
            except SpaceEnded:
                # Its people are out, and stay out: what there is left to say of it is for nobody.
                self._over(space)
                return None
            except StaleVersion as stale:
                self._doubt_after(space, stale.have)
            except (EnginePanic, EngineTimeout, UnknownSpace) as error:
                self.doubt(space)
                if attempt == _ATTEMPTS - 1 or isinstance(error, EnginePanic):
                    raise ServiceError("engine.unavailable") from error
            except (EngineError, OSError) as error:
                self.doubt(space)
                raise ServiceError("engine.unavailable") from error
            except BaseException:
                self.doubt(space)
                raise
            else:
                self._retry.discard(space)
                return fence
        raise ServiceError("engine.unavailable")

    async def flush_snapshot(self, space: SpaceId, want: Tables | None) -> None:
        """Tells the snapshot if it says anything new: for counts, at a pace that the caller chooses."""
        known = self._known.get(space)
        if known is None or known.tables is None or want is None:
            return
        known.stale_snapshot = False
        if known.tables.snapshot != want.snapshot:
            await self._engine.apply(set_state(space, want.snapshot, self._version()))
            known.tables = replace(known.tables, snapshot=want.snapshot, essence=want.essence)

    def owners_before(self, space: SpaceId, owners: Iterable[AccountId]) -> None:
        """Whose block lists an engine that has outlived its control loop may still have."""
        self._known.setdefault(space, _Known()).sent.update(("deny", owner) for owner in owners)

    def boot(
        self, spaces: Mapping[SpaceId, Tables], *, attached: bool, ended: Iterable[SpaceId] = ()
    ) -> list[tuple[SpaceId, Command]]:
        """All that the engine has to know, for `Engine.apply_all`; from then on it is known here.

        A new engine gets each Space closed first, so that nobody comes in before its sets are there. An engine that has
        people in it is told what is different only by the result, and what is over (`ended`).
        """
        commands: list[tuple[SpaceId, Command]] = [
            (space, EndSpace(space=space, version=self._version())) for space in ended
        ]
        for space, want in spaces.items():
            known = self._known.setdefault(space, _Known())
            if not attached:
                known.sent.clear()
                commands.append((space, self._closed(want)))
            commands += ((space, command) for command in self._commands(space, known, None, want))
            known.tables = want
        return commands

    def _closed(self, want: Tables) -> Command:
        return replace(want.space, live=False, stage=(), version=self._version())

    def _version(self) -> int:
        self._n += 1
        return self._epoch << EPOCH_SHIFT | self._n

    def _doubt_after(self, space: SpaceId, have: int) -> None:
        """A call of ours whose answer was lost was carried out after all; or we are not the holder any more."""
        self.doubt(space)
        if have >> EPOCH_SHIFT > self._epoch:
            raise ServiceError("engine.unavailable", "another process holds this engine's lease")
        self._n = max(self._n, have & ((1 << EPOCH_SHIFT) - 1))

    async def _end(self, space: SpaceId) -> int | None:
        try:
            applied = await self._engine.apply(EndSpace(space=space, version=self._version()))
        except UnknownSpace:
            self._over(space)
            return None
        self._over(space)
        return applied.fence_group

    def _over(self, space: SpaceId) -> None:
        self._known.pop(space, None)
        self._retry.discard(space)

    async def _send(self, space: SpaceId, known: _Known, want: Tables) -> int | None:
        fence: int | None = None
        have, known.tables = known.tables, None
        try:
            for command in self._commands(space, known, have, want):
                applied = await self._engine.apply(command)
                if not isinstance(command, SetState):  # which silences nobody
                    fence = applied.fence_group
        except UnknownSpace:
            if have is not None:
                raise
            # It is new. Nobody may enter before all of its sets are there.
            await self._engine.apply(self._closed(want))
            for command in self._commands(space, known, None, want):
                fence = (await self._engine.apply(command)).fence_group
        keep_snapshot = have is not None and have.essence == want.essence
        known.tables = replace(want, snapshot=have.snapshot) if have is not None and keep_snapshot else want
        known.stale_snapshot = known.tables.snapshot != want.snapshot
        return fence

    def _commands(self, space: SpaceId, known: _Known, have: Tables | None, want: Tables) -> Iterator[Command]:
        """Sets that may keep somebody out, then the stage, then sets that let somebody in again."""
        before: Mapping[AclKey, frozenset[int]] = {} if have is None else have.acls
        # Told even if empty when nothing is known: an engine that does not know the Space refuses the first of them.
        keys = {*want.acls, ("bar", 0), ("allow", 0), ("watch", 0)} if have is None else {*want.acls}
        for key in sorted(keys):
            members = want.acls.get(key, frozenset())
            old = before.get(key)
            if have is None or (old is not members and old != members):
                known.sent.add(key)
                yield set_acl(space, key, members, self._version())
                if not members:
                    known.sent.discard(key)
        if have is None or have.space != want.space:
            yield replace(want.space, version=self._version())
        for key in sorted(known.sent - keys):
            yield set_acl(space, key, frozenset(), self._version())
            known.sent.discard(key)
        if have is None or have.essence != want.essence:
            yield set_state(space, want.snapshot, self._version())
