"""What moderators still need is not deleted, however long they take."""

from itertools import count

from spaces_ctl import commands as c
from spaces_ctl.policy.state import ReplayStatus, Retention
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.fakes import FakeRecordings
from spaces_ctl.service.graph import EmbeddedGraph
from spaces_ctl.service.media import MediaReaction
from spaces_ctl.service.moderation import Moderation, ModerationReaction
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.reactor import Reaction, Reactor
from spaces_ctl.store import event_log
from spaces_ctl.store.moderation import READER
from tests.support.worlds import ANN, HOST, World

MODERATOR = Principal(account=90, moderator=True)


def reactor(world: World, name: str, reaction: Reaction) -> Reactor:
    return Reactor(name, reaction, db=world.db, clock=world.clock, log_after=event_log.read_all)


async def test_a_purge_waits_until_the_case_is_resolved(world: World) -> None:
    new_id = count(1).__next__
    recordings = FakeRecordings(duration_ms=5_000)
    media = reactor(world, "media", MediaReaction(spaces=world.spaces, recordings=recordings, clock=world.clock))
    queue = reactor(world, READER, ModerationReaction(new_id=new_id))
    accounts = Accounts(
        db=world.db, graph=EmbeddedGraph(db=world.db), clock=world.clock, next_id=new_id, limits=world.limits
    )
    moderation = Moderation(
        db=world.db,
        clock=world.clock,
        new_id=new_id,
        execute=world.spaces.execute,
        execute_account=accounts.execute,
    )
    space = await world.live(record=True)
    await world.enter(space, ANN)
    await world.do(HOST, space, c.End())
    await media.drain()
    await world.do(ANN, space, c.ReportSpace(reason="spam"))
    await world.do(HOST, space, c.DeleteReplay())
    assert (await world.state(space)).replay.status is ReplayStatus.DELETED, "the public copy is the host's to delete"

    async def purged_after(**wait: float) -> bool:
        world.clock.advance(**wait)
        await world.timers.ring()
        return (await world.state(space)).retention is Retention.PURGED

    assert not await purged_after(days=31), "reported, and not even in the queue"
    await queue.drain()
    assert not await purged_after(days=31), "in the queue"
    [case] = await moderation.cases(MODERATOR)
    await moderation.claim(MODERATOR, case.id)
    assert not await purged_after(seconds=60), "claimed is not resolved"
    assert (await world.state(space)).retention is Retention.AUDIT
    await moderation.dismiss(MODERATOR, case.id, "harmless")
    assert await purged_after(seconds=60), "the timer rings until it is done"
