"""The packager while a Space is live: restarts, a store that fails, packets that come twice or too late."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pystoi import stoi

from spaces_ctl.media.fragments import Codec, Sample, fragment, initialisation, read
from spaces_ctl.media.gapless import Gapless
from spaces_ctl.media.ledger import Ledger
from spaces_ctl.media.objects import Objects, StoreUnavailable
from spaces_ctl.media.opus import filling, ticks_of
from spaces_ctl.media.packaging import SILENT_LUFS, Packager, ReplaySummary
from spaces_ctl.media.publishing import manifest
from spaces_ctl.segments import Gap, MixPacket
from tests.support.mixes import files
from tests.support.players import duration_s, played
from tests.support.replay_world import ANN, BEN, FIRST, PREFIX, packaged, talk


def packager(objects: Objects) -> Packager:
    return Packager(objects, PREFIX, first_group=FIRST)


async def everything(objects: Objects) -> dict[str, bytes]:
    return {name: await objects.get(name) for name, _ in await objects.list(PREFIX)}


class Failing(Objects):
    """A store that refuses a share of all writes at random."""

    def __init__(self, objects: Objects, seed: int, share: float = 0.5) -> None:
        super().__init__(objects._store)
        self.share = share
        self.random = random.Random(seed)
        self.refused = 0

    async def put(self, name: str, data: bytes) -> None:
        if self.random.random() < self.share:
            self.refused += 1
            raise StoreUnavailable("not now")
        await super().put(name, data)


async def test_nothing_is_public_while_it_is_live() -> None:
    objects, made = Objects.memory(), talk()
    live = packager(objects)
    for contents in made.files[:10]:
        await live.add(contents)
    names = [name for name, _ in await objects.list(PREFIX)]
    assert any("hls/opus-" in name for name in names), "segments are made while the Space is live"
    assert not any(name.endswith((".m3u8", "init.mp4", ".opus", "replay.json")) for name in names)


@pytest.mark.parametrize("at", [1, 9, 21])
async def test_a_restart_goes_on_where_the_process_died(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opus is the same to the byte; AAC, whose encoder began anew, to the ear; nothing is made twice."""
    made = talk()
    whole, cut = Objects.open(str(tmp_path / "whole")), Objects.open(str(tmp_path / "cut"))
    uninterrupted = packager(whole)
    for contents in made.files:
        await uninterrupted.add(contents)
    first = packager(cut)
    for contents in made.files[:at]:
        await first.add(contents)
    stored = {name for name, _ in await cut.list(PREFIX)}
    second, written, put = packager(cut), list[str](), cut.put

    async def noted(name: str, data: bytes) -> None:
        written.append(name)
        await put(name, data)

    with monkeypatch.context() as patch:
        patch.setattr(cut, "put", noted)
        for contents in made.files:
            await second.add(contents)
    assert stored.isdisjoint(written)
    summaries = [await one.finish(made.end_group) for one in (uninterrupted, second)]
    assert summaries[0] == replace_loudness(summaries[1], summaries[0])
    for one in (uninterrupted, second):
        await one.complete()
    expected, found = await everything(whole), await everything(cut)
    assert expected.keys() == found.keys()
    assert [name for name in expected if "opus" in name and expected[name] != found[name]] == []
    heard = [played(str(tmp_path / name / PREFIX / "audio.m4a")) for name in ("whole", "cut")]
    assert len(heard[0]) == len(heard[1])
    border = at * 4 // 6 * 6  # the segment that was made anew first begins around here
    around = slice(max(0, border - 6) * 48_000, (border + 6) * 48_000)
    if np.abs(heard[0][around]).max() > 0.05:
        assert stoi(heard[0][around], heard[1][around], 48_000) > 0.995


def replace_loudness(summary: ReplaySummary, like: ReplaySummary) -> ReplaySummary:
    """The loudness may differ by what the filter's tail is worth."""
    assert summary.loudness_lufs == pytest.approx(like.loudness_lufs, abs=0.01)
    return msgspec.structs.replace(summary, loudness_lufs=like.loudness_lufs, gain_db=like.gain_db)


