from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import SYSTEM, SpaceId, StageRole
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.outbound import Outbound
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.reactor import Reactor
from spaces_ctl.service.webhook_payload import payload
from spaces_ctl.service.webhooks import WebhookReaction, Webhooks, WebhookSender, WebhookTimes
from spaces_ctl.store import webhooks as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.webhooks import Endpoint
from tests.support.around import FakeLog
from tests.support.patience import PATIENCE_S
from tests.support.receiver import Received, Receiver, receiving

OPERATOR = Principal(operator=True)
APP = Principal(app="shop")
CREATOR = Principal(account=1)
TIMES = WebhookTimes()


@pytest.fixture
def clock() -> ManualClock:
    # The library's verifier looks at the machine's clock.
    return ManualClock(time.time_ns() // 1_000_000)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    async with Outbound(allow=["127.0.0.0/8"], plain_http=True, timeout_s=5) as found:
        yield found


@pytest.fixture
def webhooks(db: Database, clock: ManualClock, log: FakeLog, new_id: Callable[[], int]) -> Webhooks:
    return Webhooks(db=db, clock=clock, new_id=new_id, spaces=log.get, plain_http=True)


@pytest.fixture
def reactor(db: Database, clock: ManualClock, log: FakeLog) -> Reactor:
    reaction = WebhookReaction(db=db, spaces=log.get, space_name=lambda space: f"S{space}")
    return Reactor("webhooks", reaction, db=db, clock=clock, log_after=log.after)


@pytest.fixture
def make(db: Database, clock: ManualClock, outbound: Outbound) -> Callable[..., WebhookSender]:
    def build(**settings: Any) -> WebhookSender:
        rng = random.Random(1)
        return WebhookSender(db=db, clock=clock, outbound=outbound, rng=rng, **settings)

    return build


async def send_all(sender: WebhookSender, at_once: int = 1) -> None:
    while any(await asyncio.gather(*(sender.step() for _ in range(at_once)))):
        pass


def live(log: FakeLog, clock: ManualClock, space: SpaceId = 5, creator: int = 1) -> None:
    log.spaces[space] = Space(id=space, creator=creator, started_ms=clock.now_ms())


async def registered(webhooks: Webhooks, receiver: Receiver, who: Principal = OPERATOR) -> Endpoint:
    endpoint = await webhooks.register(who, receiver.url)
    receiver.secret = endpoint.secrets[0][0]
    return endpoint


async def test_a_receiver_verifies_what_it_gets_with_the_library_and_sees_id_sequence_and_names(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    live(log, clock)
    await registered(webhooks, receiver)
    log.add(5, e.Started(record=True))
    log.add(5, e.Invited(account=2**62, role=StageRole.SPEAKER, expires_ms=clock.now_ms()))
    await reactor.drain()
    await send_all(make())
    first, second = receiver.got
    assert first.verified
    assert second.verified
    assert (first.id, second.id) == ("evt_1", "evt_3")
    assert first.body["type"] == "space.started"
    assert first.body["sequence"] == 1
    assert first.body["data"] == {"space": "S5", "version": 1, "record": True}
    assert second.body["data"]["account"] == str(2**62), "ids are strings"
    assert second.body["data"]["expires"].endswith("Z")
    receiver.secret = "whsec_" + "A" * 43
    log.add(5, e.Ended(how=e.EndedHow.HOST))
    await reactor.drain()
    await send_all(make())
    assert not receiver.got[2].verified, "the verification of this test can fail"


async def test_order_within_a_space_holds_under_concurrency_with_a_receiver_that_fails_now_and_then(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    for space in (5, 6, 7):
        live(log, clock, space)
    await registered(webhooks, receiver)
    for account in range(30):
        log.add(5 + account % 3, e.Requested(account=account))
    await reactor.drain()
    chance = random.Random(2)
    accepted: dict[str, list[int]] = {}

    def flapping(got: Received) -> int:
        if chance.random() < 0.4:
            return 500
        accepted.setdefault(got.body["data"]["space"], []).append(got.body["data"]["version"])
        return 200

    receiver.answer = flapping
    sender = make()
    for _ in range(60):
        await send_all(sender, at_once=8)
        clock.advance(ms=TIMES.longest_retry_ms // 500)
    assert accepted == {f"S{space}": list(range(1, 11)) for space in (5, 6, 7)}


async def test_spaces_go_side_by_side_but_an_endpoint_has_no_more_than_its_share(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    await registered(webhooks, receiver)
    for space in range(1, 7):
        live(log, clock, space)
        log.add(space, e.Started(record=False))
        log.add(space, e.Ended(how=e.EndedHow.HOST))
    await reactor.drain()
    release = asyncio.Event()

    async def hang() -> int:
        await release.wait()
        return 200

    receiver.answer = lambda _: hang()
    sender = make(most_per_endpoint=4)
    steps = [asyncio.create_task(sender.step()) for _ in range(8)]
    while len(receiver.got) < 4:
        receiver.arrived.clear()
        await asyncio.wait_for(receiver.arrived.wait(), PATIENCE_S)
    assert not await sender.step(), "its share is under way"
    release.set()
    assert sum(await asyncio.gather(*steps)) == 4
    assert receiver.open_most == 4
    assert len({got.body["data"]["space"] for got in receiver.got}) == 4, "one at a time of each Space"
    await send_all(sender)
    assert len(receiver.got) == 12


async def test_a_slow_endpoint_does_not_keep_others_waiting(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    for space in (5, 6, 7):
        live(log, clock, space)
    await registered(webhooks, receiver)
    release = asyncio.Event()

    async def hang() -> int:
        await release.wait()
        return 200

    receiver.answer = lambda _: hang()
    async with receiving() as quick:
        await webhooks.register(OPERATOR, quick.url)
        for space in (5, 6, 7):
            log.add(space, e.Started(record=False))
        await reactor.drain()
        sender = make(most_per_endpoint=1)
        slow = asyncio.create_task(sender.step())
        await asyncio.wait_for(receiver.arrived.wait(), PATIENCE_S)
        await send_all(sender)
        assert len(quick.got) == 3
        assert len(receiver.got) == 1
        release.set()
        await slow


async def test_a_kill_between_sending_and_booking_repeats_the_message_and_loses_none(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    live(log, clock)
    await registered(webhooks, receiver)
    log.add(5, e.Started(record=False))
    log.add(5, e.Ended(how=e.EndedHow.HOST))
    await reactor.drain()
    never = asyncio.Event()

    async def hang() -> None:
        await never.wait()

    receiver.answer = lambda _: hang()
    killed = asyncio.create_task(make().step())
    await asyncio.wait_for(receiver.arrived.wait(), PATIENCE_S)
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    receiver.answer = lambda _: 200
    await send_all(make())
    assert [got.id for got in receiver.got] == ["evt_1"], "the claim still stands: order is worth the wait"
    clock.advance(ms=TIMES.claim_ms)
    await send_all(make())
    assert [got.id for got in receiver.got] == ["evt_1", "evt_1", "evt_3"]


async def test_pauses_grow_with_jitter_up_to_a_bound_and_follow_what_the_receiver_asks(
    db: Database,
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    live(log, clock)
    await registered(webhooks, receiver)
    log.add(5, e.Started(record=False))
    await reactor.drain()
    receiver.answer = lambda _: 503
    sender = make()
    pauses = []
    for _ in range(14):
        assert await sender.step()
        due = await db.read(store.next_due_ms)
        assert due is not None
        pauses.append(due - clock.now_ms())
        assert not await sender.step(), "not before it is due"
        clock.advance(ms=pauses[-1])
    for tries, pause in enumerate(pauses):
        wanted = min(TIMES.first_retry_ms * 2**tries, TIMES.longest_retry_ms)
        assert 0.75 * wanted <= pause <= 1.25 * wanted
    assert len({pause / TIMES.first_retry_ms % 1 for pause in pauses}) > 10, "no two alike"
    log.add(6, e.Started(record=False))
    live(log, clock, 6)
    receiver.headers = "retry-after: 120\r\n"
    await reactor.drain()
    await send_all(sender)
    due = await db.read(store.next_due_ms)
    assert due == clock.now_ms() + 120_000


async def test_an_endpoint_that_takes_nothing_for_days_is_disabled_told_and_loses_nothing(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    live(log, clock)
    endpoint = await registered(webhooks, receiver)
    log.add(5, e.Started(record=False))
    await reactor.drain()
    receiver.answer = lambda _: None
    told: list[Endpoint] = []

    async def notice(dead: Endpoint) -> None:
        told.append(dead)

    sender = make(disabled=notice)
    tries = 0
    while not told:
        assert tries < 200
        tries += await sender.step()
        clock.advance(ms=TIMES.longest_retry_ms * 5 // 4)
    assert told[0].id == endpoint.id
    assert told[0].disabled_why == "took nothing for 5 days"
    assert not await sender.step()
    [shown] = await webhooks.list(OPERATOR)
    assert shown.disabled_ms is not None
    attempts = await webhooks.attempts(OPERATOR, endpoint.id, 200)
    assert len(attempts) == tries
    assert all(attempt.status is None and attempt.error for attempt in attempts)

    receiver.answer = lambda _: 200
    await webhooks.set_enabled(OPERATOR, endpoint.id, True)
    await send_all(sender)
    [message] = await webhooks.messages(OPERATOR, endpoint.id)
    assert message.state == "delivered"


async def test_410_disables_at_once(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    live(log, clock)
    await registered(webhooks, receiver)
    log.add(5, e.Started(record=False))
    await reactor.drain()
    receiver.answer = lambda _: 410
    await send_all(make())
    [endpoint] = await webhooks.list(OPERATOR)
    assert endpoint.disabled_why == "answered 410 Gone"


async def test_a_message_that_only_one_space_chokes_on_is_given_up_and_can_be_sent_again_by_hand(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    live(log, clock)
    live(log, clock, 6)
    endpoint = await registered(webhooks, receiver)
    bad = log.add(5, e.Started(record=False))
    log.add(5, e.Ended(how=e.EndedHow.HOST))
    await reactor.drain()
    receiver.answer = lambda got: 400 if got.id == f"evt_{bad.sequence}" else 200
    sender = make()
    for day in range(7):
        log.add(6, e.Requested(account=day))
        await reactor.drain()
        await send_all(sender)
        clock.advance(days=1)
    states = {message.sequence: message.state for message in await webhooks.messages(OPERATOR, endpoint.id)}
    assert states[bad.sequence] == "failed"
    assert states[3] == "delivered", "the Space's next one went on"
    assert (await webhooks.list(OPERATOR))[0].disabled_ms is None

    receiver.answer = lambda _: 200
    await webhooks.redeliver(OPERATOR, endpoint.id, bad.sequence)
    await send_all(sender)
    assert receiver.got[-1].id == f"evt_{bad.sequence}"
    with pytest.raises(ServiceError) as refused:
        await webhooks.redeliver(OPERATOR, endpoint.id, 999)
    assert refused.value.code == "resource.not_found"


async def test_both_secrets_sign_until_the_rotation_is_over(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    live(log, clock)
    old = await registered(webhooks, receiver)
    new = await webhooks.rotate(OPERATOR, old.id)
    assert new.secrets[0] != old.secrets[0]
    for secret in (old.secrets[0][0], new.secrets[0][0]):
        receiver.secret = secret
        log.add(5, e.SettingChanged(mic_open=True))
        await reactor.drain()
        await send_all(make())
        assert receiver.got[-1].verified
    third = await webhooks.rotate(OPERATOR, old.id)
    assert len(third.secrets) == 2, "two at most"


async def test_who_may_hear_of_what(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    started = clock.now_ms() + 1000
    log.spaces[5] = Space(id=5, creator=1, started_ms=started)
    log.spaces[6] = Space(id=6, creator=9, started_ms=started)
    await webhooks.register(OPERATOR, receiver.url + "?operator")
    await webhooks.register(APP, receiver.url + "?app")
    await webhooks.register(CREATOR, receiver.url + "?creator", space=5)
    log.add(5, e.SettingChanged(clips=False))
    clock.advance(ms=1000)
    for space in (5, 6):
        log.add(space, e.Reported(by=3, reason="spam"))
        log.add(space, e.TicketBought(account=3, payment="p"))
        log.add(space, e.SpeakerRemoved(account=3, how=e.SeatLostHow.BLOCKED))
    await reactor.drain()
    await send_all(make())
    heard: dict[str, list[tuple[str, str]]] = {"operator": [], "app": [], "creator": []}
    for got in receiver.got:
        heard[got.path.split("?")[1]].append((got.body["data"]["space"], got.body["type"].removeprefix("space.")))
    kinds = ["reported", "ticket_bought", "speaker_removed"]
    assert sorted(heard["operator"]) == sorted(
        [("S5", "setting_changed"), *((space, kind) for space in ("S5", "S6") for kind in kinds)]
    )
    assert sorted(heard["app"]) == [("S5", "speaker_removed"), ("S6", "speaker_removed")]
    assert sorted(heard["creator"]) == [("S5", "setting_changed"), ("S5", "speaker_removed"), ("S5", "ticket_bought")]
    hows = {got.path.split("?")[1]: got.body["data"].get("how") for got in receiver.got if "how" in got.body["data"]}
    assert hows == {"operator": "blocked", "creator": "removed", "app": "removed"}, "nobody learns of a block"


@pytest.mark.parametrize(
    ("event", "creator", "app"),
    [
        # Removed by hand bars, a block does not; who muted and what the provider calls a payment are not everybody's.
        (e.Removed(account=3, how=e.RemovedHow.BLOCKED, bar=False), {"account": "3", "how": "removed"}, None),
        (
            e.Muted(account=3, by=1, how=e.MutedHow.BY_HOST),
            {"account": "3", "by": "1", "how": "by_host"},
            {"account": "3", "how": "by_host"},
        ),
        (e.TicketBought(account=3, payment="p"), {"account": "3"}, None),
        (e.HostReminded(before_ms=0), {"before_ms": 0}, None),
        (e.PollVoted(poll=1, account=3, option=0), None, None),
        (e.Reported(by=3, reason="spam"), None, None),
    ],
)
def test_a_webhook_tells_no_more_than_the_event_streams(
    event: e.SpaceEvent, creator: dict[str, object] | None, app: dict[str, object] | None
) -> None:
    recorded = e.Recorded(space=5, version=2, sequence=9, at_ms=0, actor=SYSTEM, event=event)
    for owner, data in (("account:1", creator), ("app:shop", app)):
        body = payload(recorded, "S5", owner)
        told = None if body is None else msgspec.json.decode(body)["data"]
        assert told == (None if data is None else {"space": "S5", "version": 2, **data})
    assert payload(recorded, "S5", "operator") is not None


async def test_a_filter_of_kinds_holds_and_what_was_before_the_endpoint_is_not_sent(
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    live(log, clock)
    log.add(5, e.Ended(how=e.EndedHow.HOST))
    clock.advance(ms=1)
    await webhooks.register(OPERATOR, receiver.url, events=["space.ended"])
    log.add(5, e.Started(record=False))
    log.add(5, e.Ended(how=e.EndedHow.HOST))
    await reactor.drain()
    await send_all(make())
    assert [got.id for got in receiver.got] == ["evt_5"]


@pytest.mark.parametrize(
    ("who", "arguments", "code"),
    [
        (OPERATOR, {"url": "ftp://example.com/"}, "request.invalid"),
        (OPERATOR, {"url": "https://user:secret@example.com/"}, "request.invalid"),
        (OPERATOR, {"url": "https://example.com/", "events": ["space.nonsense"]}, "request.invalid"),
        (CREATOR, {"url": "https://example.com/"}, "request.invalid"),
        (Principal(account=2), {"url": "https://example.com/", "space": 5}, "role.forbidden"),
        (CREATOR, {"url": "https://example.com/", "space": 99}, "space.not_found"),
        (Principal(), {"url": "https://example.com/"}, "auth.token_missing"),
    ],
)
async def test_registrations_that_are_refused(
    clock: ManualClock, log: FakeLog, webhooks: Webhooks, who: Principal, arguments: dict[str, Any], code: str
) -> None:
    live(log, clock)
    with pytest.raises(ServiceError) as refused:
        await webhooks.register(who, **arguments)
    assert refused.value.code == code


async def test_endpoints_are_their_owners_alone_and_go_with_everything(
    db: Database, clock: ManualClock, log: FakeLog, webhooks: Webhooks, reactor: Reactor, receiver: Receiver
) -> None:
    live(log, clock)
    endpoint = await webhooks.register(APP, receiver.url)
    log.add(5, e.Started(record=False))
    await reactor.drain()
    other = Principal(app="other")
    for call in (webhooks.rotate, webhooks.delete, webhooks.messages, webhooks.attempts):
        with pytest.raises(ServiceError) as refused:
            await call(other, endpoint.id)
        assert refused.value.code == "resource.not_found"
    assert await webhooks.list(other) == []
    await webhooks.delete(APP, endpoint.id)
    assert await db.read(store.next_due_ms) is None


async def test_the_number_of_endpoints_is_bounded(webhooks: Webhooks) -> None:
    for _ in range(20):
        await webhooks.register(APP, "https://example.com/")
    with pytest.raises(ServiceError) as refused:
        await webhooks.register(APP, "https://example.com/")
    assert refused.value.code == "rate.limited"


async def test_old_deliveries_are_forgotten_and_pending_ones_are_not(
    db: Database,
    clock: ManualClock,
    log: FakeLog,
    webhooks: Webhooks,
    reactor: Reactor,
    receiver: Receiver,
    make: Callable[..., WebhookSender],
) -> None:
    live(log, clock)
    live(log, clock, 6)
    endpoint = await registered(webhooks, receiver)
    log.add(5, e.Started(record=False))
    await reactor.drain()
    sender = make()
    await send_all(sender)
    waiting = log.add(6, e.Started(record=False))
    await reactor.drain()
    receiver.answer = lambda _: 500
    clock.advance(ms=TIMES.keep_ms + 3_600_000)
    await sender.step()
    assert [message.sequence for message in await webhooks.messages(OPERATOR, endpoint.id)] == [waiting.sequence]
