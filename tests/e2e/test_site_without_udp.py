"""The whole web app where UDP does not get through, or the browser has no WebTransport: it plays, and says how."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Route

from spaces_ctl.demo.speech import voices
from tests.support.dev_server import DevServer, dev_server
from tests.support.lossy_udp import lossy_udp, through
from tests.support.site_pages import people
from tests.support.site_stage import talking_host

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with dev_server(tmp_path_factory.mktemp("server")) as running:
        yield running


async def test_a_listener_hears_over_a_websocket_and_is_told(server: DevServer, tmp_path: Path) -> None:
    voice = voices(1)[0].samples
    async with people(server, tmp_path) as cast, talking_host(server, voice) as space, AsyncExitStack() as stack:
        tab = await cast.tab("lee")
        blocked = stack.enter_context(lossy_udp(urlsplit(server.report["media"][0]).port or 443))
        blocked.dark = True

        async def over_the_dark_way(route: Route) -> None:
            answer = await route.fetch()
            admission = await answer.json()
            await route.fulfill(response=answer, json=admission | {"urls": through(blocked, admission["urls"])})

        await tab.page.route("**/join", over_the_dark_way)
        await tab.open(f"/s/{space.id}")
        await tab.press("Start listening")
        await tab.sees_on_stage("Hana Host", "Host", "microphone on")
        await tab.hears(voice)
        await tab.sees(tab.page.get_by_text("WebSocket"))
        # Who speaks to the page says what is written on the button (WCAG 2.5.3).
        await tab.sees(tab.page.get_by_role("button", name=re.compile(r"^WebSocket\. Connection")))
        await tab.press("Connection: ", exact=False)
        await tab.sees(tab.dialog.get_by_text("Sound comes over a WebSocket"))
        assert cast.problems == []
