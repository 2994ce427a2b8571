"""Four real people talk over each other, by QUIC, into mix, recording and replay: all are found there in their time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from pystoi import stoi

from spaces_ctl import segments
from spaces_ctl.demo.speech import voices
from spaces_ctl.engine import EndSpace, Engine, EngineConfig, Speaker, StageRow, TokenSigner, UpsertSpace
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.opus import LOOKAHEAD, RATE, TICK, Decoder
from spaces_ctl.media.packaging import Packager, ReplaySummary
from spaces_ctl.media.replay_files import Timeline
from spaces_ctl.media.timeline import spans
from spaces_ctl.segments import TICK_MS, Contents
from tests.support.audio import compare
from tests.support.mixes import level
from tests.support.patience import PATIENCE_S
from tests.support.players import duration_s, loudness_lufs, played

pytestmark = pytest.mark.alone

SPACE = 4
TURNS = ((0.0, 9.0), (3.0, 9.0), (5.0, 8.0), (6.5, 7.0))
"""When each begins, and for how long, in seconds: from 6.5 s to 9 s all four talk."""
Float = npt.NDArray[np.float64]


class Recorded(NamedTuple):
    """What the engine wrote, and what was made of it."""

    said: list[Float]
    contents: list[Contents]
    end_group: int
    directory: Path
    summary: ReplaySummary


async def recorded(directory: Path) -> Recorded:
    signer = TokenSigner.generate()
    said = [
        voice.samples[: int(length * RATE) // TICK * TICK] for voice, (_, length) in zip(voices(4), TURNS, strict=True)
    ]
    spool = directory / "spool"
    config = EngineConfig(signers=[signer], recordings=spool, recording_tracks=False, segment_ms=2000)
    async with Engine(config) as engine:
        rows = [StageRow(seat=seat, account=100 + seat, role="speaker") for seat in range(4)]
        await engine.apply(UpsertSpace(space=SPACE, version=1, record=True, mix=True, stage=rows))
        url = f"https://127.0.0.1:{engine.port}/spaces/{SPACE}"

        async def talk(seat: int) -> None:
            token = signer.mint(account=100 + seat, sid=seat + 1)
            pin = engine.certificate_sha256
            async with Speaker(url, token=token, seat=seat, certificate_sha256=pin, complexity=3) as mouth:
                await asyncio.sleep(0.5 + TURNS[seat][0])
                await mouth.speak_pcm(said[seat].tobytes())
                await mouth.flush()
                await asyncio.sleep(1)

        await asyncio.gather(*map(talk, range(4)))
        await engine.apply(EndSpace(space=SPACE, version=2))
        async with asyncio.timeout(PATIENCE_S):
            while not (contents := _read(spool)) or not contents[-1].final:
                await asyncio.sleep(0.1)
    end_group = contents[-1].last_group + 1
    packager = Packager(Objects.open(str(directory / "store")), "replay", first_group=0)
    for one in contents:
        await packager.add(one)
    summary = await packager.finish(end_group)
    await packager.complete()
    return Recorded([pcm.astype(np.float64) for pcm in said], contents, end_group, directory / "store/replay", summary)


def _read(spool: Path) -> list[Contents]:
    return [segments.read(file.path.read_bytes()) for file in segments.files(spool, SPACE)]


def stem(contents: list[Contents], seat: int, end_group: int) -> Float:
    """What a seat sent, each frame where the recorder put it: the truth about when it was said."""
    decoder, whole = Decoder(), np.zeros(end_group * TICK + RATE)
    for one in contents:
        for frame in one.frames:
            if frame.seat == seat:
                begin = frame.group * TICK
                whole[begin : begin + TICK] = decoder.decode(frame.opus, 1)
    return whole[LOOKAHEAD : end_group * TICK + LOOKAHEAD]


def place(heard: Float, said: Float) -> int:
    """Where in what was heard the speech begins, in samples: the highest cross-correlation, spectrum half flattened."""
    size = 1 << (len(heard) + len(said)).bit_length()
    cross = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size))
    return int(np.argmax(np.fft.irfft(cross / np.sqrt(np.abs(cross) + 1e-9), size)[: len(heard)]))


def lags_ms(heard: Float, own: Float) -> list[float]:
    """By how much somebody is heard later in the mix, for every second in which they talk most of the time."""
    found = []
    for begin in range(RATE // 2, len(own) - RATE - RATE // 2, RATE // 2):
        piece = own[begin : begin + RATE]
        loud = (piece.reshape(-1, TICK) ** 2).mean(axis=1) > 1e-4
        if loud.mean() > 0.5:
            reach = RATE // 4
            found.append((place(heard[begin - reach : begin + RATE + reach], piece) - reach) * 1000 / RATE)
    return found


async def test_four_who_talk_over_each_other_are_found_in_the_replay(tmp_path: Path) -> None:
    made = await recorded(tmp_path)
    path = str(made.directory / "audio.opus")
    heard = played(path).astype(np.float64) / 10 ** (made.summary.gain_db / 20)
    # What each sent, where the recorder put it: a loaded machine's speakers do not send as evenly as they speak.
    sent = [stem(made.contents, seat, made.end_group)[: len(heard)] for seat in range(4)]
    late_ms = [lags_ms(heard, own) for own in sent]
    delay = round(float(np.median([lag for own in late_ms for lag in own])) * RATE / 1000)
    total, aligned = np.sum(sent, axis=0), np.roll(heard, -delay)[: len(sent[0])]
    talks = slice(RATE // 2, int(13.5 * RATE))
    together = slice(int(7.2 * RATE), int(9.2 * RATE))
    whole, overlapped = (float(stoi(total[part], aligned[part], RATE)) for part in (talks, together))
    worst = [max(own, key=abs) for own in late_ms]
    print(f"late by {worst} ms at most; STOI {whole:.3f}, of four at once {overlapped:.3f}")
    for seat, (own, said) in enumerate(zip(sent, made.said, strict=True)):
        assert len(late_ms[seat]) >= 4
        survived = compare(said.astype(np.int16), (np.clip(own, -1, 1) * 32767).astype(np.int16))
        assert survived.stoi > 0.85, (seat, survived)
    assert all(abs(lag) <= 20 for own in late_ms for lag in own), late_ms
    assert whole > 0.95
    assert overlapped > 0.9
    assert loudness_lufs(path) == pytest.approx(-16, abs=0.5)
    assert duration_s(path) == pytest.approx(made.end_group * TICK_MS / 1000, abs=0.02)
    told = msgspec.json.decode((made.directory / "timeline.json").read_bytes(), type=Timeline)
    assert {person.account for person in told.people} == {"100", "101", "102", "103"}
    for person in told.people:
        own_sound = sent[int(person.account) - 100]
        whole_ticks = (own_sound[: len(own_sound) // TICK * TICK] * 32767).astype(np.int16).reshape(-1, TICK)
        turns = [(start * 20, end * 20) for start, end in spans(np.array([level(tick) < 50 for tick in whole_ticks]))]
        wrong_ms = _apart(turns, person.spans)
        print(f"{person.account}: {wrong_ms:.0f} ms of {sum(end - start for start, end in turns):.0f} ms told wrong")
        assert wrong_ms < 0.15 * sum(end - start for start, end in turns)


def _apart(one: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]) -> float:
    """Milliseconds in which one says that somebody speaks and the other does not."""
    marks = np.zeros((2, 60_000), bool)
    for row, turns in enumerate((one, other)):
        for start, end in turns:
            marks[row, int(start) : int(end)] = True
    return float((marks[0] != marks[1]).sum())
