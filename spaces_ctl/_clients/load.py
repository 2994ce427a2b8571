"""Thousands of native listeners at once, to measure with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spaces_ctl import _engine
from spaces_ctl._clients.connection import Client, MoqProtocol, Transport
from spaces_ctl._engine import ConnectionFailed

__all__ = ["ListenerLoad", "LoadStats"]


@dataclass(frozen=True, slots=True)
class LoadStats:
    """Totals of a load of listeners. Frames are counted once per listener."""

    dialled: int
    joined: int
    """Subscribed now."""
    failed: int
    first_failure: str | None
    refused: int
    """Objects that are no bundle."""
    join_p50_us: int
    """From dialling to subscription."""
    join_p99_us: int
    began: int
    """Listeners that received a frame."""
    expected: int
    """Frames that should have come: of each frame sent one for every listener whose first frame was not later."""
    delivered: int
    """Frames that came, each once, of which the speakers' entries are known."""
    duplicates: int
    redundant: int
    """Redundant copies of frames that had come."""
    unmatched: int
    """Frames that came without an entry of a speaker."""
    late: int
    corrupt: int
    """Frames that differ from what other listeners got in their place."""
    unheard: int
    """Entries of frames that no listener received."""
    p50_us: int
    """Half of the frames came within this time from being handed in."""
    p99_us: int
    latency: Mapping[int, int]
    """Steps of 0.1 ms → frames."""


class ListenerLoad(Client[_engine.NativeLoad]):
    """Many listeners (guests) on one thread that only count: for demonstrations, benchmarks and load tests.

    Entering begins to dial and does not wait: `joined` does. Memory is bounded. Latencies mean something on one
    machine only.
    """

    def __init__(
        self,
        url: str,
        *,
        listeners: int,
        joins_per_second: int = 500,
        certificate_sha256: bytes | None = None,
        roots: Path | None = None,
        transport: Transport = "quic",
        protocol: MoqProtocol = "moqt-18",
        idle_timeout_ms: int = 10_000,
    ) -> None:
        """`listeners` of them, of whom at most `joins_per_second` dial in a second."""
        super().__init__(
            url,
            certificate_sha256=certificate_sha256,
            roots=roots,
            transport=transport,
            protocol=protocol,
            idle_timeout_ms=idle_timeout_ms,
        )
        self._listeners = listeners
        self._rate = joins_per_second

    def _connect(self) -> _engine.NativeLoad:
        return _engine.NativeLoad.start(self._destination(), listeners=self._listeners, joins_per_second=self._rate)

    def _is_ready(self, native: _engine.NativeLoad) -> bool:
        return not native.over()

    async def joined(self) -> None:
        """Returns when all are subscribed. Raises `ConnectionFailed` if one cannot."""
        native = self._native

        def settled() -> bool:
            joined, failed = native.progress()
            return joined + failed >= self._listeners

        await self._until(settled)
        if failure := native.stats()["first_failure"]:
            raise ConnectionFailed(f"{native.progress()[1]} of {self._listeners} listeners: {failure}")

    def add_sent(self, log: Iterable[tuple[int, int, int]]) -> None:
        """Entries of `Speaker.sent_log`, in any order, before or after the frames came."""
        self._native.add_sent([(hash_, sent_at_us) for _, hash_, sent_at_us in log])

    def stats(self) -> LoadStats:
        """Totals so far."""
        return LoadStats(**self._native.stats())

    def received(self) -> list[int]:
        """Frames that each listener received, each once."""
        return self._native.received()
