"""The archive that a creator downloads: what is in it, that it is in time, and that its making is bounded."""

from __future__ import annotations

import io
import json
import subprocess
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spaces_ctl.media import exporting
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.exporting import export
from spaces_ctl.media.handouts import ExportBundle, ReviewTrack, WhoSpeaks
from spaces_ctl.media.objects import StoreUnavailable
from spaces_ctl.media.reviewing import review_track, who_speaks
from spaces_ctl.segments import Contents, Gap, SeatGiven
from tests.support.clip_logs import STARTED_MS, Bench, Pcm, contents, decoded, snr_db
from tests.support.spoken_logs import ANN_AT, BEN_AT, FILE_GROUPS, log, spoken, voice

TICK = 960
ANN, BEN = 7, 8


@pytest.fixture(scope="module")
def files() -> list[Contents]:
    """20 s: Ann from second 2 for 6 s, Ben from second 10 for 5 s."""
    return log(spoken(), 1_000, ANN, BEN, gaps=[Gap(900, 10, "queue")])


@pytest.fixture
def bench(files: list[Contents]) -> Bench:
    return Bench(files)


def bundle(**more: object) -> ExportBundle:
    given: dict[str, Any] = {
        "space": 1,
        "key": bytes(32),
        "name": "spaces/1/export/1/space.zip",
        "from_group": 0,
        "to_group": 1_000,
        "gain_db": 3.5,
        "people": {ANN: "ann", BEN: "ben"},
        "metadata": b'{"title":"Tea"}',
        "captions": b"WEBVTT\n",
        "made_ms": STARTED_MS,
    }
    return ExportBundle(**(given | more))


async def made(bench: Bench, **more: object) -> zipfile.ZipFile:
    request = bundle(**more)
    done = await export(bench, request)
    data = await bench.objects.get(request.name)
    assert done.bytes == len(data)
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert tuple(archive.namelist()) == done.files
    return archive


def wav(archive: zipfile.ZipFile, name: str) -> Pcm:
    data = archive.read(name)
    assert data[:4] == b"RIFF"
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    return np.frombuffer(data[44:], np.int16)


async def test_it_has_mix_stems_timeline_captions_and_metadata_and_unzip_takes_it(bench: Bench, tmp_path: Path) -> None:
    archive = await made(bench)
    assert set(archive.namelist()) == {
        "mix.opus", "people/ann.opus", "people/ann.wav", "people/ben.opus", "people/ben.wav",
        "timeline.json", "captions.vtt", "metadata.json",
    }  # fmt: skip
    (tmp_path / "it.zip").write_bytes(await bench.objects.get("spaces/1/export/1/space.zip"))
    subprocess.run(["unzip", "-tq", tmp_path / "it.zip"], check=True, capture_output=True)
    for name in ("mix.opus", "people/ann.opus"):
        (tmp_path / "one.opus").write_bytes(archive.read(name))
        subprocess.run(["opusinfo", tmp_path / "one.opus"], check=True, capture_output=True)
    told = json.loads(archive.read("timeline.json"))
    assert told == {
        "duration_ms": 20_000,
        "people": [
            {"account": "7", "name": "ann", "spans": [[2_000, 8_000]]},
            {"account": "8", "name": "ben", "spans": [[10_000, 15_000]]},
        ],
        "gaps": [{"from_ms": 18_000, "to_ms": 18_200, "cause": "queue"}],
    }
    assert json.loads(archive.read("metadata.json")) == {"title": "Tea"}
    assert archive.read("captions.vtt") == b"WEBVTT\n"
    assert archive.getinfo("mix.opus").date_time[0] == 2023


async def test_everybodys_sound_is_at_its_time_to_a_tenth_of_a_millisecond_and_silence_elsewhere(bench: Bench) -> None:
    archive = await made(bench)
    for name, number, at, seconds in (("ann", 0, ANN_AT, 6), ("ben", 1, BEN_AT, 5)):
        sound = wav(archive, f"people/{name}.wav")
        assert len(sound) == 1_000 * TICK
        begin, end = at * TICK, (at + seconds * 50) * TICK
        said = voice(number, seconds)
        spectrum = np.fft.rfft(sound[begin:end].astype(float)) * np.conj(np.fft.rfft(said.astype(float)))
        lag = int(np.argmax(np.fft.irfft(spectrum)))
        assert min(lag, end - begin - lag) <= 5, f"{name} is {lag} samples late"
        assert snr_db(said, sound[begin:end]) > 3
        assert not sound[: begin - TICK].any()
        assert not sound[end + TICK :].any()


