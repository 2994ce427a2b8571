"""Cutting clips in the worker: all files, once, one at a time, the sound before the videos, no later than the log."""

from __future__ import annotations

import asyncio
import io
import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from PIL import Image
from pystoi import stoi

from spaces_ctl.media import clip_sound
from spaces_ctl.media.clip_names import FAILED, FILES, LATER, PLAYABLE, name_of
from spaces_ctl.media.clips import LATE_MS, cut, film, preview
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.requests import Cut, Film, Preview
from spaces_ctl.segments import Contents
from tests.support.clip_logs import RATE, STARTED_MS, Bench, contents, decoded, heard, mix, probe, speech

KEY = bytes(32)


def asked(clip: int = 1, start_ms: int = 2_000, end_ms: int = 7_000) -> Cut:
    return Cut(
        space=1,
        key=KEY,
        clip=clip,
        start_ms=start_ms,
        end_ms=end_ms,
        heading="Jazz",
        line="Clipped by Ann · what a line",
    )


async def settle() -> None:
    """The videos that were begun are made."""
    while running := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
        await asyncio.wait(running)


@pytest.fixture
def bench() -> Bench:
    bench = Bench([contents(mix(speech(10)))])
    bench.clock.advance(ms=60_000)
    return bench


async def test_a_clip_has_sound_picture_waveform_and_then_videos_and_ffmpeg_opens_them(
    bench: Bench, tmp_path: Path
) -> None:
    await cut(bench, asked())
    assert await bench.files_of(1) >= set(PLAYABLE)
    await settle()
    assert await bench.files_of(1) == FILES.keys()
    data = {file: await bench.objects.get(name_of(1, 1, file)) for file in FILES}
    for file in ("audio.opus", "audio.m4a", *LATER):
        assert abs(float(probe(data[file], tmp_path)["format"]["duration"]) - 5) < 0.02, file
    sound = decoded(data["audio.opus"], tmp_path)
    assert (decoded(data["video.webm"], tmp_path) == sound).all()
    assert len(sound) == 5 * RATE
    for file, codecs in (("video.webm", {"vp9", "opus"}), ("video.mp4", {"vp9", "aac"})):
        streams = probe(data[file], tmp_path)["streams"]
        assert {stream["codec_name"] for stream in streams} == codecs
        assert [stream["nb_read_frames"] for stream in streams if stream["codec_name"] == "vp9"] == ["50"]
    assert data["video.mp4"].index(b"moov") < data["video.mp4"].index(b"mdat")
    assert Image.open(io.BytesIO(data["waveform.png"])).size == (1200, 630)
    told = json.loads(data["waveform.json"])
    assert (told["length_ms"], told["step_ms"], len(told["peaks"])) == (5_000, 50, 100)


async def test_the_video_moves_with_the_sound(bench: Bench) -> None:
    await cut(bench, asked())
    await settle()
    with av.open(io.BytesIO(await bench.objects.get(name_of(1, 1, "video.webm"))), "r") as video:
        frames = [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]
    played = [(frame[372:522] > 240).sum() for frame in frames]
    assert played[0] < played[24] < played[49]
    assert np.abs(frames[0][:360].astype(int) - frames[49][:360]).mean() < 3  # only the waveform does


async def test_a_second_cut_of_the_same_clip_does_nothing(bench: Bench) -> None:
    await cut(bench, asked())
    await settle()
    reads = bench.reads
    before = {file: await bench.objects.get(name_of(1, 1, file)) for file in FILES}
    bench.asked.clear()
    await cut(bench, asked())
    await film(bench, Film(space=1, clip=1))
    assert bench.reads == reads
    assert bench.asked == []
    assert before == {file: await bench.objects.get(name_of(1, 1, file)) for file in FILES}


async def test_a_cut_that_was_interrupted_goes_on_where_it_was(bench: Bench) -> None:
    await cut(bench, asked())
    await settle()
    picture = name_of(1, 1, "waveform.png")
    await bench.objects.put(picture, b"kept")
    for file in ("audio.opus", "video.webm"):
        await bench.objects.delete(name_of(1, 1, file))
    await cut(bench, asked())
    await settle()
    assert await bench.files_of(1) == FILES.keys()
    assert await bench.objects.get(picture) == b"kept"


