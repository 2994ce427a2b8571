"""Timers of Spaces: a command and when it is due. Kept by (space, key), taken under a lease, gone when done.

A worker sleeps until `next_due`, takes what is due (`take_due`), gives the commands, says `done`. If it dies between,
the lease ends and another takes the timer: a command may be given twice, and the policy refuses the second.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from spaces_ctl.commands import SpaceCommand
from spaces_ctl.model import SpaceId
from spaces_ctl.store.insert import upsert_all
from spaces_ctl.store.tables.work import space_timers

__all__ = ["Timer", "delete", "delete_prefix", "done", "next_due", "of_space", "put", "set_all", "take_due"]

_command_of = msgspec.msgpack.Decoder(SpaceCommand).decode


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """A command that is due in a Space."""

    space: SpaceId
    key: str
    due_ms: int
    command: SpaceCommand


def put(c: sa.Connection, timers: Iterable[Timer]) -> None:
    """Sets timers, each in the place of the one of the same Space and key, whose lease ends."""
    rows = [
        {
            "space": timer.space,
            "key": timer.key,
            "due_ms": timer.due_ms,
            "ready_ms": timer.due_ms,
            "command": msgspec.msgpack.encode(timer.command),
        }
        for timer in timers
    ]
    upsert_all(c, space_timers, rows, keys=("space", "key"))


def set_all(c: sa.Connection, space: SpaceId, timers: Iterable[Timer]) -> None:
    """Makes these the timers of `space`. One that is there already, the same, keeps its lease."""
    wanted = {timer.key: timer for timer in timers}
    there = {timer.key: timer for timer in of_space(c, space)}
    delete(c, space, there.keys() - wanted.keys())
    put(c, [timer for key, timer in wanted.items() if there.get(key) != timer])


def delete(c: sa.Connection, space: SpaceId, keys: Iterable[str]) -> None:
    """Forgets timers by key; those that are not there are no error."""
    if keys := list(keys):
        c.execute(sa.delete(space_timers).where(space_timers.c.space == space, space_timers.c.key.in_(keys)))


def delete_prefix(c: sa.Connection, space: SpaceId, prefix: str = "") -> None:
    """Forgets the Space's timers whose keys begin with `prefix`; all of them if it is empty."""
    begins = space_timers.c.key.startswith(prefix, autoescape=True)
    c.execute(sa.delete(space_timers).where(space_timers.c.space == space, begins))


def of_space(c: sa.Connection, space: SpaceId) -> list[Timer]:
    """The Space's timers, the next first."""
    query = sa.select(space_timers).where(space_timers.c.space == space)
    return [_timer(row) for row in c.execute(query.order_by(space_timers.c.due_ms, space_timers.c.key))]


def next_due(c: sa.Connection) -> int | None:
    """When there will be something to take (milliseconds since 1970), or None."""
    due: int | None = c.scalar(sa.select(sa.func.min(space_timers.c.ready_ms)))
    return due


def take_due(c: sa.Connection, now_ms: int, lease_until_ms: int, limit: int) -> list[Timer]:
    """Takes what is due, the longest overdue first; until `lease_until_ms` nobody else gets it. Raises ValueError.

    A unit that writes. Several nodes may take at once; each timer goes to one of them.
    """
    if lease_until_ms <= now_ms:
        raise ValueError("the lease would be over at once")
    due = (
        sa.select(space_timers)
        .where(space_timers.c.ready_ms <= now_ms)
        .order_by(space_timers.c.ready_ms, space_timers.c.space, space_timers.c.key)
        .limit(limit)
        .with_for_update(skip_locked=True)  # on SQLite nothing: there is one writer
    )
    rows = c.execute(due).all()
    if rows:
        c.execute(
            sa.update(space_timers)
            .where(space_timers.c.space == sa.bindparam("of"), space_timers.c.key == sa.bindparam("named"))
            .values(ready_ms=lease_until_ms),
            [{"of": row.space, "named": row.key} for row in rows],
        )
    return sorted(map(_timer, rows), key=lambda timer: timer.due_ms)


def done(c: sa.Connection, timer: Timer) -> None:
    """Forgets a timer that was taken, unless it was set to another time meanwhile."""
    c.execute(
        sa.delete(space_timers).where(
            space_timers.c.space == timer.space,
            space_timers.c.key == timer.key,
            space_timers.c.due_ms == timer.due_ms,
        )
    )


def _timer(row: sa.Row[tuple[int, str, int, int, bytes]]) -> Timer:
    return Timer(space=row.space, key=row.key, due_ms=row.due_ms, command=_command_of(row.command))
