"""An independent model of everything around the policy: the graph, the engine, tickets, time; and a Space in it.

It plays the service (facts exactly as asked for, decide, fold), the engine (admits, evicts whom deny sets and bars
name, tells of watched people) and the timer loop, and checks after each step what must always hold. What must hold is
computed here from commands and events, not with the policy's own helpers.
"""

from __future__ import annotations

import random
from collections import Counter
from enum import StrEnum
from typing import Any

import msgspec

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import SYSTEM, Actor, ClientClass, CommunityRole, Role, Seat, StageRole, Status
from spaces_ctl.policy import (
    RULES,
    AccountFacts,
    Denied,
    Facts,
    Limits,
    Needs,
    Space,
    decide,
    evolve,
    needs,
    role_of,
    timers,
    watched,
)

Caused = tuple[type[ev.SpaceEvent], StrEnum | None]
_ENCODER = msgspec.msgpack.Encoder()
_EVENTS = msgspec.msgpack.Decoder(ev.SpaceEvent)
T0 = 1_700_000_000_000


class Seen:
    """What was reached, over many worlds."""

    def __init__(self) -> None:
        self.caused: Counter[Caused] = Counter()
        self.by_command: Counter[tuple[type[c.SpaceCommand], type[ev.SpaceEvent], StrEnum | None]] = Counter()
        self.denied: Counter[tuple[type[c.SpaceCommand], str]] = Counter()
        self.steps = 0
        self.worlds = 0


def cause_of(event: ev.SpaceEvent) -> Caused:
    return type(event), getattr(event, "how", None)


