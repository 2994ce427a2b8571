"""What is kept of recordings, handed out of them and deleted, put together: services, readers of the log, workers.

retention = Retention.build(...)
injected = retention.injected()      # for the API's handlers, by name
await retention.run(bus)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.media.objects import Objects
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.service.deletions import DeletionReaction, Deletions, What
from spaces_ctl.service.exports import ExportReaction, Exports
from spaces_ctl.service.media_asker import MediaAsker
from spaces_ctl.service.moderation import Moderation
from spaces_ctl.service.ports import EventBus, Profile, Recordings
from spaces_ctl.service.reactor import Reaction, Reactor, Worker
from spaces_ctl.service.reviews import Reviews
from spaces_ctl.service.signed_links import SignedLinks
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.store import captions, event_log, recordings
from spaces_ctl.store.database import Database
from spaces_ctl.store.notifications import Notice

__all__ = ["Retention"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """One process's."""

    deletions: Deletions
    exports: Exports
    reviews: Reviews
    links: SignedLinks
    objects: Objects
    reactors: Sequence[Reactor]
    workers: Sequence[Worker]

    @classmethod
    def build(
        cls,
        *,
        db: Database,
        clock: Clock,
        new_id: Callable[[], int],
        spaces: Spaces,
        moderation: Moderation,
        profiles: Callable[[Iterable[AccountId]], Awaitable[dict[AccountId, Profile]]],
        tell: Callable[[Sequence[AccountId], Notice], Awaitable[None]],
        objects: Objects,
        spool: Path | None,
        made_by: Recordings | None,
        worker: MediaAsker,
        space_name: Callable[[SpaceId], str],
        link_key: bytes,
    ) -> Self:
        """Makes everything; nothing runs yet. `made_by` lets go of what is to be deleted, `tell` sends a notification,
        `link_key` signs links.
        """
        common: dict[str, Any] = {"db": db, "clock": clock}
        worked: dict[str, Any] = {
            **common,
            "new_id": new_id,
            "spaces": spaces.get,
            "worker": worker,
            "key_of": recordings.key,
        }
        deletions = Deletions(
            **common,
            spaces=spaces.get,
            objects=objects,
            spool=spool,
            recordings=made_by,
            rows={What.CAPTIONS: captions.delete, What.KEY: recordings.drop_key},
        )
        exports = Exports(**worked, profiles=profiles, gain_of=_gain_of, space_name=space_name, tell=tell)
        deleting, exporting = Worker("deletions", deletions.step), Worker("exports", exports.step)

        def reactor(name: str, reaction: Reaction, worker: Worker) -> Reactor:
            return Reactor(name, reaction, **common, log_after=event_log.read_all, done=worker.wake)

        return cls(
            deletions=deletions,
            exports=exports,
            reviews=Reviews(**worked, moderation=moderation),
            links=SignedLinks(link_key, clock),
            objects=objects,
            reactors=(
                reactor("deletions", DeletionReaction(new_id=new_id, spaces=spaces.get), deleting),
                reactor("exports", ExportReaction(new_id=new_id, spaces=spaces.get), exporting),
            ),
            workers=(exporting, deleting),
        )

    def injected(self) -> dict[str, Any]:
        """Services by the names under which the API's handlers ask for them."""
        return {
            "deletions": self.deletions,
            "exports": self.exports,
            "reviews": self.reviews,
            "signed_links": self.links,
            "objects": self.objects,
        }

    async def run(self, bus: EventBus) -> None:
        """Runs readers and workers until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reactor in self.reactors:
                group.create_task(reactor.run(bus))
            for worker in self.workers:
                group.create_task(worker.run())

    async def settle(self) -> None:
        """Reads the log to its end and does what is due now; for tests and before a backup."""
        for reactor in self.reactors:
            await reactor.drain()
        for worker in self.workers:
            await worker.finish()


def _gain_of(c: sa.Connection, space: SpaceId) -> float:
    """What brings the mix to the replay's loudness, in dB; 0 if it is not known."""
    recorded = recordings.found(c, space)
    summary = recorded[1] if recorded is not None else None
    return float((summary or {}).get("gain_db", 0.0))