@pytest.mark.parametrize("seed", range(3))
async def test_a_store_that_fails_loses_nothing(seed: int) -> None:
    made = talk()
    good, bad = Objects.memory(), Objects.memory()
    failing = Failing(bad, seed)
    expected, live = packager(good), packager(failing)
    for contents in made.files:
        await expected.add(contents)
        while True:
            try:
                await live.add(contents)
                break
            except StoreUnavailable:
                continue
    summary = await expected.finish(made.end_group)
    while True:
        try:
            assert await live.finish(made.end_group) == summary
            break
        except StoreUnavailable:
            continue
    while True:
        try:
            await live.complete()
            break
        except StoreUnavailable:
            continue
    await expected.complete()
    assert failing.refused > 20
    assert await everything(bad) == await everything(good)


async def test_finish_may_be_repeated() -> None:
    objects, made = Objects.memory(), talk()
    live = packager(objects)
    for contents in made.files:
        await live.add(contents)
    summary = await live.finish(made.end_group)
    before = await everything(objects)
    assert await live.finish(made.end_group) == summary
    assert await packager(objects).finish(made.end_group) == summary
    assert await everything(objects) == before


async def test_what_comes_twice_or_too_late_changes_nothing() -> None:
    made = talk()
    plain, messy = Objects.memory(), Objects.memory()
    one, other = packager(plain), packager(messy)
    stray = MixPacket(0, 3, 1, bytes(13), False, False, b"\xff" * 20)
    for contents in made.files:
        await one.add(contents)
        # A packet of the file before, one from before the recording, and the same file again.
        await other.add(replace(contents, mix=[stray, *contents.mix]))
        await other.add(contents)
    assert await one.finish(made.end_group) == await other.finish(made.end_group)
    assert await everything(plain) == await everything(messy)


async def test_a_recording_in_which_nobody_spoke_is_silence(tmp_path: Path) -> None:
    objects = Objects.open(str(tmp_path))
    live = packager(objects)
    for contents in files([], end_group=FIRST + 1000):
        await live.add(contents)
    summary = await live.finish(FIRST + 1000)
    await live.complete()
    assert (summary.duration_ms, summary.gain_db, summary.loudness_lufs) == (20_000, 0.0, SILENT_LUFS)
    for name in ("audio.opus", "audio.m4a", "hls/main.m3u8"):
        path = str(tmp_path / PREFIX / name)
        assert duration_s(path) == pytest.approx(20, abs=0.02)
        assert not np.abs(played(path)).max() > 1e-4
    assert (await objects.get(f"{PREFIX}/timeline.json")) == b'{"duration_ms":20000,"people":[],"gaps":[]}'


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 50, 299, 300, 301])
async def test_recordings_of_any_length(groups: int, tmp_path: Path) -> None:
    objects = Objects.open(str(tmp_path))
    live = packager(objects)
    mix = [packet for contents in talk().files for packet in contents.mix if packet.group < FIRST + groups]
    for contents in files(mix, end_group=FIRST + groups):
        await live.add(contents)
    summary = await live.finish(FIRST + groups)
    await live.complete()
    assert summary.duration_ms == groups * 20
    assert duration_s(str(tmp_path / PREFIX / "audio.opus")) == pytest.approx(groups * 0.02, abs=0.02)
    assert len(played(str(tmp_path / PREFIX / "audio.m4a"))) / 48_000 == pytest.approx(groups * 0.02, abs=0.02)


