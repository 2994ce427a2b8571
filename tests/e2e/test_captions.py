"""Captions with the real engine: who has not consented leaves no word anywhere; withdrawing, overload and a killed
process.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from array import array
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import psutil
import pytest
import soxr

from spaces_ctl import commands as c
from spaces_ctl.captions.messages import Allow, Follow, Leave, Lost, Open
from spaces_ctl.captions.process import Process
from spaces_ctl.captions.recogniser import RATE, Pcm
from spaces_ctl.captions.voice import VoiceLimits
from spaces_ctl.client import SpacesClient
from spaces_ctl.engine import Listener, Speaker
from spaces_ctl.model import SpaceId
from spaces_ctl.service.captioning import Captioning, Door
from spaces_ctl.service.captions import CaptionLine, Captions
from spaces_ctl.store import captions as store
from spaces_ctl.store.bus import LocalBus
from tests.support.captions import CountingRecogniser, utterances, word_error_rate, words
from tests.support.listening import Spoilt, again_if_spoilt
from tests.support.patience import PATIENCE_S
from tests.support.real_server import RealServer
from tests.support.rooms import GONE, Deployment, a_deployment
from tests.support.watching import Watcher, listener
from tests.support.worlds import ANN, HOST, who

pytestmark = pytest.mark.alone

PASSWORD = "correct horse"
MISSED = 0.01
"""The share of frames that a busy machine may lose by itself."""
LATEST_IN_FLIGHT_MS = 250
HEARD_WITHIN_S = 18.0
"""What was not recognised by then was given up, on a machine too busy for it."""


def at_48_khz(pcm: Pcm) -> bytes:
    return np.asarray(soxr.resample(pcm, RATE, 48_000), np.int16).tobytes()


def long_words(text: str, *, but: str = "") -> set[str]:
    """Words that no file holds by chance."""
    return {word for word in words(text) if len(word) >= 6} - set(words(but))


# The server as operators run it


class Server(RealServer):
    """One with captions."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, more="[captions]\nenabled = true\n")

    def captions_process(self) -> psutil.Process | None:
        for child in psutil.Process(self.ready["pid"]).children():
            with suppress(psutil.NoSuchProcess):
                if "spaces_ctl.captions.process" in child.cmdline():
                    return child
        return None


def places_of(directory: Path, wanted: Iterable[str]) -> dict[str, list[str]]:
    """Which files hold which of the words, in whatever case."""
    found: dict[str, list[str]] = {}
    for file in directory.rglob("*"):
        if file.is_file():
            data = file.read_bytes().lower()
            for word in wanted:
                if word.encode() in data:
                    found.setdefault(word, []).append(str(file.relative_to(directory)))
    return found


