"""The walk, part one: who walks, a Space before it is live, and people coming and going."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from spaces_ctl import commands as c
from spaces_ctl.model import ClientClass, Speak, Status, Ticketing
from spaces_ctl.policy import Limits
from tests.policy.world import Seen, World, pick

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

N = st.integers(0, 31)
BOOL = st.booleans()
SEEN = Seen()

live = precondition(lambda self: self.world.state.status is Status.LIVE)
before = precondition(lambda self: self.world.state.status in (Status.LOBBY, Status.SCHEDULED))
unborn = precondition(lambda self: self.world.state.status is Status.NEW)
opened = precondition(lambda self: self.world.state.status in (Status.LOBBY, Status.SCHEDULED, Status.LIVE))
was_live = precondition(lambda self: self.world.state.status in (Status.LIVE, Status.ENDED))
over = precondition(lambda self: self.world.state.status is Status.ENDED)


class DoorWalk(RuleBasedStateMachine):
    """Create, schedule, start; come, go, drop, return; time."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Limits(), SEEN)
        self.people = list(range(1, 10))

    # before it is live

    @unborn
    @rule(n=N, m=N, ahead=st.sampled_from([None, None, None, None, 2 * HOUR, 26 * HOUR, 13 * DAY]), record=BOOL)
    def create(self, n: int, m: int, ahead: int | None, record: bool) -> None:
        command = c.Create(
            title="a",
            record=record,
            scheduled_start_ms=None if ahead is None else self.world.now + ahead,
            speak=pick(list(Speak), n),
            requests_open=n % 8 != 7,
            clips=m % 8 != 7,
            community=5 if m % 5 == 1 else None,
            ticketing=Ticketing(price_minor=100, currency="EUR", quantity=2) if n % 5 > 2 else None,
        )
        self.world.give(command, 1)

    @unborn
    @rule(n=N, who=st.sampled_from([1, 1, 1, 2, 4, None]))
    def create_badly(self, n: int, who: int | None) -> None:
        """One thing is wrong with the Space, or with the person, or perhaps nothing."""
        world = self.world
        wrong = (
            c.Create(topics=("a", "b", "c", "d")),
            c.Create(scheduled_start_ms=world.now + 31 * DAY),
            c.Create(scheduled_start_ms=world.now),
            c.Create(title="x" * 71),
            c.Create(community=5),
            c.Create(ticketing=Ticketing(price_minor=0, currency="EUR", quantity=2)),
            c.Create(),
            c.Create(scheduled_start_ms=world.now + HOUR),
        )
        if who == 2:
            world.protected = {2} if n % 6 == 1 else set()
            world.banned = {2} if n % 6 == 2 else set()
            world.followers[2] = 0 if n % 6 == 3 else 5
            world.clients[2] = ClientClass.WEB if n % 6 == 4 else ClientClass.IOS
            world.scheduled[2] = 10 if n % 6 == 5 else 0
        world.give(pick(list(wrong), n), who)

    @before
    @rule(n=N)
    def start(self, n: int) -> None:
        self.world.hosting_elsewhere = {1} if n % 8 == 7 else set()
        if n % 8 == 6:
            self.world.ban(1)
        self.world.give(c.Start(), pick([1, 1, 1, 1, 8], n // 8))
        self.world.hosting_elsewhere = set()
        if self.world.state.status is Status.LIVE:
            self.world.come(1)

    @before
    @rule(n=N)
    def cancel(self, n: int) -> None:
        if n % 4 == 3:
            self.world.give(c.Cancel(), pick([8, 1, 2], n // 4))

    @opened
    @rule(
        n=N,
        ahead=st.sampled_from([None, 0, HOUR, 2 * DAY, 40 * DAY]),
        title=st.sampled_from([None, "a", "b", "x" * 71]),
    )
    def edit(self, n: int, ahead: int | None, title: str | None) -> None:
        at_ms = None if ahead is None else self.world.now + ahead
        topics = pick([None, (), ("t",), ("a", "b", "c", "d")], n)
        self.world.give(c.Edit(title=title, topics=topics, scheduled_start_ms=at_ms), pick([1, 1, 2], n))

    @opened
    @rule(n=N, on=BOOL, who=N)
    def set(self, n: int, on: bool, who: int) -> None:
        commands = (
            c.SetSpeak(speak=pick(list(Speak), n)),
            c.SetRequests(open=on),
            c.SetClips(on=on),
            c.SetCaptions(on=on),
            c.SetRecord(on=on),
        )
        self.world.give(pick(list(commands), n), self.somebody_hosting(0 if who % 4 else who))

    @before
    @rule(n=N, m=N)
    def around(self, n: int, m: int) -> None:
        subscribed = sorted(self.world.subscribed)
        if subscribed and n % 2:
            self.world.give(c.Unremind(), pick(subscribed, m))
        else:
            self.world.give(pick([c.RemindMe(), c.RemindMe(), c.Unremind()], n // 2), pick(self.people, m))

    @opened
    @rule(n=N, m=N)
    def ticket(self, n: int, m: int) -> None:
        hosts = self.world.state.hosts
        unwelcome = sorted(self.world.barred | {blocked for by, blocked in self.world.blocks if by in hosts})
        who = pick(unwelcome, m) if unwelcome and m % 4 == 3 else pick(self.people, m)
        bought = c.BuyTicket(account=who, payment="" if n % 7 == 0 else "p")
        if n % 5 == 4 or (self.world.tickets and n % 2):
            who = pick([*sorted(self.world.tickets), who], m)
            self.world.give(c.RefundTicket(account=who, payment="" if n % 7 == 0 else "p"))
        elif n % 5 == 3:
            self.world.give(bought, who)
        else:
            self.world.give(bought)

    # in and out

    @live
    @rule(n=N, anonymous=N)
    def come(self, n: int, anonymous: int) -> None:
        self.world.come(pick(self.people, n), anonymous=anonymous % 6 == 0)

    @live
    @rule(n=N, m=N)
    def company(self, n: int, m: int) -> None:
        """Several come; some ask to speak, some of them are let, one is asked to co-host."""
        for step in range(2 + m % 8):
            who = pick(self.people, n + step)
            self.world.come(who, anonymous=step == 6)
            if step % 3 == 2:
                self.world.give(c.AddCohost(account=who), self.somebody_hosting(0))
                self.world.give(c.AcceptCohost(), who)
            elif (n + step) % 4:
                self.world.give(c.Request(), who)
                if (m + step) % 4:
                    self.world.give(c.Approve(account=who), self.somebody_hosting(m))

    @live
    @rule(n=N, lost=BOOL)
    def go(self, n: int, lost: bool) -> None:
        inside = sorted(self.world.present | self.world.anonymous)
        if inside:
            self.world.go(pick(inside, n // 2), lost=lost)
            self.world.wait(31_000 if n % 2 else 0)

    @live
    @rule(n=N, lost=BOOL, late=BOOL)
    def host_goes(self, n: int, lost: bool, late: bool) -> None:
        """Host or co-host; perhaps they come back in time, perhaps later."""
        host = self.somebody_hosting(n)
        heir = self.somebody_listening(n)
        if n % 4 == 3:
            self.world.give(c.AddCohost(account=heir), host)
        self.world.go(host, lost=lost)
        if late:
            self.world.wait(31_000)
        if n % 4 == 3:
            self.world.give(c.AcceptCohost(), heir)
        if n % 2:
            self.world.come(host, reuse=late)

    @live
    @rule(n=N)
    def come_back(self, n: int) -> None:
        """Whoever lost the connection, or the creator."""
        self.world.come(pick([*sorted(self.world.state.away_until), 1], n), reuse=n % 2 == 0)

    @live
    @rule(n=N, m=N)
    def creator_in_trouble(self, n: int, m: int) -> None:
        """While away, the creator comes to block somebody on stage, is banned, or hosts elsewhere."""
        reserved = self.world.state.reserved
        if reserved is None:
            return
        if n % 4 == 0:
            self.world.ban(1)
        self.world.hosting_elsewhere = {1} if n % 4 == 1 else set()
        others = [account for account in self.on_stage() if account != 1]
        if others:
            self.world.block(1, pick(others, m))
        self.world.come(1, reuse=m % 2 == 0)
        self.world.hosting_elsewhere = set()

    @rule(ms=st.sampled_from([1_000, 29_000, 31_000, 400_000, 700_000, HOUR, 25 * HOUR, 31 * DAY, 95 * DAY]), n=N)
    def wait(self, ms: int, n: int) -> None:
        quiet = self.world.state.status in (Status.SCHEDULED, Status.ENDED)
        self.world.wait(ms if quiet or n % 4 == 3 else min(ms, 31_000))

    # whom

    def on_stage(self) -> list[int]:
        return [seat.account for seat in self.world.state.stage] or [1]

    def somebody_hosting(self, n: int) -> int:
        return int(pick(self.world.state.hosts or (1,), n))

    def somebody_listening(self, n: int) -> int:
        listening = sorted(self.world.present - set(self.on_stage()))
        return int(pick(listening, n)) if listening else int(pick(self.people, n))

    def target(self, n: int) -> int:
        """Rather somebody who is inside or has to do with the Space than just anybody."""
        concerned = sorted({*self.world.present, *self.world.state.requests, *self.world.state.invites})
        return int(pick(concerned, n // 2)) if concerned and n % 2 else int(pick(self.people, n // 2))
