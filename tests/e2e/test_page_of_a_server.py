"""The page that `spaces serve` shows, in Chromium: a guest hears the host, somebody who is signed in takes the mic."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spaces_ctl.client import SpacesClient
from spaces_ctl.client.space import Space
from spaces_ctl.demo.speech import voices, write_wav
from spaces_ctl.engine import Listener, Speaker
from spaces_ctl.model import Speak
from tests.peers.browser import tab
from tests.support.audio import Pcm, compare
from tests.support.dev_server import DevServer, dev_server

SECONDS = 6


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with dev_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def said() -> Pcm:
    return voices(1)[0].samples[: SECONDS * 48_000]


async def started(host: SpacesClient) -> Space:
    space = host.space((await host.spaces.create(title="Tea")).id)
    await space.start()
    await space.set_mic_access(True)
    await space.set_speak(Speak.EVERYONE)
    return space


def test_a_guest_hears_the_host(server: DevServer, said: Pcm) -> None:
    ready, listening, ended = threading.Event(), threading.Event(), threading.Event()
    name: list[str] = []

    async def hosting() -> None:
        async with SpacesClient(server.url, token=server.tokens["host"]) as host:
            space = await started(host)
            admission = await space.join()
            pin = bytes.fromhex(admission.certificate_sha256 or "")
            async with Speaker(
                admission.urls[0], token=admission.token, seat=0, certificate_sha256=pin, dtx=False
            ) as mic:
                await space.unmute()
                name.append(space.id)
                ready.set()
                await asyncio.to_thread(listening.wait, 30)
                await mic.speak_pcm(said.tobytes())
                await mic.flush()
                await asyncio.to_thread(ended.wait, 30)
            await space.end()

    talking = threading.Thread(target=asyncio.run, args=(hosting(),))
    talking.start()
    try:
        assert ready.wait(30)
        with tab() as page:
            page.open(f"{server.url}/?space={name[0]}")
            page.listen()
            assert "Tea" in page.page.inner_text("#title")
            listening.set()
            page.rest(SECONDS + 3)
            assert page.problems == []
            quality = compare(said, page.pcm(0))
            # That the voice comes through; how well is test_browser's to say, on a machine with less to do.
            assert quality.stoi >= 0.85, (quality, page.counts)
    finally:
        listening.set()
        ended.set()
        talking.join()


def test_somebody_who_is_signed_in_takes_the_mic(server: DevServer, said: Pcm, tmp_path: Path) -> None:
    spoken = tmp_path / "spoken.wav"
    write_wav(spoken, said)
    ready, done = threading.Event(), threading.Event()
    name: list[str] = []
    sound = bytearray()

    async def hosting() -> None:
        async with SpacesClient(server.url, token=server.tokens["host"]) as host:
            space = await started(host)
            admission = await space.join()
            pin = bytes.fromhex(admission.certificate_sha256 or "")
            async with Listener(admission.urls[0], token=admission.token, certificate_sha256=pin) as listener:
                name.append(space.id)
                ready.set()
                async for block in listener.pcm():
                    sound.extend(block)
                    if done.is_set():
                        break
            await space.end()

    hearing = threading.Thread(target=asyncio.run, args=(hosting(),))
    hearing.start()
    try:
        assert ready.wait(30)
        with tab(microphone=spoken) as page:
            page.page.goto(f"{server.url}/i/login")
            page.page.fill("input[name=name], input[name=login], input[name=handle]", "sam")
            page.page.fill("input[type=password]", "spaces-dev")
            page.page.click("button[type=submit], button:not([type])")
            page.open(f"{server.url}/?space={name[0]}")
            page.listen()
            page.speak()
            page.rest(SECONDS + 2)
            assert page.problems == []
    finally:
        done.set()
        hearing.join()
    quality = compare(said, np.frombuffer(bytes(sound), dtype="<i2").astype(np.int16))
    assert quality.stoi >= 0.85, quality
