"""Segment logs from Python: read, listed, verified, repaired, made into Ogg Opus files."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from spaces_ctl import segments
from spaces_ctl.engine import Engine, EngineConfig
from spaces_ctl.segments import BadLog, Gap, MixPacket, SeatFrame, SeatGiven
from tests.support.segment_logs import LogWriter

SPACE = 987_654_321
GOLDEN = Path(__file__).parents[2] / "engine-rs/core/tests/data/segment.hex"
SILENCE = segments.silence(1)


def mix(group: int, ticks: int = 1, opus: bytes | None = None) -> MixPacket:
    opus = segments.silence(ticks) if opus is None else opus
    return MixPacket(group, ticks, 0b1, bytes([30] + [127] * 12), start=False, end=False, opus=opus)


def frame(group: int, seat: int = 0, generation: int = 1, opus: bytes = SILENCE) -> SeatFrame:
    return SeatFrame(group, seat, generation, 30, start=False, end=False, opus=opus)


def a_log(groups: range, *, part: int = 1, sequence: int = 0) -> LogWriter:
    log = LogWriter(SPACE, part=part, sequence=sequence, start_group=groups.start)
    log.seat(SeatGiven(groups.start, 0, 1, 42))
    for group in groups:
        log.tick(group, [frame(group)])
        log.mix(mix(group))
    return log


def samples(path: Path) -> int:
    """Decoded by ffmpeg's own decoder."""
    with av.open(str(path)) as container:
        return sum(decoded.samples for decoded in container.decode(audio=0))


def opusinfo(path: Path) -> str:
    done = subprocess.run(["opusinfo", str(path)], capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    assert not any(word in text.lower() for word in ("warning", "error", "invalid")), text
    return text


def test_the_golden_file_of_the_format_is_read() -> None:
    contents = segments.read(bytes.fromhex(GOLDEN.read_text()))
    assert (contents.space, contents.part, contents.sequence) == (0x0123456789ABCDEF, 3, 17)
    assert (contents.started_at_ms, contents.first_group, contents.last_group) == (1_700_000_000_123, 7, 10)
    assert (contents.closed, contents.final, contents.damaged_bytes) == (True, True, 0)
    assert contents.seats == [SeatGiven(7, 12, 2, 42)]
    assert contents.gaps == [Gap(1, 6, "restart")]
    assert contents.frames == [
        SeatFrame(8, 0, 2, 30, start=True, end=False, opus=b"\xf8\xff\xfe"),
        SeatFrame(8, 12, 2, 30, start=True, end=False, opus=b"x"),
    ]
    levels = bytes([30] + [127] * 12)
    assert contents.mix == [MixPacket(7, 3, 0b1000000000001, levels, start=False, end=True, opus=b"\xfb\x03\xff\xfe")]


def test_what_the_support_writes_is_what_the_recorder_writes() -> None:
    log = LogWriter(0x0123456789ABCDEF, part=3, sequence=17, start_group=7, started_at_ms=1_700_000_000_123)
    golden = bytes.fromhex(GOLDEN.read_text())
    assert golden.startswith(log.bytes[:48])
    log.seat(SeatGiven(7, 12, 2, 42))
    log.gap(Gap(1, 6, "restart"))
    assert golden.startswith(log.bytes)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "shorter than its header"),
        (b"OggS" + bytes(60), "not a segment log"),
        (b"SPSEG\x1a\r\n\x00\x01" + bytes(60), "version 1"),
        (a_log(range(2)).bytes[:20] + b"\xff\xff" + a_log(range(2)).bytes[22:], "header is damaged"),
    ],
)
def test_what_is_no_log_is_a_typed_error(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadLog, match=words) as raised:
        segments.read(data)
    assert isinstance(raised.value, ValueError)
    path = tmp_path / "x.seg"
    path.write_bytes(data)
    for call in (
        lambda: segments.verify(path),
        lambda: segments.repair(path, tmp_path / "to"),
        lambda: segments.export([path], tmp_path / "out"),
        lambda: segments.export([data], tmp_path / "out"),
    ):
        with pytest.raises(BadLog, match=words):
            call()
    assert not (tmp_path / "to").exists()


def test_files_are_listed_in_order_and_only_the_newest_of_a_part_may_be_open(tmp_path: Path) -> None:
    assert segments.files(tmp_path, SPACE) == []
    for part, sequence, closed in [(2, 0, True), (1, 1, False), (1, 0, True), (2, 1, True), (3, 0, False)]:
        log = a_log(range(10), part=part, sequence=sequence)
        if closed:
            log.close(9)
        log.save(tmp_path, SPACE)
    (tmp_path / str(SPACE) / "part-0001.mix.opus").touch()
    found = [(file.part, file.sequence, file.closed) for file in segments.files(tmp_path, SPACE)]
    assert found == [(1, 0, True), (1, 1, False), (2, 0, True), (2, 1, True), (3, 0, False)]


