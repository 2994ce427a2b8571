"""perf beside a server: what its threads were doing, with the functions that the compiler has inlined."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.profile.categories import Frame, Sample
from spaces_ctl.bench.errors import BenchFailed, Missing
from spaces_ctl.bench.processes import child

__all__ = ["Stack", "parse", "read", "recording"]

HERTZ = 1_997
"""Prime, so that it does not beat with the tick."""
_STACK = 8_192
_HEAD = re.compile(r"^(\S.*?)\s+(\d+)\s*(?:[\d.]+:)?\s*$")
_FRAME = re.compile(r"^\s+([0-9a-f]+) (.*) \((.*)\)$")
_SEGMENT = re.compile(r"^\s*LOAD\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)", re.MULTILINE)


@asynccontextmanager
async def recording(pid: int, into: Path, cores: Sequence[int]) -> AsyncIterator[None]:
    """Records a process with all its threads until the block is left; perf itself runs on `cores`.

    Raises BenchFailed if perf is not there or may not.
    """
    command = (
        "perf",
        "record",
        "-q",
        "-p",
        str(pid),
        "-F",
        str(HERTZ),
        "--call-graph",
        f"dwarf,{_STACK}",
        "-o",
        str(into),
    )
    async with child(cores, *command) as perf:
        # It says nothing when it has begun; what it misses of the first moments is no category's in particular.
        await asyncio.sleep(0.5)
        if perf.returncode is not None:
            raise BenchFailed(
                "perf does not record: see /proc/sys/kernel/perf_event_paranoid, and whether it is installed"
            )
        yield
        perf.send_signal(signal.SIGINT)
        await perf.communicate()
    if not into.is_file():
        raise BenchFailed("perf recorded nothing")


class _Program:
    """A file with line tables: which functions an offset in it is in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[int, tuple[Frame, ...]] = {}

    @cached_property
    def _segments(self) -> list[tuple[int, int, int]]:
        text = _run("readelf", "-lW", str(self.path))
        return [(int(offset, 16), int(at, 16), int(size, 16)) for offset, at, size in _SEGMENT.findall(text)]

    def _address(self, offset: int) -> int:
        """The virtual address of what lies at `offset` in the file, as perf says it of libraries."""
        inside = (at + offset - start for start, at, size in self._segments if start <= offset < start + size)
        return next(inside, offset)

    def learn(self, offsets: Iterable[int]) -> None:
        """Looks them all up at once."""
        by_address = {self._address(offset): offset for offset in offsets}
        answer = _run("addr2line", "-afiC", "-e", str(self.path), stdin="".join(f"{at:#x}\n" for at in by_address))
        for block in re.split(r"^0x", answer, flags=re.MULTILINE)[1:]:
            first, *lines = block.splitlines()
            pairs = zip(lines[::2], lines[1::2], strict=True)
            frames = [Frame(_plain(function), place.rpartition(":")[0]) for function, place in pairs]
            if len(frames) > 1:
                # It names the innermost as the symbol that all of this was inlined into.
                symbol, frames[-1] = frames[0].function, Frame(frames[0].function, frames[-1].place)
                frames[0] = Frame(f"inlined into {symbol}", frames[0].place)
            self._known[by_address[int(first, 16)]] = tuple(frame for frame in frames if frame.function != "??")

    def frames(self, offset: int) -> tuple[Frame, ...]:
        """The innermost first; none if the file says nothing of it."""
        return self._known.get(offset, ())


def _plain(function: str) -> str:
    """A demangled name without its hash."""
    return re.sub(r"::h[0-9a-f]{16}$", "", function)


def _run(*command: str, stdin: str | None = None) -> str:
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Missing(f"cannot run {command[0]}: {error.strerror}; Debian: linux-perf, binutils") from error
    if done.returncode != 0:
        raise BenchFailed(f"{command[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Stack:
    """One sample as perf prints it, the innermost function first."""

    thread: str
    frames: list[tuple[int, str, str]]
    """Place in the file, what perf calls it, file."""


def parse(text: str) -> list[Stack]:
    """What `perf script` has printed."""
    stacks = []
    for block in re.split(r"\n\s*\n", text):
        head, *rows = block.strip("\n").splitlines() or [""]
        thread = _HEAD.match(head)
        found = [match for match in map(_FRAME.match, rows) if match]
        frames = [(int(match.group(1), 16), match.group(2), match.group(3)) for match in found]
        if thread:
            # Of callers it is the call that counts, which lies before the address to return to.
            frames[1:] = [(address - 1, name, file) for address, name, file in frames[1:]]
            stacks.append(Stack(thread.group(1).strip(), frames))
    return stacks


def read(recorded: Path, engine: Path) -> list[Sample]:
    """The samples. `engine`: the library whose line tables say what was inlined where.

    Raises BenchFailed if it has none, Missing if a program is not installed.
    """
    if ".debug_line" not in _run("readelf", "-SW", str(engine)):
        raise BenchFailed(f"{engine} has no line tables: build it with `make bench-profile`")
    text = _run("perf", "script", "-i", str(recorded), "--no-inline", "-F", "comm,tid,ip,sym,dso")
    stacks = parse(text)
    program = _Program(engine)
    ours = {address for stack in stacks for address, _, file in stack.frames if Path(file).name == engine.name}
    program.learn(ours)

    def named(stack: Stack) -> Iterator[Frame]:
        for address, name, file in stack.frames:
            inlined = program.frames(address) if Path(file).name == engine.name else ()
            kernel = file.startswith("[kernel") or file.endswith(".ko") or file.startswith("[bpf")
            yield from inlined or (Frame(_plain(name), file, kernel),)

    return [Sample(stack.thread, tuple(named(stack))) for stack in stacks]
