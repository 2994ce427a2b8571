"""Packets in, lines out: pauses, gaps, what is shed when the recogniser cannot keep up, and what is forgotten."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from spaces_ctl.captions.messages import Heard
from spaces_ctl.captions.recogniser import RATE
from spaces_ctl.captions.room import Packet, Room
from spaces_ctl.captions.voice import Budget, VoiceLimits
from tests.support.captions import CountingRecogniser, opus_packets

LOUD = opus_packets((np.sin(np.arange(RATE * 4) / 5) * 8000).astype(np.int16))
SEAT, GENERATION = 3, 9


class Bench:
    """A room whose packets come in real time of a clock that is moved by hand."""

    def __init__(self, *, streams: int = 4, queue_ms: int = 60_000, limits: VoiceLimits | None = None) -> None:
        self.recogniser = CountingRecogniser()
        self.budget = Budget(streams=streams, queue_ms=queue_ms)
        self.told: list[Heard] = []
        self.room = Room(1, "en", self.recogniser, self.budget, self.told.append, limits=limits)
        self.room.allow({SEAT: GENERATION})
        self.group = 0

    async def speak(self, ms: int, *, seats: tuple[int, ...] = (SEAT,), level: int = 20) -> None:
        for n in range(ms // 20):
            for seat in seats:
                self.room.packet(Packet(self.group, seat, GENERATION, level, LOUD[n % len(LOUD)]), self.group / 50)
            await self.pass_()

    async def silence(self, ms: int) -> None:
        for _ in range(ms // 20):
            await self.pass_()

    async def pass_(self) -> None:
        self.group += 1
        if self.group % 5 == 0:
            self.room.look(self.group / 50)
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def final(self) -> list[tuple[int, int, int, str]]:
        return [(one.line, one.start_ms, one.end_ms, one.text) for one in self.told if one.final]

    async def end(self) -> None:
        await self.room.finish()
        await self.room.aclose()
        assert self.budget.open == self.budget.waiting_ms == 0
        await self.recogniser.aclose()


async def test_a_pause_ends_the_line_and_times_are_the_spaces() -> None:
    bench = Bench()
    bench.group = 1_000
    await bench.speak(2_000)
    assert [round((one.end_ms - 20_000) / 400) for one in bench.told] == [1, 2, 3, 4, 5]
    assert bench.final == []
    await bench.silence(2_000)
    begin = 1_000 * 20
    (final,) = bench.final
    assert final[:2] == (0, begin)
    assert begin + 3_100 <= final[2] <= begin + 3_500, "speech, and silence until the pause was sure"
    assert bench.budget.open == 0, "whoever is silent holds no stream"
    await bench.speak(400)
    await bench.end()
    assert bench.final[1][:2] == (1, begin + 4_000)


async def test_what_is_missing_within_speech_is_silence_of_the_same_length() -> None:
    bench = Bench()
    await bench.speak(400)
    bench.group += 10  # lost, or not sent (DTX)
    await bench.speak(400)
    await bench.end()
    sound = np.concatenate(bench.recogniser.fed)
    assert abs(len(sound) - RATE) < RATE * 0.03
    level = [np.abs(sound[at : at + 320].astype(int)).mean() for at in range(0, len(sound) - 320, 320)]
    assert min(level[:19]) > 1_000
    assert max(level[22:28]) < 100
    assert min(level[32:48]) > 1_000
    assert len(bench.final) == 1


async def test_a_quiet_microphone_is_not_speech_and_holds_no_stream() -> None:
    bench = Bench()
    await bench.speak(3_000, level=90)
    assert bench.recogniser.opened == []
    await bench.end()


async def test_sound_without_words_gives_the_stream_back() -> None:
    bench = Bench(limits=VoiceLimits(nothing_ms=2_000))
    bench.recogniser.mute = True
    await bench.speak(2_000)
    assert len(bench.recogniser.opened) == 1
    assert bench.budget.open == 0
    await bench.speak(800)
    assert len(bench.recogniser.opened) == 2
    await bench.end()
    assert bench.told == []


async def test_a_recogniser_that_falls_behind_sheds_whole_stretches_and_marks_them() -> None:
    bench = Bench(limits=VoiceLimits(queue_ms=2_000))
    await bench.speak(400)
    bench.recogniser.go.clear()
    most = 0
    for _ in range(50):
        await bench.speak(200)
        most = max(most, bench.budget.waiting_ms)
    assert most <= 2_000
    assert bench.budget.shed_ms == pytest.approx(8_000, abs=500)
    bench.recogniser.go.set()
    await bench.speak(800)
    gaps = [one for one in bench.told if not one.text]
    assert len(gaps) == 1
    assert gaps[0].final
    assert gaps[0].end_ms - gaps[0].start_ms == bench.budget.shed_ms
    await bench.end()
    lines = sorted(bench.final, key=lambda line: line[1])
    assert [bool(text) for *_, text in lines] == [True, False, True]
    assert len({line for line, *_ in lines}) == 3
    assert lines[0][2] <= lines[1][1] <= lines[1][2] <= lines[2][1], "the gap lies between what was recognised"


async def test_all_voices_together_are_bounded() -> None:
    bench = Bench(queue_ms=3_000)
    bench.room.allow({1: GENERATION, 2: GENERATION, 3: GENERATION})
    bench.recogniser.go.clear()
    for _ in range(20):
        await bench.speak(200, seats=(1, 2, 3))
        assert bench.budget.waiting_ms <= 3_000
    assert bench.budget.shed_ms > 6_000
    bench.recogniser.go.set()
    await bench.end()


async def test_more_speakers_than_streams_are_marked_and_take_their_turn() -> None:
    bench = Bench(streams=1)
    bench.room.allow({1: GENERATION, 2: GENERATION})
    await bench.speak(400, seats=(1,))
    await bench.speak(1_600, seats=(1, 2))
    assert {one.seat for one in bench.told} == {1}
    await bench.silence(2_000)
    gap = [one for one in bench.told if one.seat == 2]
    assert [one.text for one in gap] == [""]
    assert gap[0].start_ms == 400
    await bench.speak(800, seats=(2,))
    await bench.end()
    assert bench.told[-1].seat == 2
    assert bench.told[-1].text


async def test_a_recogniser_that_fails_is_asked_again_after_a_while() -> None:
    bench = Bench()
    bench.recogniser.fail = True
    await bench.speak(1_600)
    assert len(bench.recogniser.opened) == 1
    await bench.speak(1_600)
    await bench.end()
    assert len(bench.recogniser.opened) == 2
    gap, said = sorted(bench.final, key=lambda line: line[1])
    assert gap[1] == 0
    assert gap[3] == ""
    assert 2_000 <= gap[2] <= said[1]


async def test_of_those_who_may_not_be_captioned_nothing_is_kept() -> None:
    bench = Bench()
    await bench.speak(2_000, seats=(1, 2, 4))
    for n in range(100):
        bench.room.packet(Packet(bench.group + n, SEAT, GENERATION - 1, 20, LOUD[n]), 1.0)
    assert bench.budget.waiting_ms == 0
    assert bench.recogniser.opened == []
    await bench.end()


@pytest.mark.parametrize("again", [{}, {SEAT: GENERATION + 1}], ids=["withdrawn", "another holder"])
async def test_who_withdraws_is_forgotten_with_what_waits(again: dict[int, int]) -> None:
    bench = Bench()
    await bench.speak(800)
    bench.recogniser.go.clear()
    await bench.speak(1_400)
    told = len(bench.told)
    bench.room.allow(again)
    bench.recogniser.go.set()
    await bench.silence(3_000)
    assert len(bench.told) == told
    assert bench.budget.waiting_ms == bench.budget.open == 0
    fed = len(bench.recogniser.fed)
    await bench.speak(800)
    assert len(bench.recogniser.fed) == fed
    await bench.end()


async def test_late_and_repeated_packets_are_not_heard_twice() -> None:
    bench = Bench()
    for group in (0, 1, 2, 1, 0, 2, 3):
        bench.room.packet(Packet(group, SEAT, GENERATION, 20, LOUD[group]), 0.1)
    assert bench.budget.waiting_ms == 80
    await bench.end()
