"""The ceiling: AES-128-GCM and sendmmsg alone, in the same run and on the same cores as the servers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from spaces_ctl.bench.processes import child, line
from spaces_ctl.bench.servers import LOAD_CORE, SERVER_CORE, Tools

__all__ = ["SIZES", "Ceiling", "limit"]

SIZES = (126, 286, 378, 882)
"""UDP payload of a packet of the stage with 1 speaker, of the mix, of the stage with 4 and with 10 speakers."""


class Ceiling(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine allows."""

    size: int
    """Bytes of UDP payload."""
    segments: int
    """Packets to one peer in one message; over 1 is segmentation offload."""
    packets: int
    cpu_seconds: float
    packets_per_core_second: float


async def limit(
    tools: Tools, *, sockets: int = 10, sizes: Sequence[int] = SIZES, segments: Sequence[int] = (1,), seconds: int = 2
) -> list[Ceiling]:
    """Measures each size. As many sockets drain as a load of that many hundred listeners has. Raises BenchFailed."""
    found = []
    async with child((LOAD_CORE,), tools.program("sink"), str(sockets)) as sink:
        addresses = (await line(sink, 10)).split()
        async with child((SERVER_CORE,), tools.program("limit"), *addresses) as sender:
            assert sender.stdin is not None
            for size in sizes:
                for together in segments:
                    sender.stdin.write(f"{size} {together} {seconds}\n".encode())
                    await sender.stdin.drain()
                    found.append(msgspec.json.decode(await line(sender, seconds + 10), type=Ceiling))
    return found
