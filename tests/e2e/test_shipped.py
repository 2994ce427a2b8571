"""What a listener's browser is sent until it plays: sizes over the wire, and the way from the address to sound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from spaces_ctl.demo.speech import voices
from tests.support.dev_server import DevServer, dev_server
from tests.support.site_pages import people
from tests.support.site_stage import talking_host

pytestmark = pytest.mark.alone

# KB of 1,000 bytes. Twice as much would be a blunder: somebody has imported a view into the start.
MOST_JAVASCRIPT_KB = 110
MOST_WASM_KB = 150
FIRST_SOUND = """
  () => {
    globalThis.began = performance.timeOrigin;
    globalThis.firstSound = new Promise((resolve) => {
      const timer = setInterval(() => {
        const { samples } = globalThis.spaces?.tap("mix") ?? { samples: "" };
        // Zeros are As in base64.
        if (!/[^A=]/.test(samples)) return;
        clearInterval(timer);
        resolve(performance.now());
      }, 10);
    });
  }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with dev_server(tmp_path_factory.mktemp("server")) as running:
        yield running


async def test_little_is_sent_before_a_listener_hears(
    server: DevServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voice = voices(1)[0].samples
    async with people(server, tmp_path) as cast, talking_host(server, voice) as space:
        tab = await cast.tab("lee")
        sent = await _sizes(tab.page)
        await tab.page.add_init_script(f"({FIRST_SOUND})()")
        await tab.open(f"/s/{space.id}")
        await tab.press("Start listening")
        first_sound_ms = await tab.page.evaluate("() => firstSound")
        await tab.hears(voice)
        joined_ms = (await tab.page.evaluate("() => spaces.counts()"))["joinedInMs"]
        assert cast.problems == []
    kilobytes: defaultdict[str, float] = defaultdict(float)
    for url, bytes_sent in sent.items():
        assert url.startswith(server.url), f"somebody else was asked: {url}"
        kilobytes[Path(urlsplit(url).path).suffix] += bytes_sent / 1000
    shown = ", ".join(f"{kind or 'rest'} {size:.1f} KB" for kind, size in sorted(kilobytes.items()))
    with capsys.disabled():
        print(
            f"\n{len(sent)} files to hear a Space: {shown}; from navigation to sound {first_sound_ms:.0f} ms"
            f" (a click between), from the click {joined_ms:.0f} ms"
        )
    assert 20 < kilobytes[".js"] <= MOST_JAVASCRIPT_KB
    assert 50 < kilobytes[".wasm"] <= MOST_WASM_KB


async def _sizes(page: Any) -> dict[str, int]:
    """Bytes of each file's body as it goes over the wire, filled while the page loads."""
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    sent: dict[str, int] = {}

    def answered(event: Any) -> None:
        answer = event["response"]
        if "/assets/" in answer["url"]:
            # What is said to be loaded is 0 for WebAssembly that is compiled as it comes.
            headers = {name.lower(): value for name, value in answer["headers"].items()}
            sent[answer["url"]] = int(headers["content-length"])

    session.on("Network.responseReceived", answered)
    return sent
