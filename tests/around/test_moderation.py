from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from spaces_ctl import commands
from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import Actor, Status
from spaces_ctl.policy import AccountFacts, Facts, Limits
from spaces_ctl.policy.state import Space
from spaces_ctl.service.accounts import Accounts
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.graph import EmbeddedGraph
from spaces_ctl.service.moderation import Moderation, ModerationReaction
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.store.database import Database
from tests.support.around import FakeLog, FakeSpaces
from tests.support.patience import PATIENCE_S
from tests.support.projected import Projected

MODERATOR = Principal(account=90, moderator=True)
ANN = Principal(account=2)


@pytest.fixture
def spaces(log: FakeLog, clock: ManualClock) -> FakeSpaces:
    spaces = FakeSpaces(log, clock)
    spaces.put(Space(id=5, creator=1, admin=1, status=Status.LIVE, started_ms=clock.now_ms()))
    spaces.facts = Facts(accounts={2: AccountFacts(present=True), 3: AccountFacts(present=True)})
    return spaces


@pytest.fixture
def accounts(db: Database, clock: ManualClock, new_id: Callable[[], int]) -> Accounts:
    return Accounts(db=db, graph=EmbeddedGraph(db=db), clock=clock, next_id=new_id, limits=Limits())


@pytest.fixture
def moderation(
    db: Database, clock: ManualClock, new_id: Callable[[], int], spaces: FakeSpaces, accounts: Accounts
) -> Moderation:
    return Moderation(
        db=db,
        clock=clock,
        new_id=new_id,
        execute=spaces.execute,
        execute_account=accounts.execute,
    )


@pytest.fixture
def reactor(db: Database, clock: ManualClock, log: FakeLog, new_id: Callable[[], int]) -> Reactor:
    reaction = ModerationReaction(new_id=new_id)
    return Reactor("moderation", reaction, db=db, clock=clock, log_after=log.after)


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(ServiceError) as error:
        await call
    return error.value.code


async def test_reports_of_one_subject_are_one_case_and_a_reporter_counts_once(
    moderation: Moderation, log: FakeLog, reactor: Reactor, clock: ManualClock
) -> None:
    for account in (2, 3, 2):
        log.add(5, e.Reported(by=account, reason="spam", detail="look", account=7))
        clock.advance(seconds=60)
    log.add(5, e.Reported(by=2, reason="hate"))
    log.add(5, e.Reported(by=2, reason="abuse", clip=1))
    await reactor.drain()
    cases = await moderation.cases(MODERATOR)
    assert [(case.kind, case.subject, case.reporters) for case in cases] == [
        ("account", 7, 2),
        ("space", 5, 1),
        ("clip", 1, 1),
    ]
    case, reports = await moderation.case(MODERATOR, cases[0].id)
    assert [(report.by, report.reason) for report in reports] == [(2, "spam"), (3, "spam"), (2, "spam")]
    assert case.evidence_to_ms - case.evidence_from_ms == 600_000 + 120_000 + 120_000


async def test_evidence_is_held_until_the_case_is_resolved(
    moderation: Moderation, log: FakeLog, reactor: Reactor, clock: ManualClock
) -> None:
    at = clock.now_ms()
    log.add(5, e.Reported(by=2, reason="spam"))
    await reactor.drain()
    assert await moderation.held(5) == [(at - 600_000, at + 120_000)]
    [case] = await moderation.cases(MODERATOR)
    await moderation.claim(MODERATOR, case.id)
    assert await moderation.cases(MODERATOR) == []
    assert await moderation.held(5), "claimed is not resolved"
    await moderation.release(MODERATOR, case.id)
    await moderation.dismiss(MODERATOR, case.id, "harmless")
    assert await moderation.held(5) == []
    assert await refused(moderation.claim(MODERATOR, case.id)) == "report.not_found"
    log.add(5, e.Reported(by=2, reason="spam"))
    await reactor.drain()
    [again] = await moderation.cases(MODERATOR)
    assert again.id != case.id, "a new report opens a new case"
    trail = await moderation.trail(MODERATOR, space=5)
    assert [(line.action, line.why) for line in trail] == [("dismissed", "harmless"), ("release", ""), ("claim", "")]
    assert {line.moderator for line in trail} == {90}


