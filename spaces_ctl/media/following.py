"""Follows what the engine writes of a Space: every finished file goes to the store, and into a public replay.

A file stays in the spool for two minutes, from which live clips are cut, and until it is in the store. Where neither a
replay nor a review copy is to be, the spool is all there is. Nothing is remembered here that the spool and the store do
not say: another worker, or the same after a restart, goes on where this one was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from spaces_ctl.media.archive import LATE_GROUPS
from spaces_ctl.media.layout import SourceName, replay_prefix, source_prefix
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.requests import Done, Follow, Forget, Plan
from spaces_ctl.media.sealing import seal
from spaces_ctl.media.spool import Entry
from spaces_ctl.segments import TICK_MS, Contents

if TYPE_CHECKING:
    from spaces_ctl.media.packaging import ReplaySummary
    from spaces_ctl.media.worker import Worker

__all__ = ["Follower", "NewPackager", "Packaging", "follow", "forget"]

_log = logging.getLogger(__name__)
_LOOK_S = 1.0
_LONGEST_PAUSE_S = 60.0


class Packaging(Protocol):
    """Makes a replay: `packaging.Packager`."""

    async def add(self, contents: Contents) -> None:
        """The next file of the log."""
        ...

    async def finish(self, end_group: int) -> ReplaySummary:
        """No more follow."""
        ...


class NewPackager(Protocol):
    """`packaging.Packager`."""

    def __call__(self, objects: Objects, prefix: str, *, first_group: int) -> Packaging:
        """Below `prefix`."""
        ...


class Follower:
    """One Space. Call order: `start`; `plan` may change; `stop`, or `finalizing` takes it over after `stop`."""

    def __init__(self, worker: Worker, space: int, plan: Plan) -> None:
        self.space = space
        self.plan = plan
        self.final = False
        """The recorder has said that nothing follows."""
        self.end_group = 0
        """The group after the last one that was recorded."""
        self.already_packaged = False
        """The replay is complete."""
        self._worker = worker
        self._stored: dict[tuple[int, int], SourceName] | None = None
        """What the store has; None: it was not asked yet."""
        self._done: dict[tuple[int, int], int] = {}
        """Files that are dealt with, and the group after their last."""
        self._started_at_ms: int | None = None
        self._packager: Packaging | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follows until `stop`."""
        self._task = asyncio.create_task(self._run(), name=f"follow {self.space}")

    async def stop(self) -> None:
        """Wherever it is."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def keep_from_now_on(self) -> None:
        """What is still in the spool is kept, too: somebody has reported what they heard a moment ago."""
        self._done = {key: end for key, end in self._done.items() if key in (self._stored or {})}

    async def take(self, *, all_of_it: bool = False) -> None:
        """Deals with every finished file that is new; `all_of_it`: with those, too, that nobody has finished."""
        await self._catch_up()
        entries = self._worker.spool.entries(self.space)
        new = [entry for entry in entries if entry.key not in self._done and (entry.settled or all_of_it)]
        for entry in new:
            await self._deal_with(entry)
        self._prune(entries)

    def waiting(self) -> tuple[int, int]:
        """Finished files that are not dealt with yet, and how much later than the last one that is it is now (ms)."""
        files = sum(entry.settled and entry.key not in self._done for entry in self._worker.spool.entries(self.space))
        return files, max(0, self._now_group() - self.end_group) * TICK_MS if files else 0

    @property
    def packager(self) -> Packaging:
        """Of the replay."""
        if self._packager is None:
            self._packager = self._worker.new_packager(
                self._worker.patient, replay_prefix(self.space), first_group=self.plan.first_group
            )
        return self._packager

    async def _run(self) -> None:
        pause_s = _LOOK_S
        while True:
            try:
                await self.take()
                pause_s = _LOOK_S
            except Exception:
                _log.exception("following %d: beginning anew", self.space)
                # What the packager has taken of the file that failed, nobody knows.
                self._stored, self._packager, self._done = None, None, {}
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            await self._worker.sleep(pause_s)

    async def _catch_up(self) -> None:
        """What an earlier worker put into the store goes into the replay, too."""
        if self._stored is not None:
            return
        worker = self._worker
        found = [SourceName.parse(path) for path, _ in await worker.patient.list(source_prefix(self.space))]
        stored = {(name.part, name.sequence): name for name in found if name is not None}
        if self._packages:
            for name in stored.values():
                await self._package(worker.spool.read(await worker.patient_archive.source(self.space, name)))
        for key, name in stored.items():
            self._done[key] = name.end_group
            self.end_group = max(self.end_group, name.end_group)
        self._stored = stored

    async def _deal_with(self, entry: Entry) -> None:
        worker = self._worker
        data = worker.spool.load(entry)
        if data is None:
            return
        try:
            contents = worker.spool.read(data)
        except ValueError as error:
            _log.error("a file of the recording of %d is unreadable: %s: %s", self.space, entry.path.name, error)
            self._done[entry.key] = 0
            return
        end_group = contents.last_group + 1
        self._started_at_ms = contents.started_at_ms
        if self._keeps(end_group):
            name = SourceName(contents.part, contents.sequence, contents.first_group, end_group)
            path = name.under(self.space)
            await worker.patient.put(path, seal(worker.keys.of(self.space), path, data))
            if self._stored is not None:
                self._stored[entry.key] = name
        if self._packages:
            await self._package(contents)
        self._done[entry.key] = end_group
        self.end_group = max(self.end_group, end_group)
        self.final = contents.final

    async def _package(self, contents: Contents) -> None:
        public = before(contents, self.plan.stop_group)
        if public is not None:
            await self.packager.add(public)

    @property
    def _packages(self) -> bool:
        return self.plan.public and not self.already_packaged

    def _keeps(self, end_group: int) -> bool:
        plan = self.plan
        return plan.keep and (plan.review or plan.stop_group is None or end_group <= plan.stop_group)

    def _prune(self, entries: list[Entry]) -> None:
        """Old files go. What says nothing, and what cannot be read, goes with the Space."""
        oldest = self._now_group() - self._worker.settings.spool_ms // TICK_MS
        # The newest stays: from it a recorder that begins anew knows which part comes next.
        for entry in entries if self.final and not self.plan.keep else entries[:-1]:
            if 0 < self._done.get(entry.key, 0) <= oldest:
                self._worker.spool.remove(entry)
                if not self.plan.keep:
                    # The recorder may begin with the same number again when it finds none of its files.
                    del self._done[entry.key]

    def _now_group(self) -> int:
        if self._started_at_ms is None:
            return 0
        return (self._worker.clock.now_ms() - self._started_at_ms) // TICK_MS


def before(contents: Contents, stop_group: int | None) -> Contents | None:
    """What of it was recorded before `stop_group`; None if nothing was."""
    if stop_group is None or contents.last_group < stop_group:
        return contents
    if contents.first_group >= stop_group + LATE_GROUPS:
        return None
    return replace(
        contents,
        first_group=min(contents.first_group, stop_group),
        last_group=stop_group - 1,
        mix=[packet for packet in contents.mix if packet.group + packet.ticks <= stop_group],
        frames=[frame for frame in contents.frames if frame.group < stop_group],
        seats=[given for given in contents.seats if given.group < stop_group],
        gaps=[gap for gap in contents.gaps if gap.from_group < stop_group],
    )


async def follow(worker: Worker, request: Follow) -> Done:
    """Begins to follow, or goes on with another plan."""
    follower = worker.followers.get(request.space)
    if follower is None:
        follower = worker.followers[request.space] = Follower(worker, request.space, request.plan)
        follower.start()
    if request.plan.keep and not follower.plan.keep:
        follower.keep_from_now_on()
    follower.plan = request.plan
    return Done()


async def forget(worker: Worker, request: Forget) -> Done:
    """Follows no more; nothing is left in the spool."""
    await worker.interrupt(request.space)
    follower = worker.followers.pop(request.space, None)
    if follower is not None:
        await follower.stop()
    worker.spool.clear(request.space)
    worker.keys.forget(request.space)
    return Done()