async def test_who_speaks_and_what_is_missing_is_told(tmp_path: Path) -> None:
    objects, made = Objects.memory(), talk()
    gap = Gap(from_group=FIRST + 1500, groups=100, cause="queue")
    live = packager(objects)
    for contents in made.files:
        own = [gap] if contents.first_group <= gap.from_group <= contents.last_group else []
        await live.add(replace(contents, gaps=own))
    await live.finish(made.end_group)
    told = json.loads(await objects.get(f"{PREFIX}/timeline.json"))
    assert [person["account"] for person in told["people"]] == [str(ANN), str(BEN)]
    assert told["people"][1]["spans"][0][0] == pytest.approx(80_000, abs=300)
    assert told["gaps"] == [{"from_ms": 30_000, "to_ms": 32_000, "cause": "queue"}]


async def test_seats_and_gaps_outlive_a_restart() -> None:
    objects = Objects.memory()
    live = packager(objects)
    made = talk()
    for contents in made.files[:12]:
        await live.add(contents)
    # The new process gets only what is new to the recorder: as a worker that trusts the ledger would hand it on.
    again = packager(objects)
    for contents in made.files[9:]:
        await again.add(replace(contents, seats=[]))
    await again.finish(made.end_group)
    ledger = await Ledger.load(objects, PREFIX)
    assert ledger.given == {(0, 0, ANN), (0, 1, BEN)}


packets = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 3)).map(
        lambda at: MixPacket(at[0], at[1], 1, bytes(13), False, False, b"\xf8\xff\xfe")
    ),
    max_size=60,
)


@given(packets=packets, first=st.integers(0, 50), fill=st.lists(st.integers(0, 500), max_size=5))
def test_pieces_have_no_hole_and_do_not_overlap(packets: list[MixPacket], first: int, fill: list[int]) -> None:
    gapless = Gapless(first)
    pieces = [piece for packet in packets for piece in gapless.take(packet)]
    pieces += [piece for until in fill for piece in gapless.fill(until)]
    place = first
    for piece in pieces:
        assert piece.group == place
        assert 1 <= piece.ticks <= 3
        place = piece.end
    assert gapless.next == place


@given(st.integers(-3, 100))
def test_filling_lasts_as_long_as_asked(ticks: int) -> None:
    made = list(filling(ticks))
    assert sum(own for own, _ in made) == max(0, ticks)
    assert all(ticks_of(opus) == own for own, opus in made)


def test_a_segment_of_packets_of_one_size_is_read_back() -> None:
    """The muxer then leaves the sizes out of each sample's entry."""
    alike = [Sample(b"\xf8\xff\xfe", 960)] * 10
    assert read(fragment(Codec.OPUS, alike, 0, 1)) == alike
    mixed_lengths = [Sample(b"\xf8\xff\xfe", 960), Sample(b"\xfb\x02\xff\xfe\xff\xfe", 1920)]
    assert read(fragment(Codec.OPUS, mixed_lengths, 48_000, 7)) == mixed_lengths


@pytest.mark.parametrize("gain", [-20.0, -0.5, 0.0, 3.25, 20.0])
def test_the_gain_stands_in_the_initialisation_segment(gain: float, tmp_path: Path) -> None:
    made = initialisation(Codec.OPUS, gain)
    place = made.index(b"dOps") + 4
    assert made[place : place + 4] == bytes([0, 1]) + (312).to_bytes(2, "big")
    assert int.from_bytes(made[place + 8 : place + 10], "big", signed=True) == round(gain * 256)


async def test_segments_end_on_packet_borders_near_six_seconds() -> None:
    objects, made = Objects.memory(), talk()
    await packaged(made, objects)
    ledger = await Ledger.load(objects, PREFIX)
    begins = {packet.group for contents in made.files for packet in contents.mix}
    begins |= {one.group for one in ledger.segments if one.group - FIRST > 1000}  # in the silence there is no packet
    for number, one in enumerate(ledger.segments):
        assert one.number == number
        assert 0 <= one.group - FIRST - 300 * number < 3
        assert one.group == FIRST or one.group in begins
    assert ledger.segments[-1].end == made.end_group
    found = await manifest(objects, PREFIX)
    assert found is not None
    assert found.segments == len(ledger.segments) == 17
