from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import AccountId, Actor, CommunityRole, SpaceId, StageRole
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.notices import KINDS
from spaces_ctl.service.notifications import Audiences, Fanouts, NotificationReaction, Notifications
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.store import notifications as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.notifications import Notice, Settings
from tests.support.around import FakeLog
from tests.support.graph import FakeGraph

HOST = 1


class Lists:
    """Reminders, tickets and presence."""

    def __init__(self) -> None:
        self.reminders: list[AccountId] = []
        self.tickets: list[AccountId] = []
        self.present: set[AccountId] = set()

    async def remind(self, space: int, after: AccountId, limit: int) -> Sequence[AccountId]:
        return [account for account in sorted(self.reminders) if account > after][:limit]

    async def ticket(self, space: int, after: AccountId, limit: int) -> Sequence[AccountId]:
        return [account for account in sorted(self.tickets) if account > after][:limit]

    async def here(self, space: SpaceId, accounts: Iterable[AccountId]) -> set[AccountId]:
        return self.present & set(accounts)


@pytest.fixture
def graph() -> FakeGraph:
    return FakeGraph()


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
def notifications(db: Database, clock: ManualClock, new_id: Callable[[], int]) -> Notifications:
    return Notifications(db=db, clock=clock, new_id=new_id)


@pytest.fixture
def reactor(db: Database, clock: ManualClock, log: FakeLog, new_id: Callable[[], int]) -> Reactor:
    log.spaces[5] = Space(id=5, creator=HOST, title="Talk", clips_on=False)
    reaction = NotificationReaction(clock=clock, new_id=new_id, spaces=log.get)
    return Reactor("notifications", reaction, db=db, clock=clock, log_after=log.after)


@pytest.fixture
def fanouts(db: Database, clock: ManualClock, new_id: Callable[[], int], graph: FakeGraph, lists: Lists) -> Fanouts:
    audiences = Audiences(
        graph=graph, reminders=lists.remind, tickets=lists.ticket, blockers=graph.blockers, present=lists.here
    )
    return Fanouts(db=db, clock=clock, new_id=new_id, audiences=audiences, page_size=10)


async def tell_all(fanouts: Fanouts) -> int:
    steps = 0
    while await fanouts.step():
        steps += 1
    return steps


async def kinds(notifications: Notifications, account: AccountId) -> list[str]:
    return [told.kind for told in await notifications.page(Principal(account=account))]


CASES: list[tuple[e.SpaceEvent, Actor, AccountId, str | None]] = [
    (e.Invited(account=2, role=StageRole.SPEAKER), Actor(account=1), 2, "invited_to_speak"),
    (e.Invited(account=2, role=StageRole.COHOST), Actor(account=1), 2, "invited_to_cohost"),
    (e.RequestClosed(account=2, how=e.RequestClosedHow.APPROVED), Actor(account=1), 2, "request_accepted"),
    (e.RequestClosed(account=2, how=e.RequestClosedHow.REJECTED), Actor(account=1), 2, "request_declined"),
    (e.RequestClosed(account=2, how=e.RequestClosedHow.WITHDRAWN), Actor(account=2), 2, None),
    (e.RequestClosed(account=2, how=e.RequestClosedHow.BLOCKED), Actor(account=1), 2, None),
    (e.AskedToUnmute(account=2, by=1), Actor(account=1), 2, "asked_to_unmute"),
    (e.Muted(account=2, how=e.MutedHow.BY_HOST, by=1), Actor(account=1), 2, "muted_by"),
    (e.Muted(account=2, how=e.MutedHow.MUTE_ALL, by=1), Actor(account=1), 2, "muted_by"),
    (e.Muted(account=2, how=e.MutedHow.SELF), Actor(account=2), 2, None),
    (e.Removed(account=2, how=e.RemovedHow.REMOVED, bar=True), Actor(account=1), 2, "removed"),
    (e.Removed(account=2, how=e.RemovedHow.BLOCKED, bar=True), Actor(account=1), 2, None),
    (e.Removed(account=2, how=e.RemovedHow.BLOCKED_BY_NEW_HOST, bar=True), Actor(account=1), 2, None),
    (e.AdminChanged(account=2, how=e.AdminHow.SUCCEEDED), Actor(system=True), 2, "became_host"),
    (e.Ended(how=e.EndedHow.HOST), Actor(account=1), HOST, "space_ended"),
    (e.Ended(how=e.EndedHow.VIOLATION), Actor(account=8, moderator=True), HOST, "ended_for_violation"),
    (e.HostReminded(before_ms=600_000), Actor(system=True), HOST, "host_reminder"),
    (e.ViolationFound(), Actor(account=8, moderator=True), HOST, "violation_found"),
    (e.ReplayReady(duration_ms=1), Actor(system=True), HOST, "replay_ready"),
    (e.TicketBought(account=2, payment="p"), Actor(system=True), 2, "ticket_bought"),
    (e.TicketRefunded(account=2, payment="p"), Actor(system=True), 2, "ticket_refunded"),
    (e.Requested(account=2), Actor(account=2), 2, None),
]