async def test_what_moderators_do_happens_and_is_in_the_trail_with_its_outcome(
    moderation: Moderation, log: FakeLog, spaces: FakeSpaces
) -> None:
    await moderation.end(MODERATOR, 5, "hate speech")
    assert e.Ended(how=e.EndedHow.VIOLATION) in [recorded.event for recorded in log.events]
    await moderation.mark_violation(MODERATOR, 5, "hate speech")
    assert (await spaces.get(5)).violation
    assert await refused(moderation.end(MODERATOR, 5, "again")) == "state.ended"
    assert await refused(moderation.end(MODERATOR, 5, " ")) == "report.reason_required"
    trail = [(line.action, line.outcome, line.why) for line in await moderation.trail(MODERATOR)]
    assert trail == [
        ("end", "state.ended", "again"),
        ("end", "asked", "again"),
        ("mark_violation", "done", "hate speech"),
        ("mark_violation", "asked", "hate speech"),
        ("end", "done", "hate speech"),
        ("end", "asked", "hate speech"),
    ]


async def test_an_action_whose_process_dies_is_in_the_trail_as_asked(
    moderation: Moderation, spaces: FakeSpaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, never = asyncio.Event(), asyncio.Event()

    async def hang(*_: object) -> None:
        started.set()
        await never.wait()

    monkeypatch.setattr(moderation, "_execute", hang)
    task = asyncio.create_task(moderation.end(MODERATOR, 5, "why"))
    await asyncio.wait_for(started.wait(), PATIENCE_S)
    [line] = await moderation.trail(MODERATOR)
    assert (line.action, line.outcome) == ("end", "asked")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_bans_are_lifted_by_hand_or_by_an_appeal(
    moderation: Moderation, accounts: Accounts, clock: ManualClock
) -> None:
    person = await accounts.create(handle="ann")
    ann = Principal(account=person.id)
    assert await refused(moderation.appeal(ann, "why?")) == "appeal.not_found"
    await moderation.ban(MODERATOR, person.id, "spam", None)
    appeal = await moderation.appeal(ann, "it was not me")
    assert await refused(moderation.appeal(ann, "again")) == "appeal.exists"
    [listed] = await moderation.appeals(MODERATOR)
    assert (listed.id, listed.text) == (appeal, "it was not me")
    await moderation.resolve_appeal(MODERATOR, appeal, True, "indeed")
    assert await moderation.appeals(MODERATOR) == []
    assert await refused(moderation.resolve_appeal(MODERATOR, appeal, True, "x")) == "appeal.not_found"
    assert await refused(moderation.appeal(ann, "why?")) == "appeal.not_found", "the ban is lifted"
    await moderation.ban(MODERATOR, person.id, "spam", clock.now_ms() + 1000)
    await moderation.lift_ban(MODERATOR, person.id, "enough")
    actions = [line.action for line in await moderation.trail(MODERATOR, account=person.id) if line.outcome == "done"]
    assert actions == ["lift_ban", "ban", "grant_appeal", "ban"]


async def test_appeals_have_a_window(moderation: Moderation, accounts: Accounts, clock: ManualClock) -> None:
    person = await accounts.create(handle="ann")
    await moderation.ban(MODERATOR, person.id, "spam", None)
    clock.advance(days=31)
    assert await refused(moderation.appeal(Principal(account=person.id), "late")) == "appeal.window_closed"


async def test_what_moderators_do_by_other_ways_is_in_the_trail_too(
    moderation: Moderation, accounts: Accounts, spaces: FakeSpaces, log: FakeLog, reactor: Reactor
) -> None:
    person = await accounts.create(handle="host")
    accounts.on_event(moderation.on_account_event)
    await accounts.execute(MODERATOR, commands.BanFromLive(account=person.id, reason="spam"))
    await spaces.execute(MODERATOR.actor(), 5, commands.End())
    log.add(5, e.ViolationFound(note="hate"), MODERATOR.actor())
    log.add(5, e.Removed(account=7, how=e.RemovedHow.REMOVED, bar=True), Actor(account=1))
    await reactor.drain()
    trail = [(line.action, line.why, line.moderator, line.outcome) for line in await moderation.trail(MODERATOR)]
    assert trail == [
        ("violation_found", "hate", 90, "logged"),
        ("violation_found", "", 90, "logged"),
        ("space_ended", "", 90, "logged"),
        ("live_banned", "spam", 90, "logged"),
    ]


@pytest.fixture
async def appealed(
    db: Database, clock: ManualClock, moderation: Moderation, accounts: Accounts, spaces: FakeSpaces
) -> int:
    """An appeal against a violation in Space 6."""
    person = await accounts.create(handle="host")
    accounts.on_event(moderation.on_account_event)
    accounts.undo_violation = moderation.undo_violation
    projected = Projected(db, clock)
    await projected.live(6, creator=person.id)
    await projected.add(6, e.Ended(how=e.EndedHow.VIOLATION), e.ViolationFound())
    spaces.put(projected.states[6])
    return await moderation.appeal(Principal(account=person.id), "it was a play", 6)


@pytest.fixture(params=["queue", "command"])
def resolve(
    request: pytest.FixtureRequest, moderation: Moderation, accounts: Accounts
) -> Callable[[int, bool], Awaitable[object]]:
    """Both ways."""
    if request.param == "queue":
        return lambda appeal, grant: moderation.resolve_appeal(MODERATOR, appeal, grant, "a play")
    return lambda appeal, grant: accounts.execute(MODERATOR, commands.ResolveAppeal(appeal=appeal, grant=grant))


@pytest.mark.parametrize("grant", [True, False])
async def test_an_appeal_that_is_granted_by_whatever_way_clears_the_violation(
    appealed: int, resolve: Callable[[int, bool], Awaitable[object]], spaces: FakeSpaces, grant: bool
) -> None:
    await resolve(appealed, grant)
    assert (await spaces.get(6)).violation is not grant


async def test_an_appeal_stays_open_until_the_violation_is_cleared(
    appealed: int, resolve: Callable[[int, bool], Awaitable[object]], moderation: Moderation, spaces: FakeSpaces
) -> None:
    """Closed first, a crash in between would have left the violation for good."""
    spaces.fails = ServiceError("store.unavailable")
    assert await refused(resolve(appealed, True)) == "store.unavailable"
    assert [one.id for one in await moderation.appeals(MODERATOR)] == [appealed]
    spaces.fails = None
    await resolve(appealed, True)
    assert not (await spaces.get(6)).violation
    assert await moderation.appeals(MODERATOR) == []


@pytest.mark.parametrize("who", [ANN, Principal()])
async def test_only_moderators_and_operators_moderate(moderation: Moderation, who: Principal) -> None:
    for call in (
        moderation.cases(who),
        moderation.case(who, 1),
        moderation.claim(who, 1),
        moderation.dismiss(who, 1, "x"),
        moderation.end(who, 5, "x"),
        moderation.ban(who, 7, "x", None),
        moderation.appeals(who),
        moderation.trail(who),
    ):
        assert await refused(call) == "role.forbidden"
    assert await moderation.trail(Principal(operator=True)) == []


async def test_an_operator_ends_a_space_without_being_a_person(moderation: Moderation, log: FakeLog) -> None:
    await moderation.end(Principal(operator=True), 5, "from the command line")
    assert log.events[0].actor == Actor(moderator=True)