async def test_opus_and_wav_of_a_person_are_the_same_sound(bench: Bench, tmp_path: Path) -> None:
    archive = await made(bench)
    (tmp_path / "ben.opus").write_bytes(archive.read("people/ben.opus"))
    # Xiph's own: ffmpeg's decoder is two samples late in SILK frames.
    command = ["opusdec", "--quiet", "--no-dither", "--rate", "48000", "ben.opus", "ben.wav"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    opus = np.frombuffer((tmp_path / "ben.wav").read_bytes()[44:], np.int16)
    sound = wav(archive, "people/ben.wav")
    assert len(opus) == len(sound)
    assert snr_db(sound, opus) > 40


async def test_a_part_of_the_recording_has_what_is_in_it_and_nothing_else(bench: Bench) -> None:
    archive = await made(bench, to_group=400)
    assert "people/ben.wav" not in archive.namelist()
    assert len(wav(archive, "people/ann.wav")) == 400 * TICK
    told = json.loads(archive.read("timeline.json"))
    assert told["people"][0]["spans"] == [[2_000, 8_000]]


async def test_names_that_no_file_can_have_and_the_same_name_twice(bench: Bench) -> None:
    archive = await made(bench, people={ANN: "../../etc/x", BEN: "etc-x"})
    assert {"people/etc-x.wav", "people/etc-x-8.wav"} <= set(archive.namelist())
    archive = await made(bench, people={}, captions=b"")
    assert "people/7.wav" in archive.namelist()
    assert "captions.vtt" not in archive.namelist()


async def test_without_a_mix_and_without_holders_nothing_is_lost(files: list[Contents]) -> None:
    archive = await made(Bench([replace(file, mix=[], seats=[]) for file in files]))
    assert [name for name in archive.namelist() if name.endswith(".wav")] == ["people/0.wav"]
    assert "mix.opus" not in archive.namelist()


async def test_of_nothing_nothing_is_made(files: list[Contents]) -> None:
    bench = Bench([])
    with pytest.raises(MediaError) as refused:
        await made(bench)
    assert refused.value.code == "source.gone"
    assert await bench.objects.list("spaces") == []


async def test_a_log_that_breaks_off_leaves_no_object(files: list[Contents], monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(files)
    whole = bench.contents

    async def breaking(space: int, from_group: int, to_group: int) -> AsyncIterator[Contents]:
        async for file in whole(space, from_group, to_group):
            if bench.reads > 3:
                raise StoreUnavailable("gone")
            yield file

    monkeypatch.setattr(bench, "contents", breaking)
    with pytest.raises(StoreUnavailable):
        await made(bench)
    assert await bench.objects.list("spaces") == []


async def test_the_same_frame_in_spool_and_store_is_heard_once(files: list[Contents]) -> None:
    twice = [one for file in files for one in (file, file)]
    assert (wav(await made(Bench(twice)), "people/ann.wav") == wav(await made(Bench(files)), "people/ann.wav")).all()


async def test_long_ones_are_made_in_parts(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(exporting, "_PART_GROUPS", 600)
    archive = await made(bench)
    assert {"mix-1.opus", "mix-2.opus", "people/ann-1.opus", "people/ann.wav"} <= set(archive.namelist())
    assert abs(len(decoded(archive.read("mix-2.opus"), tmp_path)) - 400 * TICK) <= TICK


async def test_memory_is_bounded_by_a_part_not_by_the_length(
    files: list[Contents], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five minutes of which Ann speaks all: her WAV alone has 29 MB."""
    monkeypatch.setattr(exporting, "_PART_GROUPS", 3_000)
    packet = files[0].frames[0]
    bench = Bench([])
    total = 0

    async def endless(space: int, from_group: int, to_group: int) -> AsyncIterator[Contents]:
        for first in range(from_group - from_group % FILE_GROUPS, to_group, FILE_GROUPS):
            spoken = [replace(packet, group=first + tick) for tick in range(FILE_GROUPS)]
            yield replace(
                contents([], sequence=first, first_group=first, last_group=first + FILE_GROUPS - 1),
                frames=spoken,
                seats=[SeatGiven(first, 0, 1, ANN)],
            )

    async def swallow(name: str, pieces: AsyncIterator[bytes]) -> None:
        nonlocal total
        async for piece in pieces:
            total += len(piece)

    monkeypatch.setattr(bench, "contents", endless)
    monkeypatch.setattr(bench.objects, "put_stream", swallow)
    tracemalloc.start()
    try:
        await export(bench, bundle(to_group=15_000))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > 1_000_000
    assert most < 8_000_000


async def test_a_review_has_who_speaks_and_each_alone_or_all(bench: Bench, tmp_path: Path) -> None:
    stretch: dict[str, Any] = {"space": 1, "key": bytes(32), "from_group": 450, "to_group": 650}
    told = await who_speaks(bench, WhoSpeaks(**stretch))
    assert told.mix
    assert [(one.account, one.spoke_ms) for one in told.people] == [(BEN, 3_000)]
    for account in (None, BEN):
        sound = await review_track(bench, ReviewTrack(**stretch, account=account))
        heard = decoded(sound.ogg, tmp_path)
        assert abs(len(heard) - 200 * TICK) <= TICK
        assert heard.any()
    with pytest.raises(MediaError) as refused:
        await review_track(bench, ReviewTrack(**stretch, account=ANN))
    assert refused.value.code == "source.gone"
    assert await bench.objects.list("spaces") == [], "nothing is kept"
