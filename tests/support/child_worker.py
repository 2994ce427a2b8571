"""A media worker process whose logs are plain ones and whose store is slow: for tests that kill it."""

from __future__ import annotations

import asyncio
import functools
import os
import sys

from spaces_ctl.media import operations, worker
from spaces_ctl.media.objects import Objects
from spaces_ctl.media.requests import Done
from tests.support.log_files import PlainLogs
from tests.support.media_worker import ListPackager

SLOW_S = float(os.environ.get("SLOW_STORE_S", "0"))


async def _stuck(_: worker.Worker, __: Done) -> Done:
    import time

    time.sleep(1000)
    return Done()


async def _silent(_: worker.Worker, __: Done) -> Done:
    await asyncio.Event().wait()
    return Done()


if __name__ == "__main__":
    put = Objects.put

    async def slow(self: Objects, name: str, data: bytes) -> None:
        await asyncio.sleep(SLOW_S)
        await put(self, name, data)

    Objects.put = slow  # type: ignore[method-assign]  # for this process's life: there is no test to patch it for
    operations.OPERATIONS |= {"stuck": _stuck, "silent": _silent}
    # As above; `main` only calls it.
    worker.Worker = functools.partial(worker.Worker, files=PlainLogs(), packager=ListPackager)  # type: ignore[misc, assignment]
    worker.main(sys.argv[1:])
