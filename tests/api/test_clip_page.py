"""The player of a clip in Chromium: it plays and seeks with nothing but HTML."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.media.clip_names import FILES, name_of
from spaces_ctl.media.clips import cut
from spaces_ctl.media.requests import Cut
from tests.peers.browser import CHROMIUM, FLAGS
from tests.support.api_server import serving
from tests.support.api_world import ANN, ApiWorld
from tests.support.clip_logs import Bench, contents, mix, speech
from tests.support.patience import PATIENCE_S


async def a_clip(world: ApiWorld) -> str:
    """Path of its page."""
    space = await world.live(title="Jazz")
    await world.enter(space, ANN)
    world.clock.advance(seconds=40)
    await world.do(ANN, space, c.Clip(end_ms=8_000, length_ms=6_000, comment="Well said"))
    bench = Bench([contents(mix(speech(10)))])
    bench.clock.advance(seconds=60)
    await cut(bench, Cut(space=1, key=bytes(32), clip=1, start_ms=2_000, end_ms=8_000, heading="Jazz"))
    while len(await bench.files_of(1)) < len(FILES):
        await asyncio.sleep(0.05)
    for file in FILES:
        await world.more.objects.put(name_of(space, 1, file), await bench.objects.get(name_of(1, 1, file)))
    return f"/s/{wire.space_text(space)}/clips/1"


def in_chromium(url: str, do: Callable[[Any], Any]) -> tuple[Any, list[str]]:
    """What `do` makes of the page, and what the console complained of."""
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            context = browser.new_context()
            page = context.new_page()
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.on(
                "response", lambda told: problems.append(f"{told.status} {told.url}") if told.status >= 400 else None
            )
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(url)
            return do(page), problems
        finally:
            browser.close()


def until(page: Any, script: str) -> None:
    """Playwright's own waiting evaluates strings in the page, which the policy forbids."""
    end = time.monotonic() + PATIENCE_S
    while not page.evaluate(script):
        assert time.monotonic() < end, script
        page.wait_for_timeout(50)


def play(page: Any) -> tuple[float, float, int]:
    """Position after a moment, and length, in seconds; width of the picture. It is played to its end."""
    audio = "document.querySelector('audio')"
    until(page, f"{audio}.readyState > 0")
    page.evaluate(f"{audio}.play()")
    until(page, f"{audio}.currentTime > 0.5")
    played, length = page.evaluate(f"[{audio}.currentTime, {audio}.duration]")
    page.evaluate(f"{audio}.currentTime = 5")
    until(page, f"{audio}.ended")
    return played, length, page.evaluate("document.querySelector('img').naturalWidth")


async def test_the_player_for_other_sites_plays_and_seeks_in_chromium(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    world = await ApiWorld.open(tmp_path, settings=ApiSettings(public_url=origin))
    try:
        path = await a_clip(world)
        async with serving(world.app, listener=listener) as url:
            (played, length, picture), problems = await asyncio.to_thread(in_chromium, f"{url}{path}/player", play)
            assert problems == []
            assert played > 0.5
            assert abs(length - 6) < 0.02
            assert picture == 1200
    finally:
        await world.aclose()
