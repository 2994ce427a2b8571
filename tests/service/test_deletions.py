"""What is kept goes at its time, everywhere, whatever fails meanwhile; and account is given of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from spaces_ctl import commands as c
from spaces_ctl.media.objects import Objects
from spaces_ctl.model import SpaceId
from spaces_ctl.policy.limits import PRESETS, Limits
from spaces_ctl.policy.state import ReplayStatus, Retention
from spaces_ctl.service.deletions import DeletionState, What
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.store import reactors
from spaces_ctl.store.database import Database
from spaces_ctl.store.tables.moderation import report_cases
from tests.support.keeping import Breaking, Keeping
from tests.support.worlds import ANN, HOST, World

MODERATOR = Principal(account=90, moderator=True)
EVERYTHING = {"replay", "clips", "source", "export", "spool", "captions", "key"}
REVIEWED = {"clips", "source", "export", "spool", "captions", "key"}
HOUR = 3_600


@pytest.fixture
def keeping(world: World, tmp_path: Path) -> Keeping:
    return Keeping(world, tmp_path / "spool")


async def over(keeping: Keeping, *, clips: int = 0, **create: bool) -> SpaceId:
    """An ended Space of which everything that there can be lies in the store."""
    world = keeping.world
    space = await world.live(**create)
    await world.enter(space, ANN)
    world.clock.advance(seconds=60)
    for _ in range(clips):
        await world.do(HOST, space, c.Clip(end_ms=40_000))
    await world.do(HOST, space, c.End())
    await keeping.fill(space)
    await keeping.settle()
    return space


async def moderate(world: World, space: SpaceId, command: c.SpaceCommand) -> None:
    await world.do(90, space, command, moderator=True)


async def test_an_unrecorded_space_is_kept_for_review_30_days_to_the_hour(keeping: Keeping) -> None:
    space = await over(keeping)
    await keeping.objects.delete(f"spaces/{space}/replay")  # it has none
    await keeping.wait(days=29, seconds=23 * HOUR)
    assert await keeping.kept(space) == REVIEWED
    assert await keeping.account(space) == []
    await keeping.wait(seconds=HOUR)
    assert await keeping.kept(space) == {"clips"}, "clips are their authors'"
    assert await keeping.whys(space) == {
        (what, "audit_30") for what in ("source", "spool", "captions", "export", "key")
    }
    by_what = {row.what: row for row in await keeping.account(space)}
    assert (by_what[What.SOURCE].objects, by_what[What.CAPTIONS].objects, by_what[What.KEY].objects) == (2, 7, 1)
    assert by_what[What.SOURCE].bytes == len("source/part-0001.000000.seg") * 2
    assert by_what[What.SPOOL].bytes == len(b"sound")
    assert (await keeping.world.state(space)).retention is Retention.PURGED


async def test_the_key_goes_last_and_everything_is_looked_after(keeping: Keeping) -> None:
    space = await over(keeping)
    await keeping.wait(days=30)
    rows = await keeping.account(space)
    assert keeping.order[-1] is What.KEY
    assert {row.done_ms for row in rows} == {keeping.world.clock.now_ms()}
    assert all(row.due_ms is not None for row in rows), "the store is asked once more"
    # An upload that was under way when the space was purged.
    await keeping.fill(space, "source")
    keeping.rows.clear()
    await keeping.wait(seconds=601)
    assert "source" not in await keeping.kept(space)
    again = next(row for row in await keeping.account(space) if row.what is What.SOURCE)
    assert (again.tries, again.objects) == (1, 4)
    await keeping.wait(seconds=601)
    assert [row.due_ms for row in await keeping.account(space)] == [None] * len(rows)


async def test_a_violation_keeps_it_120_days_and_then_takes_clips_and_replay_too(keeping: Keeping) -> None:
    world = keeping.world
    space = await over(keeping, record=True, clips=2)
    await keeping.wait(days=20)
    await moderate(world, space, c.MarkViolation(note="hate"))
    await keeping.wait(days=99, seconds=23 * HOUR)
    assert await keeping.kept(space) == EVERYTHING
    assert (await world.state(space)).replay.status is ReplayStatus.WITHHELD
    await keeping.wait(seconds=HOUR)
    assert await keeping.kept(space) == set()
    parts = ("replay", "clip", "source", "spool", "captions", "export", "key")
    assert await keeping.whys(space) == {(what, "hold_120") for what in parts}
    assert sorted(row.number for row in await keeping.account(space) if row.what is What.CLIP) == [1, 2]


async def test_a_cleared_violation_goes_back_to_30_days_counted_from_the_end(keeping: Keeping) -> None:
    space = await over(keeping)
    await moderate(keeping.world, space, c.MarkViolation(note="hate"))
    await keeping.wait(days=40)
    assert "source" in await keeping.kept(space)
    await moderate(keeping.world, space, c.ClearViolation())
    await keeping.settle()
    assert "source" not in await keeping.kept(space), "the 30 days are over"
    assert ("source", "audit_30") in await keeping.whys(space)


async def test_cleared_before_30_days_it_is_kept_until_then(keeping: Keeping) -> None:
    space = await over(keeping)
    await moderate(keeping.world, space, c.MarkViolation(note="hate"))
    await keeping.wait(days=10)
    await moderate(keeping.world, space, c.ClearViolation())
    await keeping.wait(days=19, seconds=23 * HOUR)
    assert "source" in await keeping.kept(space)
    await keeping.wait(seconds=HOUR)
    assert "source" not in await keeping.kept(space)


async def test_deleting_the_replay_leaves_the_review_copy_its_30_days(keeping: Keeping) -> None:
    world = keeping.world
    space = await over(keeping, record=True, clips=2)
    await keeping.wait(days=3)
    await world.do(HOST, space, c.DeleteReplay())
    await keeping.settle()
    assert await keeping.kept(space) == {"source", "export", "spool", "captions", "key"}
    assert await keeping.whys(space) == {("replay", "creator"), ("clip", "creator")}
    await keeping.wait(days=27)
    assert await keeping.kept(space) == set()
    assert ("key", "audit_30") in await keeping.whys(space)


async def test_a_replay_that_is_kept_keeps_its_source_and_captions_for_as_long(keeping: Keeping) -> None:
    world = keeping.world
    space = await over(keeping, record=True)
    await keeping.wait(days=400)
    assert await keeping.kept(space) == EVERYTHING
    await world.do(HOST, space, c.DeleteReplay())
    await keeping.settle()
    assert await keeping.kept(space) == {"clips"}, "the 30 days are long over; the clips in the store are nobody's here"


async def test_a_replay_that_expires_leaves_the_clips_to_their_authors(database: Database, tmp_path: Path) -> None:
    keeping = Keeping(World(database, limits=PRESETS["replay30"]), tmp_path)
    space = await over(keeping, record=True, clips=1)
    await keeping.wait(days=29, seconds=23 * HOUR)
    assert await keeping.kept(space) == EVERYTHING
    await keeping.wait(seconds=HOUR)
    await keeping.settle()
    assert await keeping.kept(space) == {"clips"}
    assert await keeping.whys(space) >= {("replay", "ttl"), ("source", "audit_30"), ("key", "audit_30")}
    await keeping.world.do(HOST, space, c.DeleteClip(clip=1))
    await keeping.settle()
    assert ("clip", "author") in await keeping.whys(space)
    assert [name for name, _ in await keeping.objects.list(f"spaces/{space}")] == [f"spaces/{space}/clips/2/audio.opus"]


@pytest.fixture
def private(database: Database, tmp_path: Path) -> Keeping:
    """A deployment that keeps no review copies."""
    return Keeping(World(database, limits=Limits(audit_copy=False)), tmp_path / "spool")


async def test_without_review_copies_an_unrecorded_space_leaves_nothing(private: Keeping) -> None:
    space = await over(private)
    assert "source" in await private.kept(space), "clips of the last words may be under way"
    await private.wait(seconds=120)
    assert await private.kept(space) == {"replay", "clips"}
    assert ("spool", "not_kept") in await private.whys(space)


async def test_without_review_copies_the_source_goes_with_the_replay(private: Keeping) -> None:
    space = await over(private, record=True, clips=2)
    await private.wait(days=50)
    assert await private.kept(space) == EVERYTHING
    await private.world.do(HOST, space, c.DeleteReplay())
    await private.settle()
    assert await private.kept(space) == set()
    assert {why for _, why in await private.whys(space)} == {"creator"}


async def test_what_was_reported_while_live_is_kept_even_without_review_copies(private: Keeping) -> None:
    world = private.world
    space = await world.live()
    await world.enter(space, ANN)
    await world.do(ANN, space, c.ReportSpace(reason="spam"))
    await world.do(HOST, space, c.End())
    await private.fill(space)
    await private.wait(days=29)
    assert "source" in await private.kept(space)


async def test_a_replay_of_a_private_install_can_be_reported_and_is_kept_for_review_then(private: Keeping) -> None:
    world = private.world
    space = await over(private, record=True)
    await world.do(ANN, space, c.ReportSpace(reason="hate"))
    await private.settle()
    await world.do(HOST, space, c.DeleteReplay())
    await private.settle()
    assert "replay" not in await private.kept(space)
    assert "source" in await private.kept(space)


async def test_reported_between_event_and_deletion_the_source_is_kept(database: Database, tmp_path: Path) -> None:
    keeping = Keeping(World(database, limits=Limits(audit_copy=False, replay_ttl_days=30)), tmp_path)
    world, objects = keeping.world, keeping.objects
    assert isinstance(objects, Breaking)
    space = await over(keeping, record=True, clips=1)
    objects.down = True
    await keeping.wait(days=30)
    assert (await world.state(space)).retention is Retention.NONE
    await world.do(ANN, space, c.ReportClip(clip=1, reason="hate"))
    objects.down = False
    await keeping.wait(seconds=600)
    states = {row.what: row.state for row in await keeping.account(space)}
    assert (states[What.REPLAY], states[What.SOURCE]) == (DeletionState.DONE, DeletionState.WITHDRAWN)
    assert {"source", "key"} <= await keeping.kept(space)
    await settle_cases(keeping)
    await keeping.wait(seconds=60)
    assert await keeping.kept(space) == {"clips"}, "held for the case alone: its 30 days are over"


async def test_a_reported_clip_is_kept_until_its_case_is_settled_though_nobody_may_play_it(keeping: Keeping) -> None:
    world = keeping.world
    space = await over(keeping, record=True, clips=1)
    await world.do(ANN, space, c.ReportClip(clip=1, reason="hate"))
    await world.do(HOST, space, c.DeleteClip(clip=1))
    await keeping.wait(seconds=60)
    assert 1 not in (await world.state(space)).clips, "refused at once"
    assert len(await keeping.objects.list(f"spaces/{space}/clips/1")) == 2
    [row] = await keeping.account(space)
    assert (row.state, row.tries, row.error) == (DeletionState.PENDING, 0, "a report about the clip is not settled")
    await settle_cases(keeping)
    await keeping.wait(seconds=60)
    assert await keeping.objects.list(f"spaces/{space}/clips/1") == []


async def settle_cases(keeping: Keeping) -> None:
    await keeping.world.db.write(lambda k: k.execute(sa.update(report_cases).values(state="resolved")))


async def test_an_open_case_delays_the_purge_and_its_end_frees_it(keeping: Keeping) -> None:
    space = await over(keeping)
    await keeping.world.do(ANN, space, c.ReportSpace(reason="spam"))
    await keeping.wait(days=45)
    assert "source" in await keeping.kept(space)
    await settle_cases(keeping)
    await keeping.wait(seconds=60)
    assert "source" not in await keeping.kept(space)


async def test_a_store_that_is_away_for_a_day_is_asked_until_it_has_nothing(keeping: Keeping) -> None:
    world, objects = keeping.world, keeping.objects
    assert isinstance(objects, Breaking)
    space = await over(keeping, record=True)
    objects.down = True
    await world.do(HOST, space, c.DeleteReplay())
    await keeping.settle()
    assert (await world.state(space)).replay.status is ReplayStatus.DELETED
    with pytest.raises(ServiceError) as refused:
        await world.do(ANN, space, c.PlayReplay())
    assert refused.value.code == "replay.deleted"
    for _ in range(24 * 6):
        await keeping.wait(seconds=600)
    [row] = [row for row in await keeping.account(space) if row.what is What.REPLAY]
    assert (row.state, row.error) == (DeletionState.PENDING, "connection refused")
    assert 100 < row.tries < 160, "at first often, then every ten minutes"
    objects.down = False
    await keeping.wait(seconds=600)
    assert "replay" not in await keeping.kept(space)
    [row] = [row for row in await keeping.account(space) if row.what is What.REPLAY]
    assert (row.state, row.objects, row.error) == (DeletionState.DONE, 3, "")


async def test_the_key_of_what_a_lost_store_still_has_is_destroyed_after_a_day(keeping: Keeping) -> None:
    assert isinstance(keeping.objects, Breaking)
    space = await over(keeping)
    keeping.objects.down = True
    await keeping.wait(days=30)
    await keeping.wait(seconds=23 * HOUR)
    assert keeping.rows[What.KEY, space] == 1, "waits for what it opens"
    await keeping.wait(seconds=HOUR)
    assert keeping.rows[What.KEY, space] == 0
    assert "source" in await keeping.kept(space), "unreadable now"


async def test_a_restart_goes_on_where_it_was_and_no_event_asks_twice(keeping: Keeping) -> None:
    world, objects = keeping.world, keeping.objects
    assert isinstance(objects, Breaking)
    space = await over(keeping, record=True, clips=2)
    objects.down = True
    await world.do(HOST, space, c.DeleteReplay())
    await keeping.settle()
    before = await keeping.account(space)
    assert {row.state for row in before} == {DeletionState.PENDING}
    objects.down = False
    reborn = Keeping(world.again(engine=world.engine), keeping.spool, objects=objects)
    await world.db.write(lambda k: reactors.rewind(k, "deletions"))
    await reborn.wait(seconds=120)
    after = await reborn.account(space)
    assert [row.id for row in after] == [row.id for row in before]
    assert {row.state for row in after} == {DeletionState.DONE}


async def test_two_processes_share_the_work(world: World, tmp_path: Path) -> None:
    one = Keeping(world, tmp_path)
    two = Keeping(world, tmp_path, objects=one.objects, recordings=one.recordings)
    space = await over(one)
    one.world.clock.advance(days=30)
    await world.timers.ring()
    for reactor in one.reactors:
        await reactor.drain()

    async def all_of(keeping: Keeping) -> None:
        while await keeping.deletions.step():
            pass

    await asyncio.gather(all_of(one), all_of(two))
    assert {row.state for row in await one.account(space)} <= {DeletionState.DONE, DeletionState.PENDING}
    assert [row.tries for row in await one.account(space)] == [0] * 5


async def test_what_is_left_of_an_interrupted_write_goes_too(world: World, tmp_path: Path) -> None:
    objects = Objects.open(str(tmp_path / "objects"))
    keeping = Keeping(world, tmp_path / "spool", objects=objects)
    space = await over(keeping)
    staged = tmp_path / "objects" / "spaces" / str(space) / "source" / "part-0001.000009.seg#1"
    staged.write_bytes(b"half of it")
    await keeping.wait(days=30)
    assert not staged.exists()
    assert await keeping.kept(space) == {"clips", "replay"}


async def test_the_list_is_for_moderators_and_operators(keeping: Keeping) -> None:
    space = await over(keeping, record=True)
    await keeping.world.do(HOST, space, c.DeleteReplay())
    await keeping.settle()
    with pytest.raises(ServiceError) as refused:
        await keeping.deletions.page(Principal(account=HOST))
    assert refused.value.code == "role.forbidden"
    for asker in (MODERATOR, Principal(operator=True)):
        [row] = await keeping.deletions.page(asker, space=space)
        assert (row.what, row.why.value) == (What.REPLAY, "creator")
    assert await keeping.deletions.page(MODERATOR, state=DeletionState.PENDING) == []
    assert await keeping.deletions.page(MODERATOR, before=row.id) == []