class Lines:
    """What the engine's track `captions` shows to a guest."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.seen: list[dict[str, object]] = []
        self.payloads: list[bytes] = []
        self.came: list[int] = []
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with suppress(*GONE):
            async for line in self._listener.captions():
                self.seen.append(json.loads(line.payload))
                self.payloads.append(line.payload)
                self.came.append(line.received_at_us)

    async def until(self, number: int, *, within_s: float = PATIENCE_S) -> None:
        async with asyncio.timeout(within_s):
            while len(self.seen) < number:
                await asyncio.sleep(0.02)


@again_if_spoilt
async def test_who_does_not_consent_leaves_no_word_and_a_killed_process_is_replaced(tmp_path: Path) -> None:
    """Two people speak at the same time; one of them has consented. Every file, stream, track and log is searched."""
    spoken = utterances()
    consenting = [spoken[0], spoken[3], spoken[4]]
    silent = [spoken[1], spoken[2]]
    shown_text = " ".join(text for _, text in consenting)
    hidden_text = " ".join(text for _, text in silent)
    hidden = long_words(hidden_text, but=shown_text)
    assert len(hidden) >= 4
    tmp_path = Path(mkdtemp(dir=tmp_path))
    server = Server(tmp_path)
    await asyncio.to_thread(server.migrate)
    try:
        await asyncio.to_thread(server.start)
        async with AsyncExitStack() as stack:
            await _an_hour(server, stack, consenting, silent, shown_text, hidden)
        await asyncio.to_thread(server.stop)
        shown = long_words(shown_text)
        kept = places_of(tmp_path, shown)
        assert len(kept) >= 0.7 * len(shown), "what is searched for would be found"
        assert {file.split("-")[0] for files in kept.values() for file in files} == {"spaces.db"}, "and nowhere else"
        assert places_of(tmp_path, hidden) == {}
    finally:
        server.kill()


async def _an_hour(
    server: Server,
    stack: AsyncExitStack,
    consenting: Sequence[tuple[Pcm, str]],
    silent: Sequence[tuple[Pcm, str]],
    shown_text: str,
    hidden: set[str],
) -> None:
    host, sam, guest = [await stack.enter_async_context(SpacesClient(server.url)) for _ in range(3)]
    host_id = (await host.register("hana", PASSWORD)).account.id
    sam_id = (await sam.register("sam", PASSWORD)).account.id
    made = await host.spaces.create(title="Reading", record=True)
    room = host.space(made.id)
    await room.start()
    await room.set_mic_access(True)
    await room.caption_consent(True)
    mouth = await _on_stage(host, made.id, stack)
    waiting = await stack.enter_async_context(listener(await sam.space(made.id).join()))
    await room.invite(sam_id)
    await sam.space(made.id).take_mic()
    await waiting.aclose()
    other = await _on_stage(sam, made.id, stack)
    for client in (host, sam):
        await client.space(made.id).unmute()
    watcher = await stack.enter_async_context(Watcher(guest, made.id, captions=True))
    ears = await stack.enter_async_context(listener(await guest.space(made.id).join(), captions=True))
    hearing = asyncio.create_task(_hear(ears))
    lines = Lines(ears)

    # Both at once
    await asyncio.gather(
        mouth.speak_pcm(at_48_khz(np.concatenate([sound for sound, _ in consenting]))),
        other.speak_pcm(at_48_khz(np.concatenate([sound for sound, _ in silent]))),
    )
    await asyncio.gather(mouth.flush(), other.flush())
    said = [one for one in lines.seen if one["final"]]
    until = time.monotonic() + HEARD_WITHIN_S
    while word_error_rate(shown_text, " ".join(str(one["text"]) for one in said)) > 0.25:
        if time.monotonic() > until:
            raise Spoilt(said)
        await asyncio.sleep(0.1)
        said = [one for one in lines.seen if one["final"]]
    async with asyncio.timeout(PATIENCE_S):
        # The stream of events is another way, and takes its time.
        while len([one for one in captions_told(watcher) if one["final"]]) < len(said):
            await asyncio.sleep(0.1)
    told = captions_told(watcher)
    assert [one["text"] for one in told if one["final"]][: len(said)] == [one["text"] for one in said]
    assert {str(one["account"]) for one in [*lines.seen, *told]} == {str(host_id)}
    everything = json.dumps([lines.seen, told]).lower()
    assert [word for word in hidden if word in everything] == []

    # The process dies in the middle of a sentence
    before, lost = server.captions_process(), ears.stats().lost
    assert before is not None
    assert before.nice() == min(19, psutil.Process(server.ready["pid"]).nice() + 15)
    number = len(lines.seen)
    speaking = asyncio.create_task(mouth.speak_pcm(at_48_khz(consenting[0][0])))
    await asyncio.sleep(1)
    os.kill(before.pid, signal.SIGKILL)
    await speaking
    await mouth.speak_pcm(at_48_khz(consenting[1][0]))
    await mouth.flush()
    await lines.until(number + 1)
    until = time.monotonic() + HEARD_WITHIN_S
    while "respectable" not in str(lines.seen[number:]):
        if time.monotonic() > until:
            raise Spoilt(lines.seen[number:])
        await asyncio.sleep(0.1)
    after = server.captions_process()
    assert after is not None
    assert after.pid != before.pid
    misses_nothing(ears, lost)
    numbers = [one["n"] for one in lines.seen if one["final"]]
    assert len(set(map(str, numbers))) == len(numbers)
    await room.end()
    for task in (hearing, lines.task):
        await task


def captions_told(watcher: Watcher) -> list[dict[str, object]]:
    """On the stream of events, so far."""
    return [one.data for one in watcher.events if one.event == "caption"]


def misses_nothing(ears: Listener, lost: int) -> None:
    """But what a busy machine may lose. `lost`: so many were before. Raises Spoilt."""
    if ears.stats().lost - lost > MISSED * ears.stats().frames:
        raise Spoilt(f"{ears.stats()}, {lost} before")


async def _on_stage(client: SpacesClient, space: str, stack: AsyncExitStack) -> Speaker:
    admission = await client.space(space).join()
    assert admission.seat is not None
    pin = None if admission.certificate_sha256 is None else bytes.fromhex(admission.certificate_sha256)
    speaker = Speaker(admission.urls[0], token=admission.token, seat=admission.seat, certificate_sha256=pin)
    return await stack.enter_async_context(speaker)


async def _hear(ears: Listener) -> None:
    with suppress(*GONE):
        async for _ in ears.frames():
            pass


# The engine, the service and the process's parts in one process


class InProcess:
    """The captions process without a process: what it says is heard at once."""

    def __init__(self, recogniser: CountingRecogniser, limits: VoiceLimits) -> None:
        self._process = Process(Open(recogniser="moonshine"), recogniser=recogniser, limits=limits)

    async def __aenter__(self) -> InProcess:
        await self._process.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._process.__aexit__()

    def send(self, message: Follow | Allow | Leave) -> None:
        self._process._captioner.take(message)

    async def run(self, captioning: Captioning) -> None:
        while True:
            for message in await self._process._outbox.take(1.0):
                assert not isinstance(message, Lost), message.why
                await captioning.hear(message)


class Reading:
    """A Space in which ANN speaks for ever and may be captioned."""

    def __init__(self, d: Deployment, recogniser: CountingRecogniser) -> None:
        self.d = d
        self.recogniser = recogniser
        self.space: SpaceId = 0
        self.watched: list[CaptionLine] = []
        self.captions = Captions(db=d.db, spaces=d.spaces, engine=d.engine, clock=d.clock, languages=("en",))

    async def open(self, stack: AsyncExitStack, limits: VoiceLimits) -> None:
        d = self.d
        d.spaces._bus = LocalBus()  # what `Captioning` listens to
        process = await stack.enter_async_context(InProcess(self.recogniser, limits))
        captioning = Captioning(
            captions=self.captions,
            spaces=d.spaces,
            bus=d.spaces._bus,
            process=process,
            door=lambda: Door(f"127.0.0.1:{d.engine.port}", d.pin, d.signer.mint(account=None, sid=77, service=True)),
        )
        for work in (captioning.run(), process.run(captioning)):
            task = asyncio.create_task(work)
            stack.push_async_callback(_cancelled, task)
        space = self.space = (await d.spaces.create(who(HOST), c.Create())).space.id
        await d.do(HOST, space, c.Start())
        await d.do(HOST, space, c.SetMicAccess(open=True))
        async with d.listener(space, ANN, sid=1_000):
            await d.do(HOST, space, c.Invite(account=ANN))
            while ANN not in await d.engine.present(space, [ANN]):
                await asyncio.sleep(0.01)
            seat = (await d.do(ANN, space, c.TakeMic())).space.seat_of(ANN)
            assert seat is not None
        await d.do(ANN, space, c.CaptionConsent(on=True))
        self.captions.watch(space, self.watched.append)
        speaker = await stack.enter_async_context(d.speaker(space, ANN, seat.seat))
        await d.do(ANN, space, c.Unmute())
        talking = asyncio.create_task(_talk(speaker))
        stack.push_async_callback(_cancelled, talking)
        self.ears = Listener(d.url(space), certificate_sha256=d.pin, captions=True)
        await stack.enter_async_context(self.ears)
        hearing = asyncio.create_task(_hear(self.ears))
        stack.push_async_callback(_cancelled, hearing)
        self.lines = Lines(self.ears)
        stack.push_async_callback(_cancelled, self.lines.task)

    async def rows(self) -> list[store.Row]:
        await self.captions.flush()
        return await self.captions.all_of(self.space)

    async def captioned(self) -> None:
        """Until another line was shown."""
        await self.lines.until(len(self.lines.seen) + 1)


async def _talk(speaker: Speaker) -> None:
    sound = (np.sin(np.arange(48_000) / 15) * 8_000).astype(np.int16)
    with suppress(*GONE):
        while True:
            await speaker.speak_pcm(array("h", sound.tobytes()))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def reading(directory: Path, limits: VoiceLimits) -> AsyncIterator[Reading]:
    async with a_deployment(Path(mkdtemp(dir=directory))) as deployment, AsyncExitStack() as stack:
        it = Reading(deployment, CountingRecogniser())
        await it.open(stack, limits)
        yield it


async def test_withdrawn_a_hundred_times_and_not_one_line_after_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any moment of the way from the seat to the screen; lines come ten a second."""
    dice, warm, late = random.Random(20_261_121), 0, list[str]()
    async with reading(tmp_path, VoiceLimits(batch_ms=100)) as it:
        asked = _asked(it.d, monkeypatch)
        for race in range(100):
            await it.captioned()
            await asyncio.sleep(dice.random() * 0.15)
            called_us = time.monotonic_ns() // 1000
            await it.d.do(ANN, it.space, c.CaptionConsent(on=False))
            answered_us, watched, rows = time.monotonic_ns() // 1000, len(it.watched), await it.rows()
            warm += any(came > called_us - 200_000 for came in it.lines.came)
            await asyncio.sleep(0.05 + dice.random() * 0.2)
            late += [f"{race}: shown" for _ in it.watched[watched:]]
            late += [f"{race}: kept" for row in await it.rows() if row not in rows]
            again_us = time.monotonic_ns() // 1000
            # What was asked for before may be on its way yet, for a moment.
            late += [
                f"{race}: on the track, asked for {(asked[payload] - answered_us) / 1000:.1f} ms after the answer"
                for payload in it.lines.payloads
                if answered_us < asked[payload] < again_us
            ]
            late += [
                f"{race}: on the track, {(came - answered_us) / 1000:.1f} ms late"
                for came in it.lines.came
                if answered_us + LATEST_IN_FLIGHT_MS * 1000 < came < again_us
            ]
            await it.d.do(ANN, it.space, c.CaptionConsent(on=True))
    assert late == []
    assert warm >= 95, "there was something to stop"


