"""The log of all Spaces: appended under optimistic versions, read by Space or in the order of commit.

Order of commit: `append` begins by raising the log's number in `log_heads`. On PostgreSQL that row stays locked until
the transaction ends, so that numbers become visible in ascending order and without gaps, and a reader who has seen `n`
has seen everything up to `n`. (With a sequence instead, `n + 1` may be committed before `n`, and a cursor skips `n`.)
On SQLite there is one writer anyway. The price is that appends run one after the other over all nodes: append as the
first statement of a unit, and keep the unit short.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from spaces_ctl.events import Recorded, SpaceEvent
from spaces_ctl.model import Actor, SpaceId
from spaces_ctl.store.errors import Conflict
from spaces_ctl.store.insert import insert_into
from spaces_ctl.store.tables.log import log_heads, space_events

__all__ = ["append", "head", "kind_of", "of_kind", "read", "read_all", "reserve", "version"]

_LOG = "spaces"
_event_of = msgspec.msgpack.Decoder(SpaceEvent).decode
_actor_of = msgspec.msgpack.Decoder(Actor).decode
# Built once: building them costs more than running them.
_RESERVE = (
    sa.update(log_heads)
    .where(log_heads.c.log == sa.bindparam("of"))
    .values(sequence=log_heads.c.sequence + sa.bindparam("count", type_=sa.BigInteger))
    .returning(log_heads.c.sequence)
)
_VERSION = sa.select(sa.func.max(space_events.c.version)).where(space_events.c.space == sa.bindparam("of"))
_INSERT = sa.insert(space_events)
_encode = msgspec.msgpack.encode


def append(
    c: sa.Connection, space: SpaceId, expected_version: int, events: Sequence[SpaceEvent], actor: Actor, at_ms: int
) -> tuple[Recorded, ...]:
    """Adds `events` to the log of `space`, which is at `expected_version` (0: a new Space).

    Raises Conflict if it is at another version. No events: nothing happens, the version is not looked at.
    """
    if not events:
        return ()
    last = reserve(c, _LOG, len(events))
    actual = version(c, space)
    if actual != expected_version:
        raise Conflict(space, expected_version, actual)
    recorded = tuple(
        Recorded(
            space=space,
            version=expected_version + number,
            sequence=last - len(events) + number,
            at_ms=at_ms,
            actor=actor,
            event=event,
        )
        for number, event in enumerate(events, 1)
    )
    by = _encode(actor)
    c.execute(
        _INSERT,
        [
            {
                "sequence": r.sequence,
                "space": space,
                "version": r.version,
                "at_ms": at_ms,
                "kind": kind_of(r.event),
                "actor": by,
                "event": _encode(r.event),
            }
            for r in recorded
        ],
    )
    return recorded


def version(c: sa.Connection, space: SpaceId) -> int:
    """Version of the Space's log; 0 if there is none."""
    return c.scalar(_VERSION, {"of": space}) or 0


def read(c: sa.Connection, space: SpaceId, after_version: int = 0, limit: int | None = None) -> tuple[Recorded, ...]:
    """The Space's events after a version, in order."""
    query = (
        sa.select(space_events)
        .where(space_events.c.space == space, space_events.c.version > after_version)
        .order_by(space_events.c.version)
        .limit(limit)
    )
    return tuple(map(_recorded, c.execute(query)))


def read_all(c: sa.Connection, after_sequence: int, limit: int) -> tuple[Recorded, ...]:
    """All Spaces' events after a sequence number, in the order of commit. None is ever added before the last one."""
    query = (
        sa.select(space_events)
        .where(space_events.c.sequence > after_sequence)
        .order_by(space_events.c.sequence)
        .limit(limit)
    )
    return tuple(map(_recorded, c.execute(query)))


def of_kind(c: sa.Connection, kind: type[SpaceEvent], after_sequence: int) -> tuple[Recorded, ...]:
    """All Spaces' events of one kind after a sequence number, for the few that a reader of the log has yet to see."""
    query = (
        sa.select(space_events)
        .where(space_events.c.sequence > after_sequence, space_events.c.kind == kind_of(kind))
        .order_by(space_events.c.sequence)
    )
    return tuple(map(_recorded, c.execute(query)))


def head(c: sa.Connection, log: str = _LOG) -> int:
    """Sequence number of the last event; 0 if there is none."""
    return c.scalar(sa.select(log_heads.c.sequence).where(log_heads.c.log == log)) or 0


def reserve(c: sa.Connection, log: str, count: int) -> int:
    """Takes the lock of `log` until the transaction ends and the next `count` numbers; returns the last of them."""
    last: int | None = c.scalar(_RESERVE, {"of": log, "count": count})
    if last is None:  # the first append ever
        c.execute(insert_into(c, log_heads).values(log=log, sequence=0).on_conflict_do_nothing())
        last = c.execute(_RESERVE, {"of": log, "count": count}).scalar_one()
    return last


def kind_of(event: msgspec.Struct | type[msgspec.Struct]) -> str:
    """The tag under which an event is stored."""
    return str(event.__struct_config__.tag)


def _recorded(row: sa.Row[tuple[int, int, int, int, str, bytes, bytes]]) -> Recorded:
    return Recorded(
        space=row.space,
        version=row.version,
        sequence=row.sequence,
        at_ms=row.at_ms,
        actor=_actor_of(row.actor),
        event=_event_of(row.event),
    )