@pytest.mark.parametrize(("event", "actor", "account", "kind"), CASES)
async def test_an_event_tells_the_one_whom_it_concerns(
    log: FakeLog,
    reactor: Reactor,
    notifications: Notifications,
    event: e.SpaceEvent,
    actor: Actor,
    account: AccountId,
    kind: str | None,
) -> None:
    log.add(5, event, actor)
    await reactor.drain()
    assert await kinds(notifications, account) == ([] if kind is None else [kind])
    if kind is not None:
        [told] = await notifications.page(Principal(account=account))
        assert told.data["title"] == "Talk"
        assert kind in KINDS


async def test_a_start_tells_reminded_followers_and_members_once_each_and_nobody_who_is_blocked(
    log: FakeLog,
    reactor: Reactor,
    fanouts: Fanouts,
    notifications: Notifications,
    graph: FakeGraph,
    lists: Lists,
) -> None:
    log.spaces[5] = Space(id=5, creator=HOST, title="Talk", community=7, clips_on=True)
    lists.reminders = [2, 3, 4]
    graph.follows = {(3, HOST), (4, HOST), (5, HOST), (6, HOST)}
    graph.blocks = {(5, HOST), (HOST, 4)}
    graph.members[7] = dict.fromkeys([2, 8], CommunityRole.MEMBER) | {HOST: CommunityRole.ADMIN}
    log.add(5, e.Started(record=False), Actor(account=HOST))
    await reactor.drain()
    await tell_all(fanouts)
    for account in (2, 3, 6, 8):
        assert await kinds(notifications, account) == ["space_started"], account
    for account in (4, 5):
        assert await kinds(notifications, account) == [], account
    assert await kinds(notifications, HOST) == ["clips_on"]


