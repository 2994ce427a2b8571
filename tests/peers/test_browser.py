"""The page in Chromium at our running server: what is spoken is what the loudspeaker gets, and the other way round."""

import asyncio
import threading
from pathlib import Path

import numpy as np
import pytest

from spaces_ctl.demo.speech import voices, write_wav
from spaces_ctl.engine import Listener
from tests.peers import wire
from tests.peers.aioquic_listener import Listening, listen
from tests.peers.aioquic_speaker import speak
from tests.peers.browser import tab
from tests.peers.fake_server import opus_frames
from tests.peers.room import VISITOR, Room
from tests.peers.test_page import decode
from tests.support.audio import Pcm, compare

SECONDS = 6
PROTOCOLS = [wire.LITE, wire.MOQT]


@pytest.fixture(scope="module")
def speech() -> dict[int, Pcm]:
    return {seat: voice.samples[: SECONDS * 48_000] for seat, voice in zip((0, 7), voices(2), strict=True)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_loudspeaker_gets_what_was_spoken(room: Room, speech: dict[int, Pcm], protocol: str) -> None:
    opus = {seat: opus_frames(pcm) for seat, pcm in speech.items()}
    first = 1_000_000 * (1 + PROTOCOLS.index(protocol))

    async def talk() -> None:
        async def one(seat: int) -> None:
            token = room.tokens[seat]
            async with speak(room.host, room.port, room.space, seat, token=token, first=first) as speaking:
                await speaking.talk(opus[seat])
                await asyncio.sleep(0.5)

        await asyncio.gather(*map(one, opus))

    with tab() as page:
        page.open(room.page, protocol=protocol)
        page.listen()
        assert page.people == ["Ada Lovelace"]
        talking = threading.Thread(target=asyncio.run, args=(talk(),))
        talking.start()
        page.rest(SECONDS + 3)
        talking.join()
        assert page.problems == []
        assert page.page.inner_text("#protocol") in ("", protocol)  # folded away
        for seat, pcm in speech.items():
            quality = compare(pcm, page.pcm(seat))
            assert quality.stoi >= 0.9, (quality, page.counts)
            assert quality.dropout_frames == 0, (quality, page.counts)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_microphone_is_heard_by_others(room: Room, speech: dict[int, Pcm], tmp_path: Path, protocol: str) -> None:
    spoken = tmp_path / "spoken.wav"
    write_wav(spoken, speech[0])
    heard: list[Listening] = []
    sound = bytearray()
    done = threading.Event()

    async def hear() -> None:
        async with listen(room.host, room.port, room.space) as listening:
            heard.append(listening)
            while not done.is_set():
                await asyncio.sleep(0.05)

    async def hear_natively() -> None:
        async with Listener(room.url, certificate_sha256=room.certificate) as listener:
            async for block in listener.pcm():
                sound.extend(block)
                if done.is_set():
                    return

    hearing = [threading.Thread(target=asyncio.run, args=(job(),)) for job in (hear, hear_natively)]
    for thread in hearing:
        thread.start()
    with tab(microphone=spoken) as page:
        page.open(room.page, protocol=protocol)
        page.listen()
        page.speak()
        page.rest(SECONDS + 2)
        assert page.problems == []
        assert VISITOR not in page.seats, "nobody hears themselves"
    done.set()
    for thread in hearing:
        thread.join()
    objects = [
        (got.group, bytes(2) + entry.opus)
        for got in heard[0].objects["stage"]
        for entry in wire.bundle(got.payload)
        if entry.seat == VISITOR and not entry.redundant
    ]
    for pcm in (decode(objects), np.frombuffer(bytes(sound), np.int16)):
        quality = compare(speech[0][48_000:], pcm)
        assert quality.stoi >= 0.9, quality
