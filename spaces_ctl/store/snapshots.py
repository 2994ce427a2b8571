"""Folded Spaces beside their logs, so that a Space with a long log is loaded from its last snapshot on.

A snapshot is a cache: one that this version of the code cannot be sure to read right is as good as none, and the log is
folded from its beginning.
"""

from __future__ import annotations

import hashlib

import msgspec
import sqlalchemy as sa

from spaces_ctl.model import SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.store.insert import insert_into
from spaces_ctl.store.tables.log import space_snapshots

__all__ = ["FOLD", "load", "save"]

FOLD = 1
"""To be raised when `policy.evolve` folds an event of old into something else than before."""


def _shape() -> str:
    """Fingerprint of what a `Space` looks like: other fields or types, other fingerprint."""
    schema = msgspec.json.encode(msgspec.json.schema(Space), order="deterministic")
    return hashlib.sha256(b"%d:%s" % (FOLD, schema)).hexdigest()


_SHAPE = _shape()
_decode = msgspec.msgpack.Decoder(Space).decode


def save(c: sa.Connection, state: Space) -> None:
    """Keeps `state` as the snapshot of its Space, unless a newer one is there."""
    insert = insert_into(c, space_snapshots)
    new = insert.excluded
    c.execute(
        insert.values(
            space=state.id, version=state.version, shape=_SHAPE, state=msgspec.msgpack.encode(state)
        ).on_conflict_do_update(
            index_elements=[space_snapshots.c.space],
            set_={"version": new.version, "shape": new.shape, "state": new.state},
            where=(space_snapshots.c.version < new.version) | (space_snapshots.c.shape != new.shape),
        )
    )


def load(c: sa.Connection, space: SpaceId) -> Space | None:
    """The last snapshot, or None: fold the log from its beginning. After it, fold from `.version` on."""
    row = c.execute(
        sa.select(space_snapshots.c.state).where(space_snapshots.c.space == space, space_snapshots.c.shape == _SHAPE)
    ).one_or_none()
    if row is None:
        return None
    try:
        return _decode(row.state)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