async def test_a_million_followers_are_told_page_by_page_and_a_crash_in_between_repeats_nothing_visible(
    db: Database,
    log: FakeLog,
    reactor: Reactor,
    fanouts: Fanouts,
    graph: FakeGraph,
    notifications: Notifications,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph.follows = {(account, HOST) for account in range(100, 135)}
    log.add(5, e.Started(record=False))
    await reactor.drain()
    assert await fanouts.step()  # reminders: nobody
    assert await fanouts.step()
    assert graph.pages_asked == [10], "one page a step, of the size that was set"

    told = store.tell

    def crash(*arguments: Any, **more: Any) -> int:
        told(*arguments, **more)
        raise asyncio.CancelledError

    monkeypatch.setattr(store, "tell", crash)
    with pytest.raises(asyncio.CancelledError):
        await fanouts.step()
    monkeypatch.setattr(store, "tell", told)
    assert await kinds(notifications, 115) == [], "the page is undone as a whole"
    assert await tell_all(fanouts) == 3
    for account in range(100, 135):
        assert await kinds(notifications, account) == ["space_started"]


async def test_two_processes_telling_the_same_audience_tell_each_once(
    log: FakeLog, reactor: Reactor, fanouts: Fanouts, graph: FakeGraph, notifications: Notifications
) -> None:
    graph.follows = {(account, HOST) for account in range(100, 150)}
    log.add(5, e.Started(record=False))
    await reactor.drain()
    await asyncio.gather(*(tell_all(fanouts) for _ in range(4)))
    for account in range(100, 150):
        assert await kinds(notifications, account) == ["space_started"]


async def test_a_graph_that_fails_puts_the_audience_off_and_nobody_is_forgotten(
    clock: ManualClock,
    log: FakeLog,
    reactor: Reactor,
    fanouts: Fanouts,
    graph: FakeGraph,
    notifications: Notifications,
) -> None:
    graph.follows = {(2, HOST)}
    graph.fails = True
    log.add(5, e.Started(record=False))
    await reactor.drain()
    assert await fanouts.step()  # reminders
    with pytest.raises(OSError, match="graph"):
        await fanouts.step()
    assert not await fanouts.step(), "not again at once"
    graph.fails = False
    clock.advance(ms=10_000)
    await tell_all(fanouts)
    assert await kinds(notifications, 2) == ["space_started"]


async def test_who_blocks_a_new_speaker_is_told_if_present_and_nobody_else(
    log: FakeLog,
    reactor: Reactor,
    fanouts: Fanouts,
    graph: FakeGraph,
    lists: Lists,
    notifications: Notifications,
) -> None:
    graph.blocks = {(20, 2), (21, 2), (2, 22)}
    lists.present = {20, 22, 23}
    log.add(5, e.SpeakerAdded(account=2, seat=1, generation=1, how=e.SeatGainedHow.OPEN), Actor(account=2))
    await reactor.drain()
    await tell_all(fanouts)
    assert await kinds(notifications, 20) == ["blocked_account_speaking"]
    for account in (2, 21, 22, 23):
        assert await kinds(notifications, account) == []


async def test_speakers_of_a_clippable_space_are_told_so_once(
    log: FakeLog, reactor: Reactor, notifications: Notifications
) -> None:
    log.spaces[5] = Space(id=5, creator=HOST, clips_on=True)
    for generation in (1, 2):
        seat = e.SpeakerAdded(account=2, seat=1, generation=generation, how=e.SeatGainedHow.OPEN)
        log.add(5, seat, Actor(account=2))
    await reactor.drain()
    assert await kinds(notifications, 2) == ["clips_notice"]


async def test_followers_of_a_speaker_hear_of_a_community_space_unless_they_did_already(
    log: FakeLog, reactor: Reactor, fanouts: Fanouts, graph: FakeGraph, notifications: Notifications
) -> None:
    log.spaces[5] = Space(id=5, creator=HOST, community=7, clips_on=False)
    graph.follows = {(30, 2), (31, 2), (31, HOST)}
    log.add(5, e.Started(record=False), Actor(account=HOST))
    log.add(5, e.SpeakerAdded(account=2, seat=1, generation=1, how=e.SeatGainedHow.OPEN), Actor(account=2))
    await reactor.drain()
    await tell_all(fanouts)
    assert await kinds(notifications, 30) == ["space_started"]
    assert await kinds(notifications, 31) == ["space_started"]


async def test_a_canceled_or_moved_space_tells_those_who_wanted_to_hear_it(
    log: FakeLog, reactor: Reactor, fanouts: Fanouts, lists: Lists, notifications: Notifications
) -> None:
    lists.reminders, lists.tickets = [2, 3], [3, 4]
    log.add(5, e.Edited(scheduled_start_ms=99), Actor(account=HOST))
    log.add(5, e.Edited(title="New"), Actor(account=HOST))
    log.add(5, e.Canceled(how=e.CanceledHow.HOST), Actor(account=HOST))
    await reactor.drain()
    await tell_all(fanouts)
    assert await kinds(notifications, 2) == ["space_canceled", "space_moved"]
    assert await kinds(notifications, 3) == ["space_canceled", "space_moved"]
    assert await kinds(notifications, 4) == ["space_canceled"]


async def test_the_list_pages_counts_unread_and_marks_read(notifications: Notifications, clock: ManualClock) -> None:
    me, other = Principal(account=2), Principal(account=3)
    for number in range(7):
        await notifications.tell([2, 3], Notice(kind="removed", source=f"event:{number}"))
    first = await notifications.page(me, limit=3)
    second = await notifications.page(me, before=first[-1].id, limit=3)
    assert [told.source for told in (*first, *second)] == [f"event:{number}" for number in (6, 5, 4, 3, 2, 1)]
    assert await notifications.unread(me) == 7
    assert await notifications.mark_read(me, ids=[first[0].id]) == 1
    assert await notifications.mark_read(me, ids=[first[0].id]) == 0
    assert await notifications.mark_read(me, up_to=second[0].id) == 4
    assert await notifications.unread(me) == 2
    assert await notifications.unread(other) == 7, "somebody else's are theirs"
    assert await notifications.mark_read(other, ids=[first[0].id]) == 0


async def test_kinds_that_are_switched_off_are_not_told(notifications: Notifications) -> None:
    me = Principal(account=2)
    await notifications.change_settings(me, Settings(off=("removed",)))
    await notifications.tell([2], Notice(kind="removed", source="a"))
    await notifications.tell([2], Notice(kind="ticket_bought", source="a"))
    assert await kinds(notifications, 2) == ["ticket_bought"]
    assert (await notifications.settings(me)).off == ("removed",)
    with pytest.raises(ServiceError) as refused:
        await notifications.change_settings(me, Settings(off=("nonsense",)))
    assert refused.value.code == "setting.invalid"


async def test_bans_and_appeals_are_told(notifications: Notifications, clock: ManualClock) -> None:
    await notifications.on_account_event(e.LiveBanned(account=2, reason="spam"), Actor(moderator=True))
    clock.advance(ms=5)
    await notifications.on_account_event(e.AppealResolved(appeal=1, account=2, granted=False), Actor(moderator=True))
    await notifications.on_account_event(e.AppealResolved(appeal=1, account=2, granted=False), Actor(moderator=True))
    await notifications.on_account_event(e.AppealResolved(appeal=2, account=2, granted=True), Actor(moderator=True))
    await notifications.on_account_event(e.BanLifted(account=2), Actor(moderator=True))
    await notifications.on_account_event(e.Followed(by=3, account=2), Actor(account=3))
    assert await kinds(notifications, 2) == ["ban_lifted", "appeal_granted", "appeal_denied", "live_banned"]


async def test_a_guest_has_no_notifications(notifications: Notifications) -> None:
    with pytest.raises(ServiceError) as refused:
        await notifications.page(Principal())
    assert refused.value.code == "auth.token_missing"


async def test_old_notifications_are_forgotten(
    fanouts: Fanouts, notifications: Notifications, clock: ManualClock
) -> None:
    await notifications.tell([2], Notice(kind="removed", source="old"))
    clock.advance(days=91)
    await notifications.tell([2], Notice(kind="removed", source="new"))
    await fanouts.step()
    assert [told.source for told in await notifications.page(Principal(account=2))] == ["new"]
