"""A UDP proxy on loopback that loses, delays and reorders datagrams: a bad network for tests, seeded.

It runs in a thread of its own, so that what a test does meanwhile is not the network's jitter. Its own delays are exact
to about a millisecond on a quiet machine. The same seed gives the same fate to the n-th datagram of a direction.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tests.support.patience import PATIENCE_S

__all__ = ["LossyUdp", "Network", "lossy_udp", "through"]


@dataclass(frozen=True, slots=True)
class Network:
    """What happens to a datagram, in each direction."""

    loss: float = 0.0
    """Share that is lost, each by itself."""
    jitter_ms: float = 0.0
    """Added delay, uniform from 0 to this, each by itself."""
    delay_ms: float = 0.0
    """Delay of all."""
    reorder: bool = True
    """Whether one that is delayed less overtakes; else it waits for those before."""
    seed: int = 1


@dataclass(slots=True)
class Counts:
    """Datagrams of both directions."""

    passed: int = 0
    lost: int = 0
    reordered: int = 0


@dataclass(slots=True)
class _Way:
    """One direction of one client."""

    random: random.Random
    last_due: float = 0.0
    counts: Counts = field(default_factory=Counts)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, take: Any) -> None:
        self.take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.take(data, addr)

    def error_received(self, exc: Exception) -> None:
        """The server's port is closed at the moment: as good as lost."""


class LossyUdp:
    """See the module. Made by `lossy_udp`."""

    def __init__(self, to: tuple[str, int], network: Network) -> None:
        self.network = network
        self.port = 0
        self.dark = False
        """Nothing passes. Set it at any time."""
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._front: asyncio.DatagramTransport | None = None
        self._backs: dict[tuple[str, int], asyncio.DatagramTransport] = {}
        self._ways: dict[tuple[tuple[str, int], bool], _Way] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: dict[tuple[str, int], list[bytes]] = {}

    @property
    def counts(self) -> Counts:
        """Of everything so far."""
        total = Counts()
        for way in list(self._ways.values()):
            total.passed += way.counts.passed
            total.lost += way.counts.lost
            total.reordered += way.counts.reordered
        return total

    def rebind(self) -> None:
        """From now on the server sees the clients at other ports, as behind a router that forgot them."""

        def close() -> None:
            for back in self._backs.values():
                back.close()
            self._backs.clear()

        self._loop.call_soon_threadsafe(close)

    async def _start(self) -> None:
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Receiver(self._from_client), local_addr=("127.0.0.1", 0)
        )
        self._front = transport
        self.port = transport.get_extra_info("sockname")[1]

    def _from_client(self, data: bytes, client: tuple[str, int]) -> None:
        self._carry(client, True, data)

    def _carry(self, client: tuple[str, int], up: bool, data: bytes) -> None:
        if self.dark:
            return
        key = (client, up)
        way = self._ways.get(key)
        if way is None:
            # The same for the first client, the second, and so on, whatever their ports are.
            nth = sum(direction is up for _, direction in self._ways)
            way = self._ways[key] = _Way(random.Random(f"{self.network.seed}/{nth}/{up}"))
        fate, late = way.random.random(), way.random.random()
        if fate < self.network.loss:
            way.counts.lost += 1
            return
        due = self._loop.time() + (self.network.delay_ms + late * self.network.jitter_ms) / 1000
        if due < way.last_due:
            way.counts.reordered += self.network.reorder
            due = due if self.network.reorder else way.last_due
        way.last_due = max(way.last_due, due)
        way.counts.passed += 1
        if due <= self._loop.time():
            self._send(client, up, data)
        else:
            self._loop.call_at(due, self._send, client, up, data)

    def _send(self, client: tuple[str, int], up: bool, data: bytes) -> None:
        if self._front is None or self._front.is_closing():
            return  # What was delayed until after the end.
        if not up:
            self._front.sendto(data, client)
            return
        back = self._backs.get(client)
        if back is not None:
            back.sendto(data)
        elif client in self._opening:
            self._opening[client].append(data)
        else:
            self._opening[client] = [data]
            task = self._loop.create_task(self._open(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, client: tuple[str, int]) -> None:
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Receiver(lambda data, _: self._carry(client, False, data)), remote_addr=self._to
        )
        self._backs[client] = transport
        for data in self._opening.pop(client):
            transport.sendto(data)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _stop(self) -> None:
        for transport in [*self._backs.values(), *([self._front] if self._front else [])]:
            transport.close()
        self._backs.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@contextmanager
def lossy_udp(port: int, network: Network | None = None) -> Iterator[LossyUdp]:
    """In front of a UDP port of this machine, until the block ends. `network` may be changed meanwhile."""
    proxy = LossyUdp(("127.0.0.1", port), network or Network())
    thread = threading.Thread(target=proxy._run, name="lossy-udp", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy._start(), proxy._loop).result(PATIENCE_S)
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy._stop(), proxy._loop).result(PATIENCE_S)
        proxy._loop.call_soon_threadsafe(proxy._loop.stop)
        thread.join(PATIENCE_S)
        proxy._loop.close()


def through(proxy: LossyUdp, urls: list[str]) -> list[str]:
    """The addresses of an admission, those over UDP by way of the proxy."""
    other = f"127.0.0.1:{proxy.port}"
    return [urlunsplit(urlsplit(url)._replace(netloc=other)) if url.startswith("https:") else url for url in urls]
