"""`spaces bench`: measures servers, compares them, and plans with what was measured."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from spaces_ctl.cli.exits import Exit, Failure
from spaces_ctl.cli.output import Json, lines, print_json, table

if TYPE_CHECKING:
    from spaces_ctl.bench.measuring import Round
    from spaces_ctl.bench.plan import Plan
    from spaces_ctl.bench.rows import Measurement
    from spaces_ctl.bench.servers import Tools

app = typer.Typer(
    no_args_is_help=True,
    help="""Load a server with thousands of listeners, compare servers, plan for audiences that fit no machine.

    A server has core 0, load and speakers have core 1. What counts is frames of 20 ms delivered for a second of the
    server's own processor time, so a slow load flatters nobody; compare only rows with little loss and p99 <= 40 ms.
    Speakers stamp every frame with the time it was due, so a stall makes frames late and hides none.

    `run` and `compare` need the programs that `make bench-build` builds in a checkout; `compare` also the servers of
    `make bench-peers`. `plan` needs nothing.
    """,
)

T = TypeVar("T")


class Curve(StrEnum):
    """How listeners arrive."""

    LINEAR = "linear"
    STEPS = "steps"
    LOGISTIC = "logistic"


class TierName(StrEnum):
    """What they hear."""

    STAGE = "stage"
    MIX = "mix"


def _target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", "target"))


Programs = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where `load`, `speakers` and the others are; otherwise target/release."),
]
Peers = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where `make bench-peers` put moq-relay; otherwise target/bench/peers."),
]
Engine = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="A directory with the build of spaces_ctl to measure; otherwise target/bench/python, "
        "or the installed one.",
    ),
]
Out = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Append each round as a JSON line, with its whole distribution.")
]


def _tools(programs: Path | None, peers: Path | None, engine: Path | None) -> Tools:
    from spaces_ctl.bench.servers import Tools

    built = _target() / "bench" / "python"
    return Tools(
        programs=(programs or _target() / "release").absolute(),
        peers=(peers or _target() / "bench" / "peers").absolute(),
        engine=(engine or built).absolute() if engine or built.is_dir() else None,
    )


def _run(work: Coroutine[Any, Any, T]) -> T:
    from spaces_ctl.bench.errors import BenchFailed, Missing

    if len(os.sched_getaffinity(0)) < 2:
        work.close()
        raise Failure("two cores are needed: one for the server, one for the load", Exit.FAILED)
    try:
        return asyncio.run(work)
    except Missing as error:
        raise Failure(str(error), Exit.USAGE) from error
    except (BenchFailed, OSError) as error:
        raise Failure(str(error), Exit.FAILED) from error


def _tell(one: Measurement) -> None:
    """A line on stderr, so that standard output stays for the result."""
    p50, p99 = one.latency.quantile_ms(0.5), one.latency.quantile_ms(0.99)
    times = "nothing heard" if p50 is None or p99 is None else f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    storm = ""
    if one.joiners or one.joiners_failed:
        first = one.first_audio.quantile_ms(0.99)
        storm = f", {one.joiners} joined ({one.joiners_failed} failed), first audio p99 {first or 0:.0f} ms"
    print(
        f"{one.scenario}: {one.server} {one.tier}, {one.listeners} listeners, {one.speakers} speaker(s): "
        f"{one.frames_per_core_second:,.0f} frames/core-s, {one.listeners_per_core:,.0f} listeners/core, "
        f"loss {one.loss_ratio:.4%}, {times}, {one.bytes_per_listener / 1000:.1f} KB each, "
        f"load's core {one.load_cpu_seconds / one.seconds:.0%}{storm}"
        f"{f', {one.failed} never got in ({one.first_failure}): their frames are in the loss' if one.failed else ''}",
        file=sys.stderr,
        flush=True,
    )


@app.command()
def run(
    server: Annotated[str, typer.Option(help="spaces, plain-quinn, moq-relay, icecast or mumble-server.")] = "spaces",
    tier: Annotated[TierName, typer.Option(help="Every speaker's packets, or one mixed stream in 60 ms packets.")] = (
        TierName.STAGE
    ),
    listeners: Annotated[int, typer.Option(min=1, help="How many listen.")] = 1_000,
    speakers: Annotated[int, typer.Option(min=1, max=13, help="How many speak in each Space.")] = 1,
    spaces: Annotated[int, typer.Option(min=1, help="Spaces over which listeners are spread.")] = 1,
    shards: Annotated[int, typer.Option(min=1, help="The server's threads, pinned to cores 0, 1, …")] = 1,
    seconds: Annotated[int, typer.Option(min=1, help="How long is measured.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="How often.")] = 1,
    curve: Annotated[Curve, typer.Option(help="linear, steps (ten at once), or logistic.")] = Curve.LINEAR,
    joins: Annotated[float, typer.Option(min=1, help="Joins a second, on average.")] = 500,
    storm: Annotated[
        int, typer.Option(min=0, help="So many more a second join while it is measured, and leave after first audio.")
    ] = 0,
    stalled: Annotated[int, typer.Option(min=0, help="So many more never say anything again once they are in.")] = 0,
    tiny_windows: Annotated[int, typer.Option(min=0, help="So many more allow next to no data on streams.")] = 0,
    optimists: Annotated[int, typer.Option(min=0, help="So many more acknowledge what was never sent.")] = 0,
    loss: Annotated[
        float, typer.Option(min=0, max=1, help="Share of packets lost each way, emulated in the load.")
    ] = 0,
    jitter: Annotated[float, typer.Option(min=0, help="Packets to listeners take up to so many ms longer.")] = 0,
    seed: Annotated[int, typer.Option(help="Decides losses and delays.")] = 1,
    ack_frequency: Annotated[
        bool, typer.Option("--ack-frequency", help="Listeners offer ACK_FREQUENCY, which no browser does.")
    ] = False,
    awake: Annotated[
        bool, typer.Option("--awake", help="Keep the server's cores from sleeping, which on virtual machines is dear.")
    ] = False,
    connections_per_socket: Annotated[
        int, typer.Option(min=1, help="QUIC connections that share an address; few spread better over shards.")
    ] = 100,
    listen: Annotated[str, typer.Option(help="Address that the server binds.")] = "127.0.0.1",
    on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COMMAND",
            help="Put this in front of the load, such as 'ssh host-a taskset -c 1'; repeat for many hosts, which share "
            "the listeners. Their clocks must agree (PTP, chrony); --programs must name the same path everywhere.",
        ),
    ] = None,
    out: Out = None,
    programs: Programs = None,
    peers: Peers = None,
    engine: Engine = None,
    json: Json = False,
) -> None:
    """Measures one server under one load."""
    from spaces_ctl.bench import comparing, load
    from spaces_ctl.bench.measuring import JOINERS, Round

    arrival: load.Linear | load.Steps | load.Logistic = load.Linear(joins)
    if curve is Curve.STEPS:
        arrival = load.Steps(max(1, listeners // 10), max(1, listeners // 10) / joins)
    elif curve is Curve.LOGISTIC:
        arrival = load.Logistic(listeners / joins)
    others = []
    if storm:
        others.append(
            load.Group(
                name=JOINERS,
                tier=tier.value,
                listeners=storm * max(1, seconds - 1),
                curve=load.Linear(float(storm)),
                starts="on_begin",
                stays="until_audio",
            )
        )
    if stalled:
        others.append(load.Group(name="stalled", tier=tier.value, listeners=stalled, behaviour="stalled"))
    if tiny_windows:
        others.append(load.Group(name="tiny", tier=tier.value, listeners=tiny_windows, behaviour="tiny_windows"))
    if optimists:
        others.append(load.Group(name="optimists", tier=tier.value, listeners=optimists, behaviour="optimists"))
    what = Round(
        scenario="run",
        server=server,
        tier=tier.value,
        listeners=listeners,
        speakers=speakers,
        spaces=spaces,
        shards=shards,
        seconds=seconds,
        curve=arrival,
        network=load.Network(loss, jitter),
        seed=seed,
        ack_frequency=ack_frequency,
        awake=awake,
        connections_per_socket=connections_per_socket,
        others=others,
        host=listen,
        load_hosts=on or (),
    )
    measured = _rounds([what], rounds, _tools(programs, peers, engine), out)
    print_json(measured) if json else _print_rows(comparing.rows_of(measured))


def _rounds(whats: list[Round], rounds: int, tools: Tools, out: Path | None) -> list[Measurement]:
    from spaces_ctl.bench import comparing, rows
    from spaces_ctl.bench.errors import BenchFailed

    def told(one: Measurement) -> None:
        _tell(one)
        if out is not None:
            rows.append(out, one)

    def failed(what: Round, error: BenchFailed) -> None:
        print(f"{what.scenario}: {what.server}: {error}", file=sys.stderr, flush=True)

    return _run(comparing.compare(whats, rounds, tools, told, failed))


def _print_rows(rows: list[Any]) -> None:
    columns = rows[0].__struct_fields__
    table(columns, ([getattr(row, column) for column in columns] for row in rows))


@app.command()
def compare(
    listeners: Annotated[int, typer.Option(min=1, help="How many listen.")] = 1_000,
    speakers: Annotated[list[int] | None, typer.Option(min=1, max=13, help="How many speak; repeat.")] = None,
    server: Annotated[
        list[str] | None, typer.Option(help="Only these (repeat); otherwise all that are installed.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, help="How long each round is measured.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="How often; figures are medians. Servers alternate.")] = 5,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the rows here, as a JSON list.")] = None,
    out: Out = None,
    programs: Programs = None,
    peers: Peers = None,
    engine: Engine = None,
) -> None:
    """Servers side by side in one run: same listeners, same 32 kbit/s Opus in 20 ms frames, same cores."""
    import msgspec

    from spaces_ctl.bench import comparing
    from spaces_ctl.bench.measuring import Round
    from spaces_ctl.bench.servers import SERVERS

    whats = [
        Round(scenario="compare", server=name, listeners=listeners, speakers=count, seconds=seconds)
        for count in speakers or [1]
        for name in server or SERVERS
        if count == 1 or name != "icecast"
    ]
    measured = _rounds(whats, rounds, _tools(programs, peers, engine), out)
    rows = comparing.rows_of(measured)
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
    _print_rows(rows)
    lines("", comparing.LIVEKIT)


@app.command()
def limit(
    seconds: Annotated[int, typer.Option(min=1, help="How long each size is measured.")] = 2,
    segments: Annotated[
        list[int] | None, typer.Option(min=1, help="Packets to one peer in one message; repeat. Otherwise 1.")
    ] = None,
    programs: Programs = None,
    json: Json = False,
) -> None:
    """The ceiling of this machine: AES-128-GCM and sendmmsg alone, for the sizes of our packets."""
    from spaces_ctl.bench import limit as ceiling

    found = _run(ceiling.limit(_tools(programs, None, None), segments=segments or [1], seconds=seconds))
    print_json(found) if json else _print_rows(found)


@app.command()
def suite(
    directory: Annotated[Path, typer.Option(metavar="DIR", help="Where the measurements go.")] = Path("bench/results"),
    only: Annotated[list[str] | None, typer.Option(help="Only these scenarios; repeat.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each.")] = 5,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A thirtieth of everybody, for two seconds: shows that it works, not how fast."),
    ] = False,
    programs: Programs = None,
    peers: Peers = None,
    engine: Engine = None,
) -> None:
    """Measures all that bench/RESULTS.md consists of; takes an hour without --quick."""
    import json as plain_json

    from spaces_ctl.bench import limit as ceiling
    from spaces_ctl.bench import machine
    from spaces_ctl.bench.measuring import Round
    from spaces_ctl.bench.results import CEILINGS, MACHINE
    from spaces_ctl.bench.servers import SERVERS
    from spaces_ctl.bench.suite import FEWER, SCENARIOS
    from spaces_ctl.bench.suite import quick as shrunk

    compared = {"compare": [Round(scenario="compare", server=name) for name in SERVERS]}
    scenarios = {**compared, **SCENARIOS}
    unknown = [name for name in only or [] if name not in scenarios]
    if unknown:
        raise Failure(f"no scenario {unknown[0]!r}: {', '.join(scenarios)}", Exit.USAGE)
    tools = _tools(programs, peers, engine)
    directory.mkdir(parents=True, exist_ok=True)
    about = {"machine": machine.description(), "commands": ["make bench-peers", "make results"]}
    (directory / MACHINE).write_text(plain_json.dumps(about, indent=2) + "\n")
    for name in only or scenarios:
        whats = shrunk(scenarios[name]) if quick else scenarios[name]
        path = directory / f"{name}.jsonl"
        path.unlink(missing_ok=True)
        _rounds(whats, min(rounds, 3) if name in FEWER else rounds, tools, path)
        if name == "pairs-1-speaker":
            # Right behind what is compared with it.
            seconds = 1 if quick else 3
            found = [one for _ in range(rounds) for one in _run(ceiling.limit(tools, segments=[1, 4], seconds=seconds))]
            (directory / CEILINGS).write_bytes(_encoded(found))


def _encoded(value: Any) -> bytes:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


@app.command()
def results(
    directory: Annotated[Path, typer.Option(metavar="DIR", help="Where the measurements are.")] = Path("bench/results"),
    document: Annotated[Path, typer.Option(metavar="FILE", help="What is written.")] = Path("bench/RESULTS.md"),
    calibration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write what `spaces bench plan` is calibrated with.")
    ] = None,
) -> None:
    """Makes the document and its pictures of measurements."""
    from spaces_ctl.bench.errors import Missing
    from spaces_ctl.bench.results import write
    from spaces_ctl.bench.rows import BadResults

    try:
        lines(*map(str, write(directory, document, calibration)))
    except Missing as error:
        raise Failure(str(error), Exit.USAGE) from error
    except (BadResults, OSError) as error:
        raise Failure(str(error), Exit.FAILED) from error


@app.command()
def plan(
    listeners: Annotated[int, typer.Option(min=1, help="How many listen at the same time.")] = 1_000_000,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Measurements (.jsonl) or a calibration (.json); otherwise the shipped one."),
    ] = None,
    core_hour: Annotated[float, typer.Option(min=0, help="Price of a core for an hour, in your currency.")] = 0.02,
    gigabyte: Annotated[float, typer.Option(min=0, help="Price of 10^9 bytes that leave.")] = 0.005,
    relay_gigabyte: Annotated[float, typer.Option(min=0, help="What somebody else's relays take on top.")] = 0.0,
    utilisation: Annotated[float, typer.Option(min=0.01, max=1, help="Of a core that is used.")] = 0.6,
    cores: Annotated[int, typer.Option(min=1, help="Cores of an edge.")] = 8,
    link: Annotated[float, typer.Option(min=0.01, help="Gbit/s of an edge.")] = 10.0,
    talking: Annotated[float, typer.Option(min=0, max=13, help="Speakers heard at once, on average.")] = 1.3,
    json: Json = False,
) -> None:
    """What an audience needs: cores, bandwidth, machines, money. Every number says where it comes from."""
    from spaces_ctl.bench import calibration as calibrations
    from spaces_ctl.bench import plan as planning
    from spaces_ctl.bench.rows import BadResults

    assumptions = planning.Assumptions(
        core_hour=core_hour,
        gigabyte=gigabyte,
        relay_price=relay_gigabyte,
        utilisation=utilisation,
        cores_per_edge=cores,
        link_gbit=link,
        talking=talking,
    )
    try:
        known = calibrations.load_calibration(calibration) if calibration else calibrations.shipped()
        made = planning.plan(listeners, known, assumptions)
    except (BadResults, planning.NotCalibrated, OSError) as error:
        raise Failure(str(error), Exit.USAGE) from error
    print_json(made) if json else _print_plan(made)


def _print_plan(made: Plan) -> None:
    lines(f"{made.listeners:,} listeners at the same time.", f"Calibrated by {made.calibration}.")
    lines(*(f"  {name}: {value}" for name, value in sorted(made.machine.items())))
    for fleet in made.fleets:
        lines("", fleet.name)
        table(
            ("  what", "value", "unit", "source", "how"),
            (
                (
                    f"  {figure.name}",
                    f"{figure.value:,.4g}" if figure.value < 1e4 else f"{figure.value:,.0f}",
                    figure.unit,
                    figure.source,
                    figure.how,
                )
                for figure in fleet.figures
            ),
        )
    lines("", *(f"Not planned: {missing}." for missing in made.missing))
    lines("", "Assumptions; say them otherwise by the options (--help):")
    fields = made.assumptions.__struct_fields__
    lines(*(f"  {name.replace('_', ' ')}: {getattr(made.assumptions, name):g}" for name in fields))
