"""A live Space whose host talks over and over by the native client, for tests of the web app's pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spaces_ctl.client import SpacesClient
from spaces_ctl.client.space import Space
from tests.support.audio import Pcm
from tests.support.dev_server import DevServer
from tests.support.recognised_voices import talking

__all__ = ["talking_host"]


@asynccontextmanager
async def talking_host(server: DevServer, voice: Pcm) -> AsyncIterator[Space]:
    """Ends with the block."""
    async with SpacesClient(server.url, token=server.tokens["host"]) as host:
        space = host.space((await host.spaces.create(title="Tea")).id)
        await space.start()
        try:
            async with talking(await space.join(), voice):
                await space.unmute()
                yield space
        finally:
            await space.end()
