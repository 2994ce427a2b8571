"""The replay's start is moved: what lies before is gone, what is left is the same, and it can be moved back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.fragments import read
from spaces_ctl.media.objects import Objects, StoreUnavailable
from spaces_ctl.media.opus import Decoder, ticks_of
from spaces_ctl.media.publishing import manifest
from spaces_ctl.media.trimming import trim_replay
from spaces_ctl.segments import Contents
from tests.media.test_packaging import Failing, everything
from tests.media.test_replay_sound import lag_ms
from tests.support.mixes import archive
from tests.support.players import duration_s, loudness_lufs, played
from tests.support.replay_world import ANN, BEN, PREFIX, packaged, talk

RATE = 48_000


def source(from_group: int, to_group: int) -> AsyncIterator[Contents]:
    return archive(talk().files, from_group, to_group)


def nothing(from_group: int, to_group: int) -> AsyncIterator[Contents]:
    raise AssertionError("a later start needs nothing of the source")


@pytest.fixture
async def objects(tmp_path: Path) -> Objects:
    kept = Objects.open(str(tmp_path))
    await packaged(talk(), kept)
    return kept


def path(objects: Objects, name: str) -> str:
    return f"{objects.local}/{PREFIX}/{name}"


@pytest.mark.parametrize("start_ms", [20, 1_500, 6_000, 7_540, 11_990, 50_000, 84_000])
async def test_begins_there_in_every_form(objects: Objects, start_ms: int) -> None:
    whole, pcm = talk(), talk().pcm
    start_ms = start_ms // 20 * 20
    summary = await trim_replay(objects, PREFIX, nothing, start_ms)
    left_s = whole.seconds - start_ms / 1000
    assert summary.duration_ms == round(left_s * 1000)
    for name in ("audio.opus", "audio.m4a", "hls/opus.m3u8", "hls/aac.m3u8"):
        heard = played(path(objects, name))
        assert len(heard) / RATE == pytest.approx(left_s, abs=0.045), name
        # AAC begins with a whole frame: up to 21 ms late in a file, in its place in HLS.
        assert abs(lag_ms(heard, pcm[start_ms * 48 :], 86 - start_ms / 1000, 4)) < 22, name
    assert duration_s(path(objects, "audio.opus")) == pytest.approx(left_s, abs=0.02)
    assert abs(lag_ms(played(path(objects, "audio.opus")), pcm[start_ms * 48 :], 86 - start_ms / 1000, 4)) < 2
    assert loudness_lufs(path(objects, "audio.opus")) == pytest.approx(-16, abs=0.5)


async def test_nothing_from_before_is_left(objects: Objects) -> None:
    """Not in a segment, not in a file, not in the waveform: a name that somebody kept leads nowhere."""
    start_ms = 13_000
    made = [packet for contents in talk().files for packet in contents.mix]
    manifest_before = await manifest(objects, PREFIX)
    assert manifest_before is not None
    await trim_replay(objects, PREFIX, nothing, start_ms)
    border = manifest_before.first_group + start_ms // 20
    before = [packet.opus for packet in made if packet.group < border and len(packet.opus) > 8]
    assert len(before) > 200
    kept = await everything(objects)
    for name, data in kept.items():
        if "opus" in name:
            assert not any(opus in data for opus in before), name
    assert not {name for name in kept if "/opus-000000" in name or "/aac-000001" in name}
    assert sum("-from-" in name for name in kept) == 2
    told = json.loads(kept[f"{PREFIX}/timeline.json"])
    assert [person["account"] for person in told["people"]] == [str(ANN), str(BEN)]
    assert told["people"][1]["spans"][0][0] == pytest.approx(80_000 - start_ms, abs=300)
    assert all(end <= 7_100 for _, end in told["people"][0]["spans"])
    peaks = json.loads(kept[f"{PREFIX}/peaks.json"])
    assert peaks["length"] * peaks["samples_per_pixel"] / RATE == pytest.approx(87.26, abs=0.2)


async def test_moved_back_it_is_as_it_was(objects: Objects) -> None:
    before = await everything(objects)
    await trim_replay(objects, PREFIX, nothing, 40_000)
    await trim_replay(objects, PREFIX, source, 2_000)
    await trim_replay(objects, PREFIX, source, 30_000)
    await trim_replay(objects, PREFIX, source, 0)
    after = await everything(objects)
    assert before.keys() == after.keys()
    # What was deleted is made again: Opus to the byte, AAC by an encoder that began later.
    other = ("aac", "audio.m4a", "replay.json")
    assert [name for name in before if before[name] != after[name] and not any(one in name for one in other)] == []
    assert len(played(path(objects, "audio.m4a"))) == pytest.approx(talk().seconds * RATE, abs=1024)


async def test_the_first_packet_is_whole_and_in_its_place(objects: Objects) -> None:
    """The start lies in the middle of a packet: silence until the next one, none is cut."""
    await trim_replay(objects, PREFIX, nothing, 6_020)
    first = next(iter(Path(path(objects, "hls")).glob("opus-from-*.m4s")))
    packets = read(first.read_bytes())
    assert ticks_of(packets[0].data) * 960 == packets[0].duration
    assert not np.abs(Decoder().decode(packets[0].data, ticks_of(packets[0].data))).any()
    assert packets[1].data in {packet.opus for contents in talk().files for packet in contents.mix}


async def test_broken_off_anywhere_it_is_done_the_next_time(objects: Objects) -> None:
    other = Objects.memory()
    await packaged(talk(), other)
    await trim_replay(objects, PREFIX, source, 9_000)
    failing = Failing(other, 1, 0.2)  # of some dozen writes all have to be taken in one attempt
    attempts = 0
    while True:
        attempts += 1
        try:
            await trim_replay(failing, PREFIX, source, 9_000)
            break
        except StoreUnavailable:
            continue
    assert attempts > 3
    assert await everything(other) == await everything(objects)


async def test_beyond_the_end_something_is_left(objects: Objects) -> None:
    assert (await trim_replay(objects, PREFIX, nothing, 10**9)).duration_ms == 20


async def test_where_there_is_no_replay_none_is_trimmed() -> None:
    with pytest.raises(MediaError, match=r"source\.gone"):
        await trim_replay(Objects.memory(), PREFIX, nothing, 1000)