async def test_a_live_clip_waits_for_the_log_to_reach_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    packets = mix(speech(10))
    bench = Bench([contents([packet for packet in packets if packet.group < 330], closed=False)])
    bench.clock.advance(ms=7_000)  # it is asked for at its end; the last 0.4 s are not written yet

    async def sleep(seconds: float) -> None:
        await Bench.sleep(bench, seconds)
        if bench.slept_ms >= 500:
            bench.files = [contents(packets, closed=False)]

    monkeypatch.setattr(bench, "sleep", sleep)
    await cut(bench, asked())
    assert bench.slept_ms == 500
    with av.open(io.BytesIO(await bench.objects.get(name_of(1, 1, "audio.opus"))), "r") as file:
        sound = np.concatenate([frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)])
    assert np.abs(sound[-RATE // 4 :]).max() > 1000 / 32768
    await settle()


async def test_in_a_pause_nothing_is_written_and_the_wait_ends_two_seconds_after_the_clip() -> None:
    bench = Bench([contents([packet for packet in mix(speech(10)) if packet.group < 200], closed=False)])
    bench.clock.advance(ms=7_000)
    await cut(bench, asked())
    assert bench.slept_ms == LATE_MS == 2_000
    await settle()


async def test_a_clip_of_long_ago_waits_for_nothing(bench: Bench) -> None:
    bench.files = [contents([packet for packet in mix(speech(10)) if packet.group < 200], closed=False)]
    await cut(bench, asked())
    assert bench.slept_ms == 0
    await settle()


async def test_where_nothing_is_recorded_there_is_nothing_to_cut() -> None:
    bench = Bench([])
    with pytest.raises(MediaError) as refused:
        await cut(bench, asked())
    assert refused.value.code == "source.gone"
    assert await bench.files_of(1) == set()


async def test_on_the_last_try_it_is_written_down_that_nothing_is_there() -> None:
    bench = Bench([])
    await cut(bench, msgspec.structs.replace(asked(), last_try=True))
    assert await bench.files_of(1) == {FAILED}


async def test_a_hundred_cuts_at_once_are_made_one_at_a_time_and_all_before_the_videos(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, most = 0, 0
    real = clip_sound.decode

    async def counted(log: AsyncIterator[Contents], start: int, end: int) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        try:
            return await real(log, start, end)
        finally:
            under_way -= 1

    written: list[str] = []
    put = bench.objects.put

    async def noted(name: str, data: bytes) -> None:
        written.append(name)
        await put(name, data)

    monkeypatch.setattr(clip_sound, "decode", counted)
    monkeypatch.setattr(bench.objects, "put", noted)
    tracemalloc.start()
    cuts = [cut(bench, asked(clip, 2_000 + 20 * clip, 2_500 + 20 * clip)) for clip in range(1, 101)]
    await asyncio.gather(*cuts)
    await settle()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most == 1
    assert peak < 64 << 20
    assert len(written) == 100 * len(FILES)
    videos = [name.endswith(LATER) for name in written]
    # One video may have begun before the second cut was there.
    assert videos.index(True) == 4 or not any(videos[:400])
    assert sum(videos[: 400 + 2]) <= 2


async def test_a_video_of_a_clip_that_was_deleted_meanwhile_is_not_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spaces_ctl.media import clip_video

    real = clip_video.film

    async def deleted(*given: Any) -> bytes:
        made = await real(*given)
        await bench.objects.delete("spaces/1/clips/1")
        return made

    monkeypatch.setattr(clip_video, "film", deleted)
    await cut(bench, asked())
    await settle()
    assert bench.asked == ["film"]
    assert await bench.files_of(1) == set()


async def test_a_preview_is_the_mix_itself_and_leaves_nothing_behind(bench: Bench, tmp_path: Path) -> None:
    answer = await preview(bench, Preview(space=1, key=KEY, start_ms=2_000, end_ms=7_000))
    sound = decoded(answer.audio, tmp_path)
    assert len(sound) == 5 * RATE
    said = heard(mix(speech(10)), 400)[100 * 960 : 350 * 960]
    # Whoever decodes it takes away the encoder's delay, which listeners do not. ffmpeg's own decoder is another one.
    assert stoi(said[312:], sound[:-312], RATE) > 0.99
    lags = range(-96, 97, 48)
    alike = [np.corrcoef(said[RATE + 312 + lag : 3 * RATE + 312 + lag], sound[RATE : 3 * RATE])[0, 1] for lag in lags]
    assert int(np.argmax(alike)) == 2  # to the millisecond
    assert bench.clock.now_ms() == STARTED_MS + 60_000
    assert await bench.objects.list("spaces") == []