class World:
    """One Space and all that surrounds it."""

    def __init__(self, limits: Limits, seen: Seen | None = None) -> None:
        self.limits = limits
        self.seen = Seen() if seen is None else seen
        self.seen.worlds += 1
        self.now = T0
        self.state = Space(id=7)
        self.log: list[tuple[bytes, int]] = []
        # the graph and the platform
        self.blocks: set[tuple[int, int]] = set()
        self.follows: set[tuple[int, int]] = set()
        self.protected: set[int] = set()
        self.banned: set[int] = set()
        self.unknown: set[int] = set()
        self.followers: Counter[int] = Counter()
        self.community: dict[int, CommunityRole] = {}
        self.posts: set[int] = {1, 2, 3}
        self.hosting_elsewhere: set[int] = set()
        self.scheduled: Counter[int] = Counter()
        self.moderators: set[int] = set()
        self.evidence_needed = False
        self.reports: list[tuple[int, int]] = []
        self.clients: dict[int, ClientClass] = {}
        # the engine
        self.present: set[int] = set()
        self.anonymous: set[int] = set()
        # projections, from events
        self.tickets: set[int] = set()
        self.subscribed: set[int] = set()
        self.votes: set[tuple[int, int]] = set()
        # what the checks remember
        self.open_mics: set[int] = set()
        self.barred: set[int] = set()
        self.deny_owners: set[int] = set()

    # the service

    def actor(self, account: int | None) -> Actor:
        if account is None:
            return Actor()
        return Actor(
            account=account,
            anonymous=account in self.anonymous,
            moderator=account in self.moderators,
            client=self.clients.get(account, ClientClass.API),
        )

    def seat(self, account: int) -> Seat:
        """The seat of somebody who has one."""
        found = self.state.seat_of(account)
        assert found is not None
        return found

    def facts(self, asked: Needs) -> Facts:
        """Nothing but what was asked for."""
        hosting, ticket, vote = asked.hosting, asked.ticket, asked.vote
        return Facts(
            accounts={account: self._account(account) for account in asked.accounts},
            blocks=frozenset(asked.blocks & self.blocks),
            follows=frozenset(asked.follows & self.follows),
            community_role=CommunityRole.NONE
            if asked.community is None
            else self.community.get(asked.community[1], CommunityRole.NONE),
            live_elsewhere=hosting is not None and hosting in self.hosting_elsewhere,
            scheduled=0 if hosting is None else self.scheduled[hosting],
            has_ticket=ticket is not None and ticket in self.tickets,
            tickets_sold=0 if ticket is None else len(self.tickets),
            subscribed=asked.subscribed is not None and asked.subscribed in self.subscribed,
            post_exists=asked.post is not None and asked.post in self.posts,
            voted=vote is not None and vote in self.votes,
            reports_lately=sum(by == asked.reports and at > self.now - 3_600_000 for by, at in self.reports),
            evidence_needed=asked.evidence and self.evidence_needed,
        )

    def _account(self, account: int) -> AccountFacts:
        return AccountFacts(
            exists=account not in self.unknown,
            protected=account in self.protected,
            live_banned=account in self.banned,
            followers=self.followers[account],
            present=account in self.present,
            anonymous=account in self.anonymous,
        )

    def give(self, command: c.SpaceCommand, actor: Actor | int | None = SYSTEM) -> tuple[ev.SpaceEvent, ...] | Denied:
        """One command, as the service carries it out; everything that follows in the engine; the checks of a step."""
        who = actor if isinstance(actor, Actor) else self.actor(actor)
        before = _ENCODER.encode(self.state)
        facts = self.facts(needs(self.state, command, who, self.limits))
        answer = decide(self.state, command, who, facts, self.limits, self.now)
        assert answer == decide(self.state, command, who, facts, self.limits, self.now), "decided differently"
        assert _ENCODER.encode(self.state) == before, "a decision changed the state"
        self.seen.steps += 1
        if isinstance(answer, Denied):
            self.seen.denied[type(command), answer.code] += 1
            return answer
        stage_before = {(s.account, s.seat): s.generation for s in self.state.stage}
        generation_before = self.state.generation
        for event in answer:
            self._happened(command, event)
        for seat in self.state.stage:
            if stage_before.get((seat.account, seat.seat)) != seat.generation:
                assert seat.generation > generation_before, "a seat was given again under an old generation"
        self.open_mics &= {seat.account for seat in self.state.stage}
        self._evict()
        return answer

    def ok(self, command: c.SpaceCommand, actor: Actor | int | None = SYSTEM) -> tuple[ev.SpaceEvent, ...]:
        """As `give`, for what must not be refused."""
        answer = self.give(command, actor)
        assert not isinstance(answer, Denied), f"{command} by {actor}: {answer}"
        return answer

    def refused(self, command: c.SpaceCommand, actor: Actor | int | None = SYSTEM) -> str:
        """As `give`, for what must be refused; returns the code."""
        answer = self.give(command, actor)
        assert isinstance(answer, Denied), f"{command} by {actor}: {answer}"
        return answer.code

    def _happened(self, command: c.SpaceCommand, event: ev.SpaceEvent) -> None:
        kind, how = cause_of(event)
        assert (kind, how) in RULES[type(command)].outcomes, f"{command} is not said to make {event}"
        self.seen.caused[kind, how] += 1
        self.seen.by_command[type(command), kind, how] += 1
        self.log.append((_ENCODER.encode(event), self.now))
        self.state = evolve(self.state, event, self.now)
        match event:
            case ev.Unmuted():
                assert isinstance(command, c.Unmute)
                self.open_mics.add(event.account)
            case ev.Muted():
                self.open_mics.discard(event.account)
            case ev.SpeakerAdded():
                self.open_mics.discard(event.account)
            case ev.Removed():
                self.present.discard(event.account)
                self.anonymous.discard(event.account)
                self.barred |= {event.account} if event.bar else set()
            case ev.Readmitted():
                self.barred.discard(event.account)
            case ev.DenySetAttached():
                self.deny_owners.add(event.owner)
            case ev.DenySetDetached():
                self.deny_owners.discard(event.owner)
            case ev.TicketBought():
                self.tickets.add(event.account)
            case ev.TicketRefunded():
                self.tickets.discard(event.account)
            case ev.Subscribed():
                self.subscribed.add(event.account)
            case ev.Unsubscribed():
                self.subscribed.discard(event.account)
            case ev.Reported():
                self.reports.append((event.by, self.now))
            case ev.PollVoted():
                assert (event.poll, event.account) not in self.votes
                self.votes.add((event.poll, event.account))
            case ev.Ended() | ev.Canceled():
                self.present.clear()
                self.anonymous.clear()
                self.deny_owners.clear()
                self.open_mics.clear()

    # the engine

    def exempt(self) -> set[int]:
        return {self.state.creator, *(s.account for s in self.state.stage if s.role is not StageRole.SPEAKER)}

    def _evict(self) -> None:
        """Deny sets and bars put out whom they name; of watched people the engine tells that they are gone."""
        denied = {blocked for owner, blocked in self.blocks if owner in self.deny_owners} - self.exempt()
        for account in sorted((denied | self.barred) & (self.present | self.anonymous)):
            named = account in self.present
            self.present.discard(account)
            self.anonymous.discard(account)
            if named and account in watched(self.state):
                self.give(c.Leave(), account)

    def admits(self, account: int) -> bool:
        """What the engine's own tables say."""
        denied = any((owner, account) in self.blocks for owner in self.deny_owners) and account not in self.exempt()
        return account not in self.barred and not denied and self.state.ticketing is None

    def come(self, account: int, *, anonymous: bool = False, reuse: bool = False) -> bool:
        """Connects: asks for admission, or (`reuse`) with a token from before, which the engine looks at alone."""
        if account in self.present or account in self.anonymous or self.state.status is not Status.LIVE:
            return False
        away = account in self.state.here
        if away and anonymous:
            return False
        reuse = reuse and not anonymous and self.admits(account)
        if (
            not away
            and not reuse
            and isinstance(self.give(c.Join(), Actor(account=account, anonymous=anonymous)), Denied)
        ):
            return False
        (self.anonymous if anonymous else self.present).add(account)
        self._evict()
        if account in self.present and account in watched(self.state):
            self.ok(c.Resumed(account=account))
        return True

    def go(self, account: int, *, lost: bool = False) -> None:
        """The connection ends, closed by the person or lost."""
        if lost and account in self.present:
            self.present.discard(account)
            if account in watched(self.state):
                self.ok(c.ConnectionLost(account=account))
        elif account in self.present or account in self.anonymous:
            self.ok(c.Leave(), account)
            self.present.discard(account)
            self.anonymous.discard(account)

    # time

    def wait(self, ms: int) -> None:
        """Time passes; what is due is done in order, each at its time."""
        end = self.now + ms
        while due := [t for t in timers(self.state, self.limits) if t.due_ms <= end]:
            first = min(due, key=lambda t: t.due_ms)
            self.now = max(self.now, first.due_ms)
            self.ok(first.command)
            assert first not in timers(self.state, self.limits), "a timer that is never done"
            self.check()
        self.now = end

    # people

    def block(self, by: int, account: int) -> None:
        if by != account:
            self.blocks.add((by, account))
            if self.state.status is not Status.NEW:
                self.ok(c.Blocked(account=account), by)

    def ban(self, account: int) -> None:
        self.banned.add(account)
        if self.state.status in (Status.LOBBY, Status.SCHEDULED, Status.LIVE):
            self.ok(c.LiveBanned(account=account))

    # what must always hold

    def check(self) -> None:
        state, limits = self.state, self.limits
        stage = [seat.account for seat in state.stage]
        reserved = 0 if state.reserved is None else 1
        hosts = [seat.account for seat in state.stage if seat.role is StageRole.HOST]
        cohosts = [seat.account for seat in state.stage if seat.role is StageRole.COHOST]
        # limits
        assert len(stage) + reserved <= limits.max_stage, "the stage overflows"
        assert len(cohosts) + (reserved if hosts else 0) <= limits.max_cohosts, "too many co-hosts"
        assert len(stage) - len(hosts) - len(cohosts) <= limits.max_speakers, "too many speakers"
        # seats
        seats = [seat.seat for seat in state.stage] + ([] if state.reserved is None else [state.reserved.seat])
        assert len(set(seats)) == len(seats), "two on one seat"
        assert len(set(stage)) == len(stage), "one on two seats"
        assert len({seat.generation for seat in state.stage}) == len(stage), "two seats of one generation"
        assert all(0 <= seat < 13 for seat in seats)
        # mics
        for seat in state.stage:
            assert seat.muted or seat.account in self.open_mics, f"{seat.account} returned unmuted"
            if seat.role is StageRole.SPEAKER and not state.mic_open:
                assert seat.muted, "a speaker is heard while mic access is off"
        # bars and blocks
        inside = {*stage, *state.requests, *state.here, *self.present}
        assert not inside & self.barred, "somebody barred is inside"
        assert state.removed == self.barred
        if state.status is Status.LIVE:
            self._check_live(inside, hosts, cohosts)
        else:
            assert not state.deny_owners
            assert state.hostless_until_ms is None
        # lists
        unnamed = self.anonymous - self.present
        assert not unnamed & ({*stage, *state.requests, *state.here}), "somebody anonymous is in a list"
        # roles
        facts = self.facts(Needs(accounts=frozenset(range(1, 20))))
        for account in range(1, 20):
            role = role_of(state, self.actor(account), facts)
            if state.status is Status.LIVE:
                assert (role in (Role.HOST, Role.COHOST, Role.SPEAKER)) == (account in stage)

    def _check_live(self, inside: set[int], hosts: list[int], cohosts: list[int]) -> None:
        state = self.state
        assert set(state.deny_owners) == self.deny_owners == {*hosts, *cohosts}, "deny sets of those who host"
        exempt = self.exempt()
        for blocker, blocked in self.blocks:
            if blocker in hosts:
                assert blocked not in inside or blocked == state.creator, "blocked by the host, and inside"
            if blocker in cohosts:
                assert blocked not in inside - exempt, "blocked by a co-host, and inside"
        if state.admin is None:
            assert not hosts
            assert not cohosts, "co-hosts without a host"
            assert state.hostless_until_ms is not None
            assert any(t.key == "hostless" for t in timers(state, self.limits)), "hostless without end"
        else:
            assert hosts == [state.admin], "not exactly one primary admin"
            assert state.hostless_until_ms is None
        assert state.here <= self.present | set(state.away_until), "somebody is inside whom the engine does not see"
        assert {seat.account for seat in state.stage} <= state.here, "on stage but not inside"

    def check_refold(self) -> None:
        """The log as stored, folded anew, is the state."""
        folded = Space(id=self.state.id)
        for stored, at_ms in self.log:
            folded = evolve(folded, _EVENTS.decode(stored), at_ms)
        assert folded == self.state


def all_causes() -> set[Caused]:
    """Every event type of the Space log, times every value of its cause, if it has one."""
    found: set[Caused] = set()
    union: Any = msgspec.inspect.type_info(ev.SpaceEvent)
    for kind in union.types:
        hows = [field.type.cls for field in kind.fields if field.name == "how"]
        found |= {(kind.cls, how) for how in hows[0]} if hows else {(kind.cls, None)}
    return found


def pick(people: list[Any] | tuple[Any, ...], n: int) -> Any:
    """The n-th, going round."""
    return people[n % len(people)]


def shuffled(seed: int, people: list[int]) -> list[int]:
    """A fixed disorder."""
    return random.Random(seed).sample(people, len(people))
