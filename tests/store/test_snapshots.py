"""Snapshots are read back only when they can be read right."""

from __future__ import annotations

from functools import partial

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from spaces_ctl.model import Seat, SpaceId, StageRole, Status
from spaces_ctl.policy.state import Invitation, Poll, Space
from spaces_ctl.store import snapshots
from spaces_ctl.store.database import Database
from spaces_ctl.store.tables.log import space_snapshots

SPACE = Space(
    id=11,
    version=40,
    status=Status.LIVE,
    creator=1,
    admin=1,
    title="Ünïcödé",
    stage=(Seat(seat=0, account=1, role=StageRole.HOST, generation=1),),
    away_until={5: 9},
    invites={6: Invitation(role=StageRole.SPEAKER, by=1, since_ms=3)},
    polls={1: Poll(question="?", options=("a", "b"), votes=(3, 4), by=1)},
    removed=frozenset({8, 9}),
)


async def test_a_space_comes_back_equal(database: Database) -> None:
    await database.write(partial(snapshots.save, state=SPACE))
    assert await database.read(partial(snapshots.load, space=SpaceId(11))) == SPACE
    assert await database.read(partial(snapshots.load, space=SpaceId(12))) is None


async def test_the_newest_stays(database: Database) -> None:
    for version in (40, 60, 50):
        await database.write(partial(snapshots.save, state=replace(SPACE, version=version)))
    loaded = await database.read(partial(snapshots.load, space=SpaceId(11)))
    assert loaded is not None
    assert loaded.version == 60


async def test_a_snapshot_of_another_shape_is_none_and_is_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other_code:
        other_code.setattr(snapshots, "_SHAPE", "of another version")
        await database.write(partial(snapshots.save, state=replace(SPACE, version=90)))
    assert await database.read(partial(snapshots.load, space=SpaceId(11))) is None
    await database.write(partial(snapshots.save, state=SPACE))
    assert await database.read(partial(snapshots.load, space=SpaceId(11))) == SPACE


async def test_a_damaged_snapshot_is_none(database: Database) -> None:
    await database.write(partial(snapshots.save, state=SPACE))
    await database.write(lambda c: c.execute(sa.update(space_snapshots).values(state=b"\x93\x01")))
    assert await database.read(partial(snapshots.load, space=SpaceId(11))) is None


def test_the_shape_follows_the_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshots._shape()
    monkeypatch.setattr(snapshots, "FOLD", snapshots.FOLD + 1)
    assert snapshots._shape() != before
