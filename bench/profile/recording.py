"""perf beside a server: what its threads were doing, with the functions that the compiler has inlined."""

from __future__ import annotations

import asyncio
import bisect
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

__all__ = ["parse", "read", "recording"]

HERTZ = 1_997
"""Prime, so that it does not beat with the tick."""
_STACK = 8_192
_MAPPED = re.compile(r"PERF_RECORD_MMAP2? .*: \[(0x[0-9a-f]+)\((0x[0-9a-f]+)\) @ (0x[0-9a-f]+|0) .*?\]: \S+ (/.*)$")
_HEAD = re.compile(r"^(\S.*?)\s+(\d+)\s*(?:[\d.]+:)?\s*$")
_FRAME = re.compile(r"^\s+([0-9a-f]+) (.*) \((.*)\)$")
_SEGMENT = re.compile(r"^\s*LOAD\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)", re.MULTILINE)


@asynccontextmanager
async def recording(pid: int, into: Path, cores: Sequence[int]) -> AsyncIterator[None]:
    """Records a process with all its threads until the block is left; perf itself runs on `cores`.

    Raises BenchFailed if perf is not there or may not.
    """
    command = ("perf", "record", "-q", "-p", str(pid), "-F", str(HERTZ), "--call-graph", f"dwarf,{_STACK}", "-o", str(into))
    async with child(cores, *command) as perf:
        # It says nothing when it has begun; what it misses of the first moments is no category's in particular.
        await asyncio.sleep(0.5)
        if perf.returncode is not None:
            raise BenchFailed("perf does not record: see /proc/sys/kernel/perf_event_paranoid, and whether it is installed")
        yield
        perf.send_signal(signal.SIGINT)
        await perf.communicate()
    if not into.is_file():
        raise BenchFailed("perf recorded nothing")


@dataclass(frozen=True, slots=True)
class _Mapping:
    start: int
    end: int
    offset: int
    path: str


class _Maps:
    """What lies where in the process."""

    def __init__(self, mappings: Iterable[_Mapping]) -> None:
        # Of what was mapped at the same place one after the other, the last.
        self._by_start = sorted({mapping.start: mapping for mapping in mappings}.values(), key=lambda m: m.start)
        self._starts = [mapping.start for mapping in self._by_start]

    def find(self, address: int) -> _Mapping | None:
        index = bisect.bisect_right(self._starts, address) - 1
        found = self._by_start[index] if index >= 0 else None
        return found if found is not None and address < found.end else None


class _Program:
    """A file with line tables: which functions an offset in it is in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[int, tuple[Frame, ...]] = {}

    @cached_property
    def _segments(self) -> list[tuple[int, int, int]]:
        text = _run("readelf", "-lW", str(self.path))
        return [(int(offset, 16), int(at, 16), int(size, 16)) for offset, at, size in _SEGMENT.findall(text)]

    def address(self, offset: int) -> int:
        """The virtual address of what lies at `offset` in the file."""
        inside = (at + offset - start for start, at, size in self._segments if start <= offset < start + size)
        return next(inside, offset)

    def learn(self, addresses: Iterable[int]) -> None:
        """Looks them all up at once."""
        wanted = sorted(set(addresses) - self._known.keys())
        if not wanted:
            return
        text = "".join(f"{address:#x}\n" for address in wanted)
        answer = _run("addr2line", "-afiC", "-e", str(self.path), stdin=text)
        for block in re.split(r"^0x", answer, flags=re.MULTILINE)[1:]:
            first, *lines = block.splitlines()
            pairs = zip(lines[::2], lines[1::2], strict=True)
            frames = (Frame(_plain(function), place.rpartition(":")[0]) for function, place in pairs)
            self._known[int(first, 16)] = tuple(frame for frame in frames if frame.function != "??")

    def frames(self, address: int) -> tuple[Frame, ...]:
        """The innermost first; none if the file says nothing of it."""
        return self._known.get(address, ())


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
class _Raw:
    thread: str
    frames: list[tuple[int, str, str]]
    """Address, what perf calls it, file."""


def parse(text: str) -> tuple[list[_Raw], _Maps]:
    """What `perf script` has printed: samples, and what was mapped where."""
    raw, mappings = [], []
    for block in re.split(r"\n\s*\n", text):
        thread, frames = "", []
        for row in block.splitlines():
            mapped = _MAPPED.search(row)
            if mapped:
                start, size, offset = (int(mapped.group(n), 16) for n in (1, 2, 3))
                mappings.append(_Mapping(start, start + size, offset, mapped.group(4)))
            elif framed := _FRAME.match(row):
                frames.append((int(framed.group(1), 16), framed.group(2), framed.group(3)))
            elif head := _HEAD.match(row):
                thread = head.group(1).strip()
        if thread:
            raw.append(_Raw(thread, frames))
    return raw, _Maps(mappings)


def read(recorded: Path, engine: Path) -> list[Sample]:
    """The samples. `engine`: the library whose line tables say what was inlined where.

    Raises BenchFailed if it has none, Missing if a program is not installed.
    """
    if ".debug_line" not in _run("readelf", "-SW", str(engine)):
        raise BenchFailed(f"{engine} has no line tables: build it with `make bench-profile`")
    text = _run("perf", "script", "-i", str(recorded), "--no-inline", "-F", "comm,tid,ip,sym,dso", "--show-mmap-events")
    raw, maps = parse(text)
    program = _Program(engine)
    # Of callers it is the call that counts, which lies before the address to return to.
    for sample in raw:
        sample.frames[1:] = [(address - 1, name, file) for address, name, file in sample.frames[1:]]

    def place(address: int, file: str) -> int | None:
        mapping = maps.find(address) if Path(file).name == engine.name else None
        return program.address(address - mapping.start + mapping.offset) if mapping else None

    places = {(address, file): place(address, file) for sample in raw for address, _, file in sample.frames}
    program.learn(found for found in places.values() if found is not None)

    def named(sample: _Raw) -> Iterator[Frame]:
        for address, name, file in sample.frames:
            at = places[address, file]
            inlined = program.frames(at) if at is not None else ()
            kernel = file.startswith("[kernel") or file.endswith(".ko") or file.startswith("[bpf")
            yield from inlined or (Frame(_plain(name), file, kernel),)

    return [Sample(sample.thread, tuple(named(sample))) for sample in raw]
