"""`spaces recording`: logs are checked, copied clean and made into audio files."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import pytest

from spaces_ctl import segments
from spaces_ctl.cli.exits import Exit
from spaces_ctl.segments import Gap, MixPacket, SeatFrame, SeatGiven
from tests.support.commands import spaces
from tests.support.segment_logs import LogWriter

SPACE = 4_711
SILENCE = segments.silence(1)
FILES = [(1, 0, range(50)), (1, 1, range(50, 100)), (2, 0, range(150, 200))]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two parts, the first of two files and killed, the second ended."""
    paths = []
    for part, sequence, groups in FILES:
        log = LogWriter(SPACE, part=part, sequence=sequence, start_group=groups.start)
        log.seat(SeatGiven(0, 3, 1, 42))
        if part == 2:
            log.gap(Gap(100, 50, "restart"))
        for group in groups:
            log.tick(group, [SeatFrame(group, 3, 1, 20, start=False, end=False, opus=SILENCE)])
            log.mix(MixPacket(group, 1, 8, bytes(13), start=False, end=False, opus=SILENCE))
        if sequence == 0:
            log.end(199) if part == 2 else log.close(49)
        paths.append(log.save(tmp_path / "recordings", SPACE))
    return paths[0].parent


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def seconds(path: Path) -> float:
    with av.open(str(path)) as container:
        return sum(frame.samples for frame in container.decode(audio=0)) / 48_000


def test_a_whole_recording_is_told_so(recording: Path, tmp_path: Path) -> None:
    ran = spaces("recording", "verify", str(recording), cwd=tmp_path)
    assert ran.code == Exit.OK, ran.err
    lines = ran.out.splitlines()
    assert [line.split()[1] for line in lines[1:4]] == ["closed", "open", "complete"]
    assert "0:00:03.00  0:00:04.00  1.00 s" in lines[3]
    assert lines[4].endswith("0:00:02.00 for 1000 ms: restart")
    told = spaces("recording", "verify", str(recording), "--json", cwd=tmp_path).json
    assert (told["damaged"], told["missing"]) == (False, [])
    assert [(row["part"], row["sequence"], row["duration_ms"], row["gaps"]) for row in told["files"]] == [
        (1, 0, 1000, 0),
        (1, 1, 1000, 0),
        (2, 0, 1000, 50),
    ]


def test_damage_of_every_kind_ends_with_its_exit_code(recording: Path, tmp_path: Path) -> None:
    first, second, third = sorted(recording.iterdir())
    whole = {path: path.read_bytes() for path in (first, second, third)}

    def verdict(*paths: Path) -> tuple[int, list[str], list[int]]:
        ran = spaces("recording", "verify", *map(str, paths or (recording,)), "--json", cwd=tmp_path)
        states = [row["state"] for row in ran.json["files"]]
        for path, data in whole.items():
            path.write_bytes(data)
        return ran.code, states, [row["damaged"] or 0 for row in ran.json["files"]]

    flip(second, 700)
    code, states, damaged = verdict()
    assert (code, states) == (Exit.DAMAGED, ["closed", "open, damaged", "complete"])
    assert damaged[1] > 0
    first.write_bytes(b"SPSEG")
    assert verdict()[:2] == (Exit.DAMAGED, ["unreadable", "open", "complete"])
    first.write_bytes(whole[first][:-30])
    assert verdict()[:2] == (Exit.DAMAGED, ["open", "open", "complete"]), "cut, though another follows"
    assert verdict(third)[:2] == (Exit.OK, ["complete"])
    second.write_bytes(whole[second][:-3])
    assert verdict()[0] == Exit.OK, "a killed writer leaves that"
    second.unlink()
    (recording / "part-0001.000002.seg").write_bytes(whole[second].replace(b"\0\0\0\1\0\0\0\1", b"\0\0\0\1\0\0\0\2"))
    ran = spaces("recording", "verify", str(recording), cwd=tmp_path)
    assert ran.code == Exit.DAMAGED


def test_a_missing_file_is_named(recording: Path, tmp_path: Path) -> None:
    log = LogWriter(SPACE, part=1, sequence=4, start_group=200)
    log.close(250)
    log.save(tmp_path / "recordings", SPACE)
    ran = spaces("recording", "verify", str(recording), "--json", cwd=tmp_path)
    assert ran.code == Exit.DAMAGED
    missing = [Path(name).name for name in ran.json["missing"]]
    assert missing == ["part-0001.000002.seg", "part-0001.000003.seg", "part-0001.000001.seg"]
    assert ran.json["missing"][2].startswith("end of ")


def test_repair_writes_copies_and_leaves_the_originals(recording: Path, tmp_path: Path) -> None:
    first, second, third = sorted(recording.iterdir())
    flip(first, 115)
    third.write_bytes(b"torn")
    before = {path: path.read_bytes() for path in recording.iterdir()}
    ran = spaces("recording", "repair", str(recording), "--to", "clean", "--json", cwd=tmp_path)
    assert ran.code == Exit.DAMAGED, "one file could not be read"
    assert {path: path.read_bytes() for path in recording.iterdir()} == before
    rows = {Path(row["file"]).name: row for row in ran.json}
    assert rows[first.name]["gaps"] == [{"from_group": 0, "groups": 1, "cause": "damage"}]
    assert rows[second.name]["lost_bytes"] == 0
    assert rows[third.name]["copy"] is None
    clean = tmp_path / "clean" / recording.name
    assert sorted(path.name for path in clean.iterdir()) == [first.name, second.name]
    assert spaces("recording", "verify", str(clean), cwd=tmp_path).code == Exit.OK
    again = spaces("recording", "repair", str(first), "--to", "clean", cwd=tmp_path)
    assert (again.code, "File exists" in again.err) == (Exit.USAGE, True), again.err


def test_export_makes_one_file_a_person_and_one_of_the_mix(recording: Path, tmp_path: Path) -> None:
    ran = spaces("recording", "export", str(recording), "--to", "out", "--gain", "-2", "--wav", "--json", cwd=tmp_path)
    assert ran.code == Exit.OK, ran.err
    names = sorted(Path(row["file"]).name for row in ran.json)
    assert names == ["account-42.opus", "account-42.wav", "mix.opus", "mix.wav"]
    for name in names:
        assert seconds(tmp_path / "out" / name) == 4.0
    with wave.open(str(tmp_path / "out" / "mix.wav")) as sound:
        assert (sound.getnframes(), sound.getframerate(), sound.getsampwidth()) == (4 * 48_000, 48_000, 2)


def test_what_cannot_be_done_is_said_in_one_line(recording: Path, tmp_path: Path) -> None:
    other = LogWriter(7)
    other.close(0)
    other.save(tmp_path / "recordings", 7)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "part-0001.000000.seg").write_bytes(b"SPSEG\x1a\r\n\x00\x01" + bytes(60))
    for arguments, code, words in [
        (("verify", "nowhere"), Exit.USAGE, "no such file"),
        (("verify", "empty"), Exit.USAGE, "no segment logs"),
        (("export", "recordings", "--to", "out"), Exit.USAGE, "together"),
        (("export", str(recording), "--to", "out", "--gain", "200"), Exit.USAGE, "gain"),
        (("export", "bad", "--to", "out"), Exit.DAMAGED, "version 1"),
        (("repair", str(recording), "--to", "/proc/nothing"), Exit.USAGE, "/proc/nothing"),
    ]:
        ran = spaces("recording", *arguments, cwd=tmp_path)
        assert (ran.code, len(ran.err.splitlines()), words in ran.err) == (code, 1, True), ran.err
