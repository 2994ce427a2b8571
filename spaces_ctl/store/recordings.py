"""What was recorded, each Space's key, and what is still to be done with recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl.events import Recorded
from spaces_ctl.store.event_log import kind_of
from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.tables.recordings import media_work, recordings

__all__ = [
    "CLOSED",
    "FOLLOWING",
    "Work",
    "add_work",
    "close",
    "drop_key",
    "ensure_key",
    "found",
    "key",
    "pending",
    "put_off",
    "work_done",
]

FOLLOWING = "following"
CLOSED = "closed"


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """An event that recordings have not followed yet."""

    sequence: int
    space: int
    kind: str
    """`event_log.kind_of` the event."""
    tries: int = 0
    due_ms: int
    error: str = ""


def ensure_key(c: sa.Connection, space: int, new: bytes, first_group: int = 0) -> bytes:
    """The Space's key; `new` becomes it if there is none."""
    row = {"space": space, "key": new, "first_group": first_group, "state": FOLLOWING, "summary": None}
    insert_new(c, recordings, [row])
    return bytes(c.execute(sa.select(recordings.c.key).where(recordings.c.space == space)).scalar_one())


def key(c: sa.Connection, space: int) -> bytes | None:
    """The Space's key; None if nothing of it is kept."""
    found = c.scalar(sa.select(recordings.c.key).where(recordings.c.space == space))
    return None if found is None else bytes(found)


def close(c: sa.Connection, space: int, summary: Mapping[str, Any]) -> None:
    """Everything is in the store."""
    table = recordings
    c.execute(table.update().where(table.c.space == space).values(state=CLOSED, summary=dict(summary)))


def found(c: sa.Connection, space: int) -> tuple[str, dict[str, Any] | None] | None:
    """State and summary of a recording; None if there is none."""
    query = sa.select(recordings.c.state, recordings.c.summary).where(recordings.c.space == space)
    row = c.execute(query).first()
    return None if row is None else (row.state, row.summary)


def drop_key(c: sa.Connection, space: int) -> int:
    """From now on nobody can read what was recorded, wherever copies are; how many keys there were."""
    return c.execute(recordings.delete().where(recordings.c.space == space)).rowcount


def add_work(c: sa.Connection, events: Sequence[Recorded], now_ms: int) -> None:
    """These events are to be followed."""
    insert_new(
        c,
        media_work,
        [
            {
                "sequence": one.sequence,
                "space": one.space,
                "kind": kind_of(one.event),
                "tries": 0,
                "due_ms": now_ms,
                "error": "",
            }
            for one in events
        ],
    )


def pending(c: sa.Connection) -> list[Work]:
    """All that is to be done, in the order of the log."""
    query = sa.select(media_work).order_by(media_work.c.sequence)
    return [Work(**row._mapping) for row in c.execute(query)]


def work_done(c: sa.Connection, sequence: int) -> None:
    """Is done, or not wanted any more."""
    c.execute(media_work.delete().where(media_work.c.sequence == sequence))


def put_off(c: sa.Connection, work: Work, due_ms: int, error: str) -> None:
    """Did not succeed; to be tried again."""
    table = media_work
    values = {"tries": work.tries + 1, "due_ms": due_ms, "error": error[:2000]}
    c.execute(table.update().where(table.c.sequence == work.sequence).values(**values))
