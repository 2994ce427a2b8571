"""Web push through a real browser: Firefox subscribes on the settings page, we send to the push service that it named,
Firefox reads what only it can read (RFC 8291), and the app's service worker shows it.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import socket
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from spaces_ctl.api.pages import Site
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.service.around import AroundSettings
from spaces_ctl.service.deliveries import Sent
from spaces_ctl.service.ports import Principal
from tests.support import api_services
from tests.support.api_server import serving
from tests.support.api_world import ANN, ApiWorld
from tests.support.firefox import firefox
from tests.support.patience import PATIENCE_S
from tests.support.push_service import push_service
from tests.support.sound_card import sound_card

PUSHED = {"id": "7", "kind": "space_started", "text": "Ann started a Space: Jazz", "url": "/s/1"}
SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
    .map(({ title, body, tag, data }) => ({ title, body, tag, url: data.url }))"""


async def test_what_we_send_is_read_by_the_browser_that_subscribed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    settings = functools.partial(
        AroundSettings,
        vapid_private_key=base64.urlsafe_b64encode(private).rstrip(b"=").decode(),
        outbound_allow=("127.0.0.0/8",),
    )
    monkeypatch.setattr(api_services, "AroundSettings", settings)
    listener = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    world = await ApiWorld.open(tmp_path, settings=ApiSettings(public_url=origin), site=Site())
    around = world.more.around
    assert around.push is not None
    try:
        async with push_service(tmp_path) as service, serving(world.app, listener=listener) as url:
            with sound_card() as card:
                preferences: dict[str, bool | int | str] = {
                    "dom.push.connection.enabled": True,
                    "dom.push.serverURL": service.browser_url,
                    "dom.push.testing.allowInsecureServerURL": True,
                    "permissions.default.desktop-notification": 1,
                    "alerts.useSystemBackend": False,  # its own windows: there is no desktop
                }
                async with firefox(card, preferences=preferences) as page:
                    await page.goto(url)
                    await page.evaluate(f"() => {{ document.cookie = 'spaces_session={ANN}; path=/' }}")
                    await page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
                    await page.goto(f"{url}/settings/notifications")
                    # The first one of the page: "Notifications in this browser".
                    await page.wait_for_function("() => document.querySelector('main [role=switch]')")
                    await page.click("main [role=switch]")
                    async with asyncio.timeout(PATIENCE_S):
                        while not (found := await around.notifications.push_subscriptions(Principal(account=ANN))):
                            await asyncio.sleep(0.1)
                    [subscription] = found
                    assert subscription.endpoint == service.endpoint
                    trusted = ssl.create_default_context(cafile=service.certificate)
                    async with httpx.AsyncClient(verify=trusted, trust_env=False) as client:
                        monkeypatch.setattr(around.outbound, "_client", client)
                        assert await around.push.push(subscription, json.dumps(PUSHED).encode()) == Sent(ok=True)
                    async with asyncio.timeout(PATIENCE_S):
                        while not (shown := await page.evaluate(SHOWN)):
                            await asyncio.sleep(0.1)
    finally:
        await world.aclose()
    assert shown == [{"title": "Spaces", "body": PUSHED["text"], "tag": "7", "url": "/s/1"}]
    [headers] = service.headers
    assert headers["content-encoding"] == "aes128gcm"
    assert headers["authorization"].startswith("vapid t=")