def test_damage_is_told_repaired_and_marked_and_the_original_left_alone(tmp_path: Path) -> None:
    log = a_log(range(100, 300))
    path = log.save(tmp_path, SPACE)
    whole = segments.verify(path)
    assert (whole.whole, whole.closed, whole.frames, whole.mix_packets) == (True, False, 200, 200)
    data = bytearray(log.bytes[:-5])
    at = len(a_log(range(100, 150)).bytes) + 12
    data[at] ^= 0x40  # the tick of group 150
    path.write_bytes(data)
    report = segments.verify(path)
    assert (report.whole, report.frames, report.mix_packets) == (False, 199, 199)
    assert [damage.offset for damage in report.damage] == [at - 12]
    assert report.torn_bytes > 0
    clean = tmp_path / "clean.seg"
    told, gaps = segments.repair(path, clean)
    assert told == report
    assert gaps == [Gap(150, 1, "damage")]
    assert path.read_bytes() == data
    mended = segments.verify(clean)
    assert (mended.whole, mended.closed, mended.frames, mended.gaps) == (True, True, 199, gaps)
    with pytest.raises(FileExistsError):
        segments.repair(path, clean)
    with pytest.raises(FileNotFoundError):
        segments.verify(tmp_path / "nothing")


def test_one_wrong_byte_of_the_header_is_put_right() -> None:
    data = bytearray(a_log(range(5)).bytes)
    data[30] ^= 0x80
    contents = segments.read(bytes(data))
    assert (contents.space, len(contents.frames), contents.damaged_bytes) == (SPACE, 5, 1)


def test_parts_are_exported_as_one_timeline(tmp_path: Path) -> None:
    first, second = a_log(range(50)), a_log(range(150, 250), part=2)
    second.end(249)
    second_path = second.save(tmp_path, SPACE)
    made = segments.export([second_path, first.bytes], tmp_path / "out", gain_db=-3.5)
    assert [path.name for path in made] == ["account-42.opus", "mix.opus"]
    for path in made:
        assert samples(path) == 250 * 960
        info = opusinfo(path)
        assert ("Playback gain: -3.5 dB" in info) == (path.name == "mix.opus"), info
    with pytest.raises(ValueError, match="no logs"):
        segments.export([], tmp_path / "none")
    with pytest.raises(ValueError, match="together"):
        segments.export([first.bytes, LogWriter(7).bytes], tmp_path / "two")


@pytest.mark.parametrize("ticks", [1, 2, 3])
@pytest.mark.parametrize(("start", "end"), [(100, 150), (101, 151), (102, 149)])
def test_a_file_is_as_long_as_its_groups_wherever_packets_lie(tmp_path: Path, ticks: int, start: int, end: int) -> None:
    # Packets every `ticks` groups from 90 on, with a hole.
    packets = [(group, ticks, segments.silence(ticks)) for group in range(90, 160, ticks) if not 120 <= group < 130]
    path = tmp_path / "file.opus"
    path.write_bytes(segments.ogg(packets, start_group=start, end_group=end, tags={"TITLE": "Ein schöner Abend"}))
    assert samples(path) == (end - start) * 960
    assert "TITLE=Ein schöner Abend" in opusinfo(path)
    early = segments.ogg(packets, start_group=start - 4, end_group=end, pre_skip=segments.LOOKAHEAD + 4 * 960)
    path.write_bytes(early)
    assert samples(path) == (end - start) * 960
    opusinfo(path)


def test_what_cannot_be_a_file_is_refused() -> None:
    packets = [(5, 1, SILENCE), (4, 1, SILENCE)]
    refused: list[tuple[str, Callable[[], object]]] = [
        ("comes after", lambda: segments.ogg(packets, start_group=0, end_group=9)),
        ("no recording", lambda: segments.ogg([], start_group=9, end_group=0)),
        ("no recording", lambda: segments.ogg([], start_group=0, end_group=1 << 60)),
        ("gain", lambda: segments.ogg([], start_group=0, end_group=9, gain_db=128.0)),
        ("pre-skip", lambda: segments.ogg([], start_group=0, end_group=1, pre_skip=2_000)),
        ("comment", lambda: segments.ogg([], start_group=0, end_group=9, tags={"A=B": "x"})),
        ("ticks", lambda: segments.silence(4)),
    ]
    for words, call in refused:
        with pytest.raises(ValueError, match=words):
            call()
    assert segments.ogg([(3, 1, b"\xf1\x00"), (4, 1, b"")], start_group=0, end_group=9) == segments.ogg(
        [], start_group=0, end_group=9
    ), "what is no Opus packet is silence"


def test_building_a_file_lets_other_threads_run() -> None:
    packets = [(group, 1, SILENCE) for group in range(0, 400_000, 2)]
    counted, stop = 0, threading.Event()

    def count() -> None:
        nonlocal counted
        while not stop.is_set():
            counted += 1
            time.sleep(0)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        before = counted
        segments.ogg(packets, start_group=0, end_group=400_000)
        during = counted - before
    finally:
        stop.set()
        thread.join()
    assert during > 10


async def test_the_engine_takes_the_length_of_files_and_does_without_tracks(tmp_path: Path) -> None:
    for wrong in (0, 199, 60_001):
        with pytest.raises(ValueError, match="segment_ms"):
            async with Engine(EngineConfig(recordings=tmp_path, segment_ms=wrong)):
                pass
    async with Engine(EngineConfig(recordings=tmp_path, segment_ms=200, recording_tracks=False)) as engine:
        assert await engine.recordings(SPACE) == []
