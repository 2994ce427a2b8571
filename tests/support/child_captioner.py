"""A captions process that hears a tone in every Space and counts it: for tests that kill it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import numpy as np

from spaces_ctl.captions.messages import Follow, Open
from spaces_ctl.captions.process import Process
from spaces_ctl.captions.recogniser import RATE
from spaces_ctl.captions.room import Packet
from spaces_ctl.media import child
from tests.support.captions import CountingRecogniser, opus_packets


@asynccontextmanager
async def tone(follow: Follow) -> AsyncIterator[AsyncIterator[Iterable[Packet]]]:
    packets = opus_packets((np.sin(np.arange(RATE) / 5) * 8000).astype(np.int16))

    async def batches() -> AsyncIterator[Iterable[Packet]]:
        for group in range(1 << 20):
            await asyncio.sleep(0.002)
            opus = packets[group % len(packets)]
            yield [Packet(group, seat, generation, 20, opus) for seat, generation in follow.seats.items()]

    yield batches()


if __name__ == "__main__":
    child.main(
        sys.argv[1:], Open, lambda opened: Process(opened, recogniser=CountingRecogniser(), connect=tone), nice=0
    )
