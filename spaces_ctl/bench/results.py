"""bench/RESULTS.md, from the raw measurements beside it: nothing in it is written by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from spaces_ctl.bench.calibration import calibrate
from spaces_ctl.bench.comparing import LIVEKIT
from spaces_ctl.bench.limit import Ceiling
from spaces_ctl.bench.plots import draw
from spaces_ctl.bench.rows import BadResults, Measurement, median, paired, read
from spaces_ctl.bench.targets import targets

__all__ = ["Run", "markdown", "read_run", "write"]

CEILINGS, MACHINE = "limit.json", "machine.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All that one run of the suite left behind."""

    measurements: list[Measurement]
    ceilings: list[Ceiling]
    machine: dict[str, str]
    commands: list[str]


def read_run(directory: Path) -> Run:
    """What lies in a directory of results. Raises BadResults and OSError."""
    measurements = [one for path in sorted(directory.glob("*.jsonl")) for one in read(path)]
    if not measurements:
        raise BadResults(f"{directory} has no measurements (*.jsonl)")
    try:
        ceilings_at, machine_at = directory / CEILINGS, directory / MACHINE
        ceilings = msgspec.json.decode(ceilings_at.read_bytes(), type=list[Ceiling]) if ceilings_at.exists() else []
        about = json.loads(machine_at.read_text()) if machine_at.exists() else {}
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadResults(f"{directory}: {error}") from None
    return Run(
        measurements=measurements,
        ceilings=ceilings,
        machine=about.get("machine", {}),
        commands=about.get("commands", []),
    )


def write(directory: Path, document: Path, calibration: Path | None) -> list[Path]:
    """Writes the document, the pictures beside the measurements, and what the plan is calibrated with.

    Raises BadResults, Missing (matplotlib) and OSError.
    """
    run = read_run(directory)
    pictures = draw(run.measurements, directory)
    document.write_text(markdown(run, [path.relative_to(document.parent) for path in pictures]))
    written = [document, *pictures]
    if calibration is not None:
        made = calibrate(run.measurements, f"bench/RESULTS.md, commit {_commits(run.measurements)}", run.machine)
        calibration.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
        written.append(calibration)
    return written


def _commits(measurements: Sequence[Measurement]) -> str:
    return ", ".join(sorted({one.commit for one in measurements if one.commit})) or "unknown"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + " --- |" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _ms(one: float | None) -> str:
    return "–" if one is None else f"{one:.1f}"


def _groups(measurements: Sequence[Measurement]) -> list[list[Measurement]]:
    """Rounds of the same thing together, in the order in which they came first."""
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for one in measurements:
        key = (one.scenario, one.server, one.version, one.tier, one.listeners, one.speakers, one.spaces, one.shards)
        groups.setdefault((*key, one.loss, one.jitter_ms, one.ack_frequency, one.awake), []).append(one)
    return list(groups.values())


def _what(one: Measurement) -> str:
    others = one.scenario.removeprefix("hostile-") if one.scenario.startswith("hostile-") else ""
    extras = [
        f"{one.spaces} Spaces" if one.spaces > 1 else "",
        f"{one.shards} shards" if one.shards > 1 else "",
        f"{one.loss:.0%} loss" if one.loss else "",
        f"{one.jitter_ms:g} ms jitter" if one.jitter_ms else "",
        "ACK_FREQUENCY" if one.ack_frequency else "",
        "core awake" if one.awake else "",
        "" if others in ("", "none") else f"beside {others.replace('-', ' ')}",
    ]
    return ", ".join([one.tier, *filter(None, extras)])


def _row(rounds: Sequence[Measurement]) -> list[str]:
    first = rounds[0]
    p50 = [found for one in rounds if (found := one.latency.quantile_ms(0.5)) is not None]
    p99 = [found for one in rounds if (found := one.latency.quantile_ms(0.99)) is not None]
    return [
        f"{first.server} {first.version}",
        _what(first),
        f"{first.listeners:,}",
        str(first.speakers),
        f"{median(one.frames_per_core_second for one in rounds):,.0f}",
        f"{median(one.listeners_per_core for one in rounds):,.0f}",
        f"{median(one.loss_ratio for one in rounds):.4%}",
        f"{_ms(median(p50) if p50 else None)} / {_ms(median(p99) if p99 else None)}",
        f"{median(one.bytes_per_listener for one in rounds) / 1000:,.1f}",
        f"{median(one.load_cpu_seconds / one.seconds for one in rounds):.2f}",
        str(len(rounds)),
    ]