def _asked(d: Deployment, monkeypatch: pytest.MonkeyPatch) -> dict[bytes, int]:
    """When, in microseconds, the engine is asked to show which line; of the same line twice, the first time."""
    caption, asked = d.engine.caption, dict[bytes, int]()

    async def noted(space: int, seat: int, generation: int, payload: bytes) -> None:
        asked.setdefault(payload, time.monotonic_ns() // 1000)
        await caption(space, seat, generation, payload)

    monkeypatch.setattr(d.engine, "caption", noted)
    return asked


@again_if_spoilt
async def test_a_recogniser_that_stalls_leaves_a_marked_gap_and_nobody_misses_a_frame(tmp_path: Path) -> None:
    async with reading(tmp_path, VoiceLimits(batch_ms=100, queue_ms=1_000)) as it:
        await it.captioned()
        lost, began = it.ears.stats().lost, time.monotonic()
        it.recogniser.go.clear()
        await asyncio.sleep(0.5)  # what was recognised before
        shown = len(it.watched)
        await asyncio.sleep(3.5)
        assert len(it.watched) == shown
        it.recogniser.go.set()
        stalled_ms = (time.monotonic() - began) * 1000
        async with asyncio.timeout(PATIENCE_S):
            while not any(line.text == "" for line in it.watched):
                await asyncio.sleep(0.02)
        gap = next(line for line in it.watched if line.text == "")
        assert gap.final
        assert 2_000 <= gap.end_ms - gap.start_ms <= stalled_ms + 500
        assert any(row[4] == "" for row in await it.rows())
        await it.captioned()
        misses_nothing(it.ears, lost)
