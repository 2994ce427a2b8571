"""The room in Chromium by keyboard: a host starts a Space, speaks, looks elsewhere, comes back after a reload, ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Page, async_playwright, expect

from spaces_ctl.api.pages import SITE
from spaces_ctl.client import SpacesClient
from spaces_ctl.client.space import Space
from tests.support.dev_server import DevServer, dev_server
from tests.support.live_harness import CHROMIUM, FLAGS
from tests.support.patience import PATIENCE_S

PATIENCE_MS = PATIENCE_S * 1000
SIGN_IN = """async (name) => {
  const body = JSON.stringify({name, password: "spaces-dev", session: "cookie"});
  const headers = {"content-type": "application/json"};
  const answer = await fetch("/api/v1/auth/login", {method: "POST", headers, body});
  if (!answer.ok) throw new Error(await answer.text());
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    assert (SITE / "index.html").is_file(), "the web app is not built: `make web`"
    with dev_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
async def page(server: DevServer) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        made = await browser.new_page(viewport={"width": 1280, "height": 800})
        made.set_default_timeout(PATIENCE_MS)
        await made.goto(server.url)
        await made.evaluate(SIGN_IN, "host")
        yield made
        await browser.close()


async def muted(space: Space, is_so: bool) -> None:
    """The host is, or is not, as the server says."""
    async with asyncio.timeout(PATIENCE_S):
        while (await space.get()).stage[0].muted is not is_so:
            await asyncio.sleep(0.05)


async def test_a_host_runs_a_space_by_keyboard_and_keeps_it_over_a_reload(server: DevServer, page: Page) -> None:
    expect.set_options(timeout=PATIENCE_MS)
    async with SpacesClient(server.url, token=server.tokens["host"]) as host:
        space = host.space((await host.spaces.create(title="Tea", captions=False)).id)
        await page.goto(f"{server.url}/s/{space.id}")
        await page.get_by_role("button", name="Start your Space").press("Enter")

        # Live, with the microphone off; `m` opens it.
        stage = page.get_by_role("list", name="On stage")
        own = stage.get_by_role("button", name=re.compile("Host, you"))
        await expect(own).to_have_accessible_name(re.compile("muted"))
        await page.keyboard.press("m")
        await expect(own).to_have_accessible_name(re.compile("microphone on"))
        await muted(space, False)

        # A dialog keeps keys to itself, and gives the focus back.
        await page.get_by_role("button", name="Host tools").press("Enter")
        await expect(page.get_by_role("dialog", name="Host tools")).to_be_visible()
        await page.keyboard.press("m")
        assert not (await space.get()).stage[0].muted
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Host tools")).to_be_focused()

        # The sound goes on while one looks elsewhere; the way back needs no second joining.
        await page.get_by_role("button", name=re.compile("^Make small")).press("Enter")
        await page.get_by_role("region", name="Playing now").get_by_role("link").press("Enter")
        await expect(own).to_have_accessible_name(re.compile("microphone on"))

        # Loaded again: host as before, and silent for everybody, as the microphone is closed.
        await page.reload()
        await expect(own).to_have_accessible_name(re.compile("muted"))
        await expect(page.get_by_role("button", name="Host tools")).to_be_visible()
        await muted(space, True)

        # Leaving is not ending: one is asked.
        await page.get_by_role("button", name="Leave", exact=True).press("Enter")
        await page.get_by_role("button", name="End for everyone").press("Enter")
        await expect(page.get_by_role("heading", name="Tea")).to_be_visible()
        await expect(stage).to_have_count(0)
        async with asyncio.timeout(PATIENCE_S):
            while (await space.get()).status != "ended":
                await asyncio.sleep(0.05)