_HEAD = (
    "server",
    "what",
    "listeners",
    "speakers",
    "frames/core-s",
    "listeners/core",
    "loss",
    "p50 / p99 ms",
    "KB each",
    "load's CPU",
    "rounds",
)


def markdown(run: Run, pictures: Sequence[Path]) -> str:
    """The document."""
    commits = _commits(run.measurements)
    lines = [
        "# Results",
        "",
        "Made by `make results` from the measurements in `results/`; what columns mean stands in `docs/benchmarks.md`.",
        "",
        f"Commit {commits}.",
        "",
        *_table(("machine", ""), [[name, value] for name, value in sorted(run.machine.items())]),
        "",
    ]
    broken = sum(one.broken for one in run.measurements)
    checked = sum(one.checked for one in run.measurements)
    lines += [f"{checked:,} payloads were checked byte by byte; {broken:,} were not what was sent.", ""]
    if aims := targets(run.measurements, run.ceilings):
        rows = [[aim.what, aim.wanted, aim.measured, "yes" if aim.reached else "**no**"] for aim in aims]
        lines += ["## Targets", "", *_table(("what", "wanted", "measured (medians)", "reached"), rows), ""]
    names = list(dict.fromkeys(one.scenario.split("-")[0] for one in run.measurements))
    for name in names:
        rounds = [one for one in run.measurements if one.scenario.split("-")[0] == name]
        lines += [f"## {name.capitalize()}", "", *_table(_HEAD, [_row(group) for group in _groups(rounds)]), ""]
        lines += _ratios(rounds) + _storm(rounds)
        if _commits(rounds) != commits:
            lines += [f"Measured at commit {_commits(rounds)}.", ""]
        if name == "compare":
            lines += [LIVEKIT, ""]
    lines += _limit(run)
    if pictures:
        lines += ["## Pictures", "", *(f"![{path.stem}]({path.as_posix()})" for path in pictures), ""]
    lines += ["## Commands", "", "```", *run.commands, "```", ""]
    return "\n".join(lines)


def _ratios(measurements: Sequence[Measurement]) -> list[str]:
    """Ours against plain quinn, round by round: the median of the pairs' ratios."""
    lines = []
    loads = dict.fromkeys((one.scenario, one.listeners, one.speakers) for one in measurements)
    for load in loads:
        same = [one for one in measurements if (one.scenario, one.listeners, one.speakers) == load]
        ours = [one for one in same if one.server == "spaces"]
        base = [one for one in same if one.server == "plain quinn"]
        if (ratio := paired(ours, base, lambda one: one.frames_per_core_second)) is not None:
            lines += [f"{load[0]}, against plain quinn: {ratio}.", ""]
    return lines


def _storm(measurements: Sequence[Measurement]) -> list[str]:
    lines = []
    for one in measurements:
        if one.joiners or one.joiners_failed:
            lines += [
                f"{one.joiners:,} joined meanwhile, {one.joiners_failed:,} could not; join to first audio p50 / p99 "
                f"{_ms(one.first_audio.quantile_ms(0.5))} / {_ms(one.first_audio.quantile_ms(0.99))} ms; of those who "
                f"listened the worst lost {one.worst_listener_loss:.4%}.",
                "",
            ]
    return lines


def _limit(run: Run) -> list[str]:
    if not run.ceilings:
        return []
    sizes = list(dict.fromkeys((one.size, one.segments) for one in run.ceilings))
    best = {
        size: median(one.packets_per_core_second for one in run.ceilings if (one.size, one.segments) == size)
        for size in sizes
    }
    rows = [[str(size), str(together), f"{value:,.0f}"] for (size, together), value in best.items()]
    return ["## Limit", "", *_table(("bytes", "packets a message", "packets per core-second"), rows), ""]
