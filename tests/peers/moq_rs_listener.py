"""moq-rs from the Python registry, unmodified, as a listener: the stock client that other people use."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import moq

from tests.support.patience import PATIENCE_S


@dataclass(frozen=True, slots=True)
class Taken:
    """What one connection got until it had enough."""

    announced: str
    datagrams: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    """By track: group and payload."""
    groups: dict[str, list[tuple[int, list[bytes]]]] = field(default_factory=dict)
    """By track: group and its frames."""


async def take(
    url: str, space: str, *, datagrams: Sequence[str], groups: Sequence[str], count: int, timeout: float = PATIENCE_S
) -> Taken:
    """Waits for the announcement of `spaces/<space>`, subscribes, and takes `count` datagrams of each track named in
    `datagrams` and one group of each in `groups`.

    Args:
        url: `https://` for WebTransport, `moqt://` for raw QUIC.
    """
    async with asyncio.timeout(timeout), moq.connect(url, tls_verify=False, websocket_enabled=False) as client:
        broadcast = await client.announced_broadcast(f"spaces/{space}")
        taken = Taken((await anext(aiter(client.announced()))).prefix)

        async def take_datagrams(track: str) -> None:
            async with await broadcast.subscribe_track(track) as subscription:
                got = taken.datagrams.setdefault(track, [])
                while len(got) < count:
                    datagram = await subscription.recv_datagram()
                    assert datagram is not None, f"{track} ended"
                    got.append((datagram.sequence, bytes(datagram.payload)))

        async def take_group(track: str) -> None:
            async with await broadcast.subscribe_track(track) as subscription:
                group = await subscription.recv_group()
                assert group is not None, f"{track} ended"
                frame = await group.read_frame()
                assert frame is not None, f"{track} has an empty group"
                taken.groups.setdefault(track, []).append((group.sequence, [bytes(frame.payload)]))

        async with asyncio.TaskGroup() as tasks:
            for track in datagrams:
                tasks.create_task(take_datagrams(track))
            for track in groups:
                tasks.create_task(take_group(track))
        return taken
