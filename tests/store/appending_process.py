"""A process that appends to logs and says what was acknowledged, until it is killed. Run by `test_kill.py`."""

from __future__ import annotations

import asyncio
import sys

import sqlalchemy as sa

from spaces_ctl import events as ev
from spaces_ctl.model import SYSTEM
from spaces_ctl.store import event_log
from spaces_ctl.store.database import Database


async def main(url: str) -> None:
    """Prints `SPACE VERSION` after each append has returned."""
    database = await Database.open(url, synchronous="normal")

    async def appender(space: int) -> None:
        version = 0
        while True:

            def unit(c: sa.Connection, expected: int = version) -> None:
                event_log.append(c, space, expected, [ev.Muted(account=expected, how=ev.MutedHow.SELF)], SYSTEM, 0)

            await database.write(unit)
            version += 1
            sys.stdout.write(f"{space} {version}\n")
            sys.stdout.flush()

    await asyncio.gather(*(appender(space) for space in range(1, 9)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
