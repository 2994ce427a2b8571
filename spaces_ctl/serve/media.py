"""The media worker of a server, as the settings want it, and the store that it shares with the API."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from spaces_ctl.api.recording_figures import RecordingHealth
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.objects import BadStoreUrl, Objects
from spaces_ctl.media.remote import RemoteWorker
from spaces_ctl.media.requests import Open
from spaces_ctl.serve.errors import BadSettings
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.media import MediaReaction
from spaces_ctl.service.recordings import WorkerRecordings
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.settings.model import Settings
from spaces_ctl.store.database import Database
from spaces_ctl.store.errors import Unavailable

__all__ = ["MediaProcess"]

_log = logging.getLogger(__name__)
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


class MediaProcess:
    """Call order: `recordings` (the services make theirs with it), then `run`."""

    def __init__(self, opened: Open, objects: Objects) -> None:
        self.objects = objects
        """For the API: what is kept, to be read."""
        self.spool = Path(opened.spool)
        self.worker = RemoteWorker(opened)
        self._recordings: WorkerRecordings | None = None

    @property
    def kept_by(self) -> WorkerRecordings:
        """Who keeps recordings; there is one from `recordings` on."""
        assert self._recordings is not None
        return self._recordings

    @classmethod
    def of(cls, settings: Settings) -> MediaProcess | None:
        """None: nothing is recorded. Raises BadSettings."""
        wanted = settings.recordings
        if not wanted.enabled or wanted.directory is None:
            return None
        opened = Open(
            spool=str(wanted.directory.absolute()),
            store=wanted.store or str(wanted.directory.absolute() / "object-store"),
            access_key_id=wanted.access_key_id,
            secret_access_key=wanted.secret_access_key,
            least_free_bytes=wanted.warn_free_mb * 2**20,
        )
        try:
            objects = Objects.open(
                opened.store, access_key_id=opened.access_key_id, secret_access_key=opened.secret_access_key
            )
        except BadStoreUrl as error:
            raise BadSettings(f"recordings.store: {error}") from error
        return cls(opened, objects)

    def recordings(self, spaces: Spaces, db: Database) -> WorkerRecordings:
        """For `open_services`."""
        self._recordings = WorkerRecordings(spaces=spaces, db=db, worker=self.worker)
        return self._recordings

    @property
    def made_by(self) -> WorkerRecordings:
        """What `recordings` made."""
        assert self._recordings is not None
        return self._recordings

    def health(self) -> RecordingHealth:
        """For whoever looks after the server."""
        return RecordingHealth(up=self.worker.up, restarts=self.worker.restarts, figures=self.worker.figures)

    async def run(self, reaction: MediaReaction) -> None:
        """Until cancelled. Whenever a worker begins, it is told what there is to do."""
        recordings = self.made_by

        async def resume() -> None:
            pause_s = _FIRST_PAUSE_S
            while True:
                try:
                    return await reaction.resume(await recordings.spooled())
                except (MediaError, ServiceError, Unavailable) as error:
                    _log.warning("recordings are not all followed yet: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

        self.worker.started = resume
        await self.worker.run()
