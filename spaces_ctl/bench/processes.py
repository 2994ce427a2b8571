"""Children with a core of their own, and what they cost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from spaces_ctl.bench.errors import BenchFailed

__all__ = ["awake", "child", "cpu_seconds", "line", "resident_bytes"]

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def child(
    cores: Sequence[int],
    *command: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    quiet: bool = False,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a command on these cores; it is gone when the block is left.

    `quiet`: what it says on stderr is of no interest. Raises BenchFailed if it cannot be run.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL if quiet else None,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            limit=1 << 26,
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
        )
    except OSError as error:
        raise BenchFailed(f"cannot run {command[0]}: {error.strerror}") from error
    try:
        yield process
    finally:
        if process.returncode is None:
            # Not `process.kill`: that polls, and takes the exit code away from the watcher if the child has just ended.
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        # What it has written still waits in the pipe; unread, the transport would outlive the loop.
        await process.communicate()


@asynccontextmanager
async def awake(cores: Sequence[int]) -> AsyncIterator[None]:
    """Keeps these cores from sleeping, see `awake.py`. Raises BenchFailed."""
    async with AsyncExitStack() as stack:
        for core in cores:
            spinner = child([core], sys.executable, "-P", Path(__file__).with_name("awake.py"))
            await line(await stack.enter_async_context(spinner), 10)
        yield


async def line(process: asyncio.subprocess.Process, patience_s: float) -> str:
    """The next line that a child prints. Raises BenchFailed if it ends instead, or takes longer."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(patience_s):
            text = await process.stdout.readline()
    except TimeoutError:
        raise BenchFailed(f"a child said nothing for {patience_s:.0f} s") from None
    if not text:
        raise BenchFailed(f"a child ended with code {await process.wait()}")
    return text.decode().strip()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads so far, in seconds. Raises OSError if it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, in bytes. Raises OSError if it is gone."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
