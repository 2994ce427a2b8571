"""Recordings as they lie in a store, and the readers of the log that delete them, on a `World` whose clock is moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from spaces_ctl.media.objects import Objects, StoreUnavailable
from spaces_ctl.media.spool import spool_of
from spaces_ctl.model import SpaceId
from spaces_ctl.service.deletions import Deletion, DeletionReaction, Deletions, What
from spaces_ctl.service.fakes import FakeRecordings
from spaces_ctl.service.media import MediaReaction
from spaces_ctl.service.moderation import ModerationReaction
from spaces_ctl.service.reactor import Reaction, Reactor, Worker
from spaces_ctl.store import deletions as store
from spaces_ctl.store import event_log
from spaces_ctl.store.moderation import READER
from tests.support.worlds import World

PARTS = {
    "replay": ("replay/audio.opus", "replay/hls/main.m3u8", "replay/timeline.json"),
    "clips": ("clips/1/audio.opus", "clips/1/waveform.png", "clips/2/audio.opus"),
    "source": ("source/part-0001.000000.seg", "source/part-0001.000001.seg"),
    "export": ("export/1/spaces.zip",),
}


class Breaking(Objects):
    """Objects in memory whose store can be away."""

    def __init__(self) -> None:
        super().__init__(Objects.memory()._store)
        self.down = False

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        self._answers()
        return await super().list(prefix)

    async def delete(self, prefix: str) -> Any:
        self._answers()
        return await super().delete(prefix)

    def _answers(self) -> None:
        if self.down:
            raise StoreUnavailable("connection refused")


class Keeping:
    """What is kept of the Spaces of a world."""

    def __init__(
        self, world: World, spool: Path, *, objects: Objects | None = None, recordings: FakeRecordings | None = None
    ) -> None:
        self.world = world
        self.spool = spool
        self.objects = objects or Breaking()
        self.recordings = recordings or FakeRecordings(duration_ms=60_000)
        self.rows: Counter[tuple[What, SpaceId]] = Counter()
        """Stand-ins for the tables of captions and keys: how many rows there are."""
        self.order: list[What] = []
        """What went, in order."""
        new_id = world.ids.next
        self.new_id: Callable[[], int] = new_id
        self.reactors = [
            self.reactor("media", MediaReaction(spaces=world.spaces, recordings=self.recordings, clock=world.clock)),
            self.reactor(READER, ModerationReaction(new_id=new_id)),
            self.reactor("deletions", DeletionReaction(new_id=new_id, spaces=world.spaces.get)),
        ]
        self.deletions = Deletions(
            db=world.db,
            clock=world.clock,
            spaces=world.spaces.get,
            objects=self.objects,
            spool=spool,
            recordings=self.recordings,
            rows={what: self._forget(what) for what in (What.CAPTIONS, What.KEY)},
        )

    def reactor(self, name: str, reaction: Reaction) -> Reactor:
        return Reactor(name, reaction, db=self.world.db, clock=self.world.clock, log_after=event_log.read_all)

    def _forget(self, what: What) -> Callable[[sa.Connection, SpaceId], int]:
        def forget(c: sa.Connection, space: SpaceId) -> int:
            gone = self.rows.pop((what, space), 0)
            if gone:
                self.order.append(what)
            return gone

        return forget

    async def fill(self, space: SpaceId, *parts: str) -> None:
        """Recordings as the worker leaves them: all parts, or those that are named."""
        for part in parts or PARTS:
            for name in PARTS[part]:
                await self.objects.put(f"spaces/{space}/{name}", name.encode())
        (spool_of(self.spool, space)).mkdir(exist_ok=True, parents=True)
        (spool_of(self.spool, space) / "part-0001.000002.seg").write_bytes(b"sound")
        self.rows[What.CAPTIONS, space] = 7
        self.rows[What.KEY, space] = 1

    async def settle(self) -> None:
        """Timers that are due ring, readers read, what is due is deleted."""
        await self.world.timers.ring()
        for reactor in self.reactors:
            await reactor.drain()
        await Worker("deletions", self.deletions.step).finish()

    async def wait(self, **wait: float) -> None:
        """Time passes."""
        self.world.clock.advance(**wait)
        await self.settle()

    async def kept(self, space: SpaceId) -> set[str]:
        """The parts of which anything is left anywhere."""
        found = {name.split("/")[2] for name, _ in await Objects.list(self.objects, f"spaces/{space}")}
        if (spool_of(self.spool, space)).exists():
            found.add("spool")
        return found | {what.value for (what, of), left in self.rows.items() if of == space and left}

    async def account(self, space: SpaceId) -> list[Deletion]:
        """Its rows of deletions."""
        rows: list[Deletion] = await self.world.db.read(lambda c: store.of_space(c, space))
        return rows

    async def whys(self, space: SpaceId) -> set[tuple[str, str]]:
        """What was deleted and why, of what is done."""
        return {(one.what.value, one.why.value) for one in await self.account(space) if one.state == "done"}
