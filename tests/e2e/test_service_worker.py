"""The built app under its real policy: nothing is refused by it; the service worker shows push messages and keeps off
the API."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from spaces_ctl.api.pages import Site
from spaces_ctl.api.settings import ApiSettings
from tests.peers.browser import CHROMIUM, FLAGS
from tests.support.api_server import serving
from tests.support.api_world import ApiWorld

PUSHED = {"id": "7", "kind": "space_started", "text": "Ann started a Space: Jazz", "url": "/s/1"}


async def test_a_push_message_is_shown_with_its_link_and_nothing_breaks_the_policy(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    world = await ApiWorld.open(tmp_path, settings=ApiSettings(public_url=origin), site=Site())
    problems: list[str] = []
    try:
        async with serving(world.app, listener=listener) as url, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            context = await browser.new_context()
            await context.grant_permissions(["notifications"], origin=origin)
            page = await context.new_page()
            page.on(
                "console", lambda message: problems.append(message.text) if "Security Policy" in message.text else None
            )
            page.on("pageerror", lambda error: problems.append(str(error)))
            devtools = await context.new_cdp_session(page)
            registered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

            def found(event: dict[str, Any]) -> None:
                for one in event["registrations"]:
                    if not registered.done():
                        registered.set_result(one["registrationId"])

            devtools.on("ServiceWorker.workerRegistrationUpdated", found)
            await devtools.send("ServiceWorker.enable")
            await page.goto(url)
            await page.wait_for_selector("main h1")
            await page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
            message = {"origin": origin, "registrationId": await registered, "data": json.dumps(PUSHED)}
            await devtools.send("ServiceWorker.deliverPushMessage", message)
            shown: list[Any] = []
            while not shown:
                shown = await page.evaluate(
                    """async () => (await (await navigator.serviceWorker.ready).getNotifications())
                        .map(({ title, body, tag, data }) => ({ title, body, tag, url: data.url }))"""
                )
                await asyncio.sleep(0.05)
            kept = await page.evaluate(
                """async () => (await Promise.all((await caches.keys()).map(async (name) =>
                    (await (await caches.open(name)).keys()).map((one) => new URL(one.url).pathname)))).flat()"""
            )
            await browser.close()
    finally:
        await world.aclose()
    assert shown == [{"title": "Spaces", "body": PUSHED["text"], "tag": "7", "url": "/s/1"}]
    assert "/" in kept
    assert not [path for path in kept if path.startswith("/api")]
    assert problems == []
