"""`spaces recording`: the segment logs on this machine: are they whole, clean copies of them, audio files from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spaces_ctl.cli.exits import Exit, Failure
from spaces_ctl.cli.output import Json, lines, print_json, table

if TYPE_CHECKING:
    from spaces_ctl.segments import Report

app = typer.Typer(
    no_args_is_help=True, help="Recordings on this machine. PATH: a file of a log, or a directory of such."
)

Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files of logs, or directories.")]
To = Annotated[Path, typer.Option("--to", metavar="DIRECTORY", help="Where to; it is made if need be.")]


@app.command()
def verify(paths: Paths, json: Json = False) -> None:
    """Checks every byte of logs, and that no file is missing between others; exit code 6 if something is damaged."""
    found = _Checked(_logs(paths))
    rows = [_row(path, report) for path, report in found.files]
    if json:
        print_json({"files": rows, "missing": found.missing, "damaged": found.damaged})
    else:
        columns = ("file", "state", "from", "to", "duration", "damaged", "torn", "gaps")
        table(columns, ([row[column] for column in columns] for row in rows))
        for path, report in found.files:
            gaps = report.gaps if report else []
            lines(*(f"{path}: {_time(gap.from_group)} for {gap.groups * 20} ms: {gap.cause}" for gap in gaps))
        lines(*(f"missing: {name}" for name in found.missing))
    if found.damaged:
        raise typer.Exit(Exit.DAMAGED)


@app.command()
def repair(paths: Paths, to: To, json: Json = False) -> None:
    """Writes clean, closed copies in which gaps mark what is lost; exit code 6 if a file cannot be read at all.

    The originals stay as they are. A copy has its original's name, below a directory of the same name.
    """
    from spaces_ctl import segments

    rows: list[dict[str, Any]] = []
    for path in _logs(paths):
        copy = to / path.parent.name / path.name
        with _answers(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                report, gaps = segments.repair(path, copy)
            except segments.BadLog as error:
                rows.append({"file": path, "copy": None, "lost_bytes": path.stat().st_size, "error": str(error)})
                continue
        lost = sum(damage.bytes for damage in report.damage) + report.torn_bytes
        marked = [{"from_group": gap.from_group, "groups": gap.groups, "cause": gap.cause} for gap in gaps]
        rows.append({"file": path, "copy": copy, "lost_bytes": lost, "gaps": marked})
    if json:
        print_json(rows)
    else:
        cells = (
            (row["file"], row.get("error") or row["copy"], row["lost_bytes"], len(row.get("gaps", []))) for row in rows
        )
        table(("file", "copy", "lost bytes", "gaps marked"), cells)
    if any("error" in row for row in rows):
        raise typer.Exit(Exit.DAMAGED)


@app.command()
def export(
    paths: Paths,
    to: To,
    gain: Annotated[float, typer.Option(metavar="DB", help="Gain of the mix, which players apply.")] = 0.0,
    wav: Annotated[bool, typer.Option("--wav", help="WAV files (16 bit, 48 kHz), too.")] = False,
    json: Json = False,
) -> None:
    """Makes one Ogg Opus file a person and one of the mix, all as long as the whole recording of one Space."""
    from spaces_ctl import segments

    logs = _logs(paths)
    with _answers(to):
        try:
            made = segments.export(logs, to, gain_db=gain)
        except segments.BadLog as error:
            raise Failure(f"{error}: `spaces recording repair` leaves such files out", Exit.DAMAGED) from error
        except ValueError as error:
            raise Failure(str(error), Exit.USAGE) from error
        if wav:
            made += [_wav(path) for path in made]
    if json:
        print_json([{"file": path, "bytes": path.stat().st_size} for path in made])
    else:
        lines(*map(str, made))


class _Checked:
    """Reports of files, and what is wrong with them together."""

    def __init__(self, paths: Sequence[Path]) -> None:
        from spaces_ctl import segments

        self.files: list[tuple[Path, Report | None]] = []
        for path in paths:
            with _answers(path):
                try:
                    self.files.append((path, segments.verify(path)))
                except segments.BadLog:
                    self.files.append((path, None))
        self.missing: list[str] = []
        self.damaged = any(report is None or bool(report.damage) for _, report in self.files)
        known = [(path.parent, report) for path, report in self.files if report is not None]
        for (parent, before), (next_parent, after) in pairwise(known):
            if (parent, before.part) != (next_parent, after.part):
                continue
            for sequence in range(before.sequence + 1, after.sequence):
                self.missing.append(str(parent / f"part-{before.part:04}.{sequence:06}.seg"))
            # Only the last file of a part may lack its end: its writer was killed, or still writes.
            if not before.closed:
                self.missing.append(f"end of {parent / f'part-{before.part:04}.{before.sequence:06}.seg'}")
        self.damaged = self.damaged or bool(self.missing)


def _row(path: Path, report: Report | None) -> dict[str, Any]:
    if report is None:
        return {"file": path, "state": "unreadable", "bytes": path.stat().st_size} | dict.fromkeys(
            ("from", "to", "duration", "damaged", "torn", "gaps")
        )
    state = "complete" if report.final else "closed" if report.closed else "open"
    damaged = sum(damage.bytes for damage in report.damage)
    return {
        "file": path,
        "state": f"{state}, damaged" if damaged else state,
        "space": report.space,
        "part": report.part,
        "sequence": report.sequence,
        "bytes": report.bytes,
        "from": _time(report.first_group),
        "to": _time(report.last_group + 1),
        "duration": f"{report.duration_ms / 1000:.2f} s",
        "duration_ms": report.duration_ms,
        "frames": report.frames,
        "mix_packets": report.mix_packets,
        "damaged": damaged,
        "torn": report.torn_bytes,
        "gaps": sum(gap.groups for gap in report.gaps),
    }


def _time(group: int) -> str:
    """Time since the Space's start."""
    seconds, ticks = divmod(group, 50)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ticks * 2:02}"


def _logs(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant. Raises Failure if there are none."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(path.rglob("part-*.seg"))
        elif path.exists():
            found.append(path)
        else:
            raise Failure(f"{path}: no such file or directory", Exit.USAGE)
    if not found:
        raise Failure("no segment logs (part-*.seg) there", Exit.USAGE)
    return found


@contextmanager
def _answers(path: Path) -> Iterator[None]:
    """What the file system says, in one line."""
    try:
        yield
    except OSError as error:
        raise Failure(f"{error.filename or path}: {error.strerror or error}", Exit.USAGE) from error


def _wav(source: Path) -> Path:
    """Decodes a file beside it."""
    import av

    target = source.with_suffix(".wav")
    with av.open(str(source)) as opus, av.open(str(target), "w", format="wav") as out:
        (track,) = opus.streams.audio
        pcm = out.add_stream("pcm_s16le", rate=48_000, layout=track.layout.name)
        resampler = av.AudioResampler(format="s16", layout=track.layout.name, rate=48_000)
        for decoded in opus.decode(track):
            for frame in resampler.resample(decoded):
                out.mux(pcm.encode(frame))
        out.mux(pcm.encode(None))
    return target
