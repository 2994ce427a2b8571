"""Captions of a server, as the settings want them: the service, the process, and how that gets into the engine."""

from __future__ import annotations

import asyncio
import logging

from spaces_ctl.captions import moonshine
from spaces_ctl.captions.messages import Open
from spaces_ctl.captions.remote import RemoteCaptioner
from spaces_ctl.serve.doors import EngineDoor
from spaces_ctl.serve.run import Running
from spaces_ctl.service.captioning import Captioning
from spaces_ctl.service.captions import Captions
from spaces_ctl.service.services import Services
from spaces_ctl.settings.model import Settings

__all__ = ["CaptionsProcess", "languages"]

log = logging.getLogger(__name__)


def languages(settings: Settings) -> tuple[str, ...]:
    """In which there are captions; none, and a line in the log that says why, if there is nothing to make them with."""
    wanted = settings.captions
    if not wanted.enabled or wanted.recogniser == "none":
        return ()
    if wanted.recogniser == "websocket":
        return wanted.languages
    if not moonshine.installed():
        log.warning("no captions: captions.enabled needs `pip install spaces-ctl[captions]`")
        return ()
    known = tuple(one for one in wanted.languages if one.partition("-")[0].lower() in moonshine.LANGUAGES)
    if known != wanted.languages:
        log.warning("captions: moonshine's model has no other language than en", extra={"languages": known})
    return known


class CaptionsProcess:
    """Made with the services; `run` beside them."""

    def __init__(self, settings: Settings, running: Running, services: Services) -> None:
        spoken = languages(settings)
        self.captions = Captions(
            db=services.db,
            spaces=services.spaces,
            engine=running.engine,
            clock=services.clock,
            languages=spoken,
        )
        """For the API."""
        self._remote: RemoteCaptioner | None = None
        if spoken:
            wanted = settings.captions
            assert wanted.recogniser != "none"
            self._remote = RemoteCaptioner(
                Open(recogniser=wanted.recogniser, url=wanted.url, key=wanted.key, streams=wanted.max_streams)
            )
            log.info("captions", extra={"recogniser": wanted.recogniser, "languages": spoken})
        self._services = services
        self._door = EngineDoor(running.engine, running.signer)

    @property
    def enabled(self) -> bool:
        """Whether there is something to run."""
        return self._remote is not None

    async def run(self) -> None:
        """Until cancelled. The process itself begins with the first Space in which somebody may be captioned."""
        remote, services = self._remote, self._services
        assert remote is not None
        captioning = Captioning(
            captions=self.captions, spaces=services.spaces, bus=services.bus, process=remote, door=self._door
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self.captions.run())
            group.create_task(captioning.run())
            group.create_task(remote.run(captioning.resume, captioning.hear))
