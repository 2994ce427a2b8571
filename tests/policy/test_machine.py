"""The whole policy under a random walk: all presets, all commands, all kinds of people, moving time.

`World` checks after every step what must always hold. At the end every event with every cause, and every refusal that
the policy can give, must have been reached: a walk that never gets there proves nothing.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from spaces_ctl import commands as c
from spaces_ctl.model import Actor, ClientClass, CommunityRole, Speak, StageRole, Status, Ticketing
from spaces_ctl.policy import PRESETS, RULES, Limits
from spaces_ctl.policy.replay import ReplayStatus
from tests.policy.strategies import of_struct
from tests.policy.world import Caused, Seen, World, all_causes, pick

RUNS = int(os.environ.get("POLICY_RUNS", "1500"))
STEPS = 80
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

N = st.integers(0, 31)
BOOL = st.booleans()
SEEN = Seen()

_ENGINES_OWN = (c.Join, c.Leave, c.ConnectionLost, c.Resumed, c.LiveBanned, c.Blocked, c.BuyTicket, c.RefundTicket)
ANYTHING = st.sampled_from([kind for kind in RULES if kind not in _ENGINES_OWN]).flatmap(of_struct)

NOT_WITH_A_TRUE_ENGINE = {(c.AddCohost, "participant.removed"), (c.Approve, "participant.removed")}
"""Whoever is barred is neither inside nor asking; the guards stand for an engine that is late (test_stage)."""

live = precondition(lambda self: self.world.state.status is Status.LIVE)
before = precondition(lambda self: self.world.state.status in (Status.LOBBY, Status.SCHEDULED))
unborn = precondition(lambda self: self.world.state.status is Status.NEW)
opened = precondition(lambda self: self.world.state.status in (Status.LOBBY, Status.SCHEDULED, Status.LIVE))
over = precondition(lambda self: self.world.state.status is Status.ENDED)


def seats_left_over(limits: Limits) -> Limits:
    """The same preset with few speakers, so that walks meet full stages."""
    crowded = limits.max_stage < 1 + limits.max_cohosts + limits.max_speakers
    stage = (3 if crowded else 4) + limits.max_cohosts
    return replace(limits, max_speakers=3, max_stage=stage, min_followers_to_host=1, clip_cohort_percent=50)


class Walk(RuleBasedStateMachine):
    """One Space from before its creation to after its purge."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world = World(Limits(), SEEN)
        self.people = list(range(1, 10))

    @initialize(preset=st.sampled_from(sorted(PRESETS)), small=N, n=N, m=N, trouble=N, kind=N)
    def begin(self, preset: str, small: int, n: int, m: int, trouble: int, kind: int) -> None:
        limits = PRESETS[preset]
        if small % 4:
            limits = seats_left_over(limits)
        else:
            self.people = list(range(1, 15))
        limits = replace(
            limits,
            audit_copy=n % 8 != 1,
            clip_requires_recording=n % 4 == 2,
            creator_reclaims=n % 5 != 3,
            replay_ttl_days=30 if kind % 4 == 1 else limits.replay_ttl_days,
            removal_bars_rejoin=limits.removal_bars_rejoin and m % 7 != 6,
        )
        world = self.world
        world.limits = limits
        world.followers.update(dict.fromkeys(range(1, 20), 5))
        # who blocks and follows whom from the start, and what else may be wrong with somebody
        world.blocks |= {(3, 4)} if m % 4 == 0 else {(2, 5)} if m % 4 == 1 else set()
        world.follows |= {(1, 2), (1, 6), (3, 7)}
        world.community = {1: CommunityRole.ADMIN, 2: CommunityRole.MEMBER, 4: CommunityRole.MODERATOR}
        world.moderators = {8, 5} if m % 3 else {8, 1}
        world.unknown = {9}
        world.clients = {4: ClientClass.WEB, 7: ClientClass.DESKTOP}
        match trouble:
            case 0:
                world.protected.add(1)
            case 1:
                world.banned.add(1)
            case 2:
                world.followers[1] = 0
            case 3:
                world.clients[1] = ClientClass.WEB
            case 4:
                world.scheduled[1] = limits.scheduled_quota
            case _:
                pass
        # most walks are to see a live Space with some people in it
        if kind < 28:
            self.create(n, m, None if kind < 20 else pick([2 * HOUR, 26 * HOUR], n), m % 4 != 3)
        if kind < 25 and world.state.status in (Status.LOBBY, Status.SCHEDULED):
            self.start(0)
            self.company(m, n)
        if kind in (16, 17, 18) and world.state.status is Status.LIVE:
            world.wait(MINUTE)
            self.clip(n, m, 30_000)
            self.end(3)

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
        if n % 8 == 7:
            self.world.give(c.Cancel(), pick([1, 8, 2], n // 8))

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
            self.world.go(pick(inside, n), lost=lost)

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

    # speakers

    @live
    @rule(n=N, m=N)
    def request(self, n: int, m: int) -> None:
        self.world.give(c.Request(), self.somebody_listening(n))
        unseen = sorted(set(self.world.state.away_until) - set(self.on_stage()))
        if m % 2 and unseen:
            self.world.give(pick([c.Request(), c.TakeMic()], n), pick(unseen, n))

    @live
    @rule(n=N, m=N, kind=N)
    def answer_request(self, n: int, m: int, kind: int) -> None:
        asking = sorted(self.world.state.requests)
        who = pick(asking, n) if asking else pick(self.people, n)
        match kind % 5:
            case 0:
                self.world.give(c.Reject(account=who), self.somebody_hosting(m))
            case 1:
                self.world.give(c.Withdraw(), who)
            case 2 | 3:
                # the graph knows of a ban before the Space is told
                listed = {who} - self.world.banned if m % 4 == 3 else set()
                self.world.banned |= listed
                self.world.give(c.Approve(account=who), self.somebody_hosting(m))
                self.world.banned -= listed
            case _:
                self.world.give(c.Approve(account=who), self.somebody_hosting(m))

    @opened
    @rule(n=N, m=N, banned=N)
    def invite(self, n: int, m: int, banned: int) -> None:
        unnamed = sorted(self.world.anonymous)
        who = pick(unnamed, n) if unnamed and m % 4 == 3 else pick(self.people, n)
        listed = {who} - self.world.banned if banned == 0 else set()
        self.world.banned |= listed
        self.world.give(c.Invite(account=who), self.somebody_hosting(m))
        self.world.banned -= listed

    @opened
    @rule(n=N, m=N, kind=N)
    def answer_invitation(self, n: int, m: int, kind: int) -> None:
        invited = sorted(self.world.state.invites)
        who = pick(invited, n) if invited else pick(self.people, n)
        match kind % 7:
            case 0:
                self.world.give(c.DeclineInvite(), who)
            case 1:
                self.world.give(c.WithdrawInvite(account=who), self.somebody_hosting(m))
            case 2:
                self.world.give(c.Request(), who)
            case 3:
                self.world.ban(who)
            case _:
                self.world.come(who, anonymous=n % 8 == 7)
                self.world.give(c.TakeMic(), who)

    @live
    @rule(n=N)
    def take_mic(self, n: int) -> None:
        self.world.give(c.TakeMic(), self.somebody_listening(n))

    @live
    @rule(n=N, m=N, kind=N)
    def leave_stage(self, n: int, m: int, kind: int) -> None:
        who = pick(self.on_stage(), n)
        match kind % 3:
            case 0:
                self.world.give(c.StepDown(), who)
            case 1:
                self.world.give(c.AddCohost(account=who), self.somebody_hosting(m))
                self.world.give(c.Revoke(account=who), self.somebody_hosting(m))
            case _:
                self.world.give(c.Revoke(account=who), self.somebody_hosting(m))

    # co-hosts

    @live
    @rule(n=N, m=N, accept=N)
    def add_cohost(self, n: int, m: int, accept: int) -> None:
        inside = sorted(self.world.present | self.world.anonymous)
        who = pick(inside, n // 2) if inside and n % 8 != 7 else pick(self.people, n)
        self.world.give(c.AddCohost(account=who), self.somebody_hosting(0 if m % 8 else m))
        if accept % 3 == 0:
            self.world.give(c.Request(), who)
        if accept % 2:
            self.world.give(c.AcceptCohost(), who)

    @live
    @rule(n=N, m=N)
    def accept_cohost(self, n: int, m: int) -> None:
        """Also by somebody banned a moment ago, or whose connection was lost a moment ago."""
        invited = [a for a, i in self.world.state.invites.items() if i.role is StageRole.COHOST]
        who = pick(sorted(invited), n) if invited else self.somebody_listening(n)
        if not invited:
            self.world.give(c.AddCohost(account=who), self.somebody_hosting(0))
        listed = {who} - self.world.banned if m % 8 == 7 else set()
        unseen = {who} & self.world.present if m % 8 == 6 else set()
        if m % 8 == 5:
            self.world.block(who, self.somebody_hosting(n))
        self.world.banned |= listed
        self.world.present -= unseen
        self.world.give(c.AcceptCohost(), who)
        self.world.banned -= listed
        self.world.present |= unseen

    @live
    @rule(n=N, m=N)
    def drop_cohost(self, n: int, m: int) -> None:
        self.world.give(c.DropCohost(account=self.somebody_hosting(1 + n % 2)), self.somebody_hosting(m))

    @live
    @rule(n=N, m=N)
    def transfer(self, n: int, m: int) -> None:
        self.world.hosting_elsewhere = {self.somebody_hosting(n)} if m % 8 == 0 else set()
        self.world.give(c.Transfer(account=self.somebody_hosting(1 + n % 2)), self.somebody_hosting(0))
        self.world.hosting_elsewhere = set()

    # mics

    @live
    @rule(open=N)
    def mic_access(self, open: int) -> None:
        if open % 4 == 3:
            self.unmute(open)
        self.world.give(c.SetMicAccess(open=open % 4 != 3), self.somebody_hosting(open))

    @live
    @rule(n=N)
    def unmute(self, n: int) -> None:
        for step in range(1 + n % 3):
            self.world.give(c.Unmute(), pick(self.on_stage(), n + step))

    @live
    @rule(n=N, m=N, kind=N)
    def mute(self, n: int, m: int, kind: int) -> None:
        target, by = pick(self.on_stage(), n), pick(self.on_stage(), m // 2 if m % 2 else 0)
        if kind % 8 < 6:
            self.world.give(c.Unmute(), target)
        match kind % 4:
            case 0:
                self.world.give(c.SetMicAccess(open=True), self.somebody_hosting(0))
                self.unmute(kind)
                self.world.give(c.MuteAll(), by)
            case 1:
                self.world.give(c.AskUnmute(account=pick(self.people, n)), by)
            case 2:
                self.world.give(c.Mute(account=pick(self.people, n)), by)
            case _:
                self.world.give(c.Mute(account=target), by if n % 2 else self.somebody_hosting(m))

    # safety

    @live
    @rule(n=N, m=N, allow=st.sampled_from([None, None, True, False]))
    def remove(self, n: int, m: int, allow: bool | None) -> None:
        by = 8 if m % 4 == 3 else self.somebody_hosting(m)
        who = self.somebody_hosting(1 + n // 4) if n % 4 == 3 else self.target(n)
        self.world.give(c.Remove(account=who, allow_rejoin=allow), by)

    @live
    @rule(n=N, m=N)
    def readmit(self, n: int, m: int) -> None:
        barred = sorted(self.world.barred)
        who = pick(barred, n) if barred else pick(self.people, n)
        if m % 4 == 0:
            self.world.give(c.Invite(account=who), self.somebody_hosting(m))
        self.world.give(c.Readmit(account=who), self.somebody_hosting(m))

    @rule(n=N, m=N)
    def block(self, n: int, m: int) -> None:
        by = self.somebody_hosting(m) if m % 2 and self.world.state.stage else pick(self.people, m // 2)
        self.world.block(by, self.target(n))

    @live
    @rule(n=N, m=N)
    def quarrel(self, n: int, m: int) -> None:
        """Among those who host, or between somebody who may come to host and anybody."""
        if n % 2:
            self.world.block(self.somebody_hosting(m), self.somebody_hosting(m + 1 + n // 2 % 2))
            if n % 8 == 7:
                self.host_goes(0, m % 2 == 0, True)
        else:
            self.world.block(pick([*sorted(self.world.state.invites), *self.on_stage()], m), self.target(n // 2))

    @rule(n=N)
    def unblock(self, n: int) -> None:
        if self.world.blocks:
            self.world.blocks.discard(pick(sorted(self.world.blocks), n))

    @rule(n=N, m=N)
    def ban(self, n: int, m: int) -> None:
        if m % 3 == 0:
            self.world.ban(self.target(n))
        elif self.world.banned:
            self.world.banned.discard(pick(sorted(self.world.banned), n))

    @rule(n=N, m=N)
    def report(self, n: int, m: int) -> None:
        reason = "abuse" if n % 4 else "because"
        commands = (
            c.ReportSpace(reason=reason),
            c.ReportAccount(account=pick(self.people, n), reason=reason),
            c.ReportClip(clip=pick([*self.world.state.clips, 1], n), reason=reason),
        )
        self.world.give(pick(list(commands), n), pick(self.people, m))

    @rule(n=N)
    def review(self, n: int) -> None:
        if n % 4 == 3:
            self.world.give(pick([c.MarkViolation(), c.MarkViolation(), c.ClearViolation()], n // 4), 8)

    # talk

    @live
    @rule(n=N, m=N)
    def pin(self, n: int, m: int) -> None:
        who = pick([*self.on_stage(), self.target(m)], m)
        commands = (c.SharePost(post=1 + n % 4), c.UnsharePost(post=1 + n % 4), c.UnsharePost(post=1))
        self.world.give(pick(list(commands), n), who)

    @live
    @rule(n=N, m=N, kind=N)
    def poll(self, n: int, m: int, kind: int) -> None:
        number = max(1, len(self.world.state.polls)) if n % 4 else 1 + n % 3
        host = self.somebody_hosting(m) if m % 4 else self.target(m)
        match kind % 5:
            case 0:
                self.world.give(c.CreatePoll(question="?", options=("a", "b", "c")[: 1 + n % 3]), host)
            case 1:
                self.world.give(c.ClosePoll(poll=number), host)
            case _:
                for step in range(3):
                    self.world.give(c.Vote(poll=number, option=(kind + step) % 4), self.target(m + step))

    @live
    @rule(n=N, m=N)
    def talk(self, n: int, m: int) -> None:
        commands = (
            c.CaptionConsent(on=m % 3 != 0),
            c.ShowCaptions(),
            c.React(emoji=pick(["wave", "spam"], m)),
        )
        self.world.give(pick(list(commands), n), pick([*self.on_stage(), self.target(m)], m))

    # recordings

    @precondition(lambda self: self.world.state.status in (Status.LIVE, Status.ENDED))
    @rule(n=N, m=N, length=st.sampled_from([30_000, 30_000, 10_000, 31_000]))
    def clip(self, n: int, m: int, length: int) -> None:
        self.world.wait(1_000)
        end_ms = self.world.now - (self.world.state.started_ms or 0)
        if self.world.state.ended_ms is not None:
            end_ms = self.world.state.ended_ms - (self.world.state.started_ms or 0)
        for step in range(3):
            self.world.give(c.Clip(end_ms=end_ms, length_ms=length), self.target(n + 2 * step))
        clips = self.world.state.clips
        if m % 4 == 3:
            number = pick([*clips, 1], m // 4)
            author = clips[number].by if number in clips and m % 8 == 7 else self.target(m)
            self.world.give(c.DeleteClip(clip=number), author)

    @live
    @rule(n=N)
    def stop_recording(self, n: int) -> None:
        if n % 8 == 0:
            self.world.give(c.StopRecording(), self.somebody_hosting(0))

    @live
    @rule(n=N)
    def end(self, n: int) -> None:
        if n % 4 == 3:
            who = pick([self.somebody_hosting(0), self.somebody_hosting(0), 8, None, 3], n // 4)
            self.world.give(c.End(), Actor(system=True) if who is None else who)

    @over
    @rule(n=N)
    def replay_ready(self, n: int) -> None:
        if self.world.state.replay.status is ReplayStatus.PROCESSING or n % 8 == 0:
            self.world.give(c.ReplayReady(duration_ms=100_000))

    @over
    @rule(n=N, m=N)
    def replay(self, n: int, m: int) -> None:
        commands = (
            c.TrimReplay(start_ms=pick([0, 5_000, 99_999, 100_000], m)),
            c.PublishDetails(text="listen"),
            c.PlayReplay(),
            c.Export(),
            c.SetCaptions(on=m % 2 == 0),
            *((c.DeleteReplay(),) if m % 2 else ()),
        )
        self.world.give(pick(list(commands), n), pick([1, 1, 1, *self.world.state.hosts_at_end, 2, None], m))

    # anything by anybody

    @rule(command=ANYTHING, who=st.sampled_from([None, *range(1, 10)]), system=N)
    def anything(self, command: c.SpaceCommand, who: int | None, system: int) -> None:
        gentle = isinstance(command, c.End | c.Cancel | c.Create) and system % 4
        if not gentle:
            self.world.give(command, Actor(system=True) if system % 8 == 0 else who)

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

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.check_refold()


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What many walks reached."""
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
    return SEEN


def test_random_walks_hold_every_invariant(seen: Seen) -> None:
    assert seen.worlds >= RUNS >= 1_000
    assert seen.steps >= RUNS * STEPS / 2


def test_every_event_with_every_cause_was_reached(seen: Seen) -> None:
    missing: set[Caused] = all_causes() - set(seen.caused)
    assert sorted(f"{kind.__name__}: {how}" for kind, how in missing) == []


def test_every_guard_refused_its_command(seen: Seen) -> None:
    guarded = {(command, guard.code) for command, rule in RULES.items() for guard in rule.guards}
    missing = guarded - set(seen.denied) - NOT_WITH_A_TRUE_ENGINE
    assert sorted(f"{command.__name__}: {code}" for command, code in missing) == []


def test_every_state_and_missing_role_refused(seen: Seen) -> None:
    codes = {code for _, code in seen.denied}
    states = {f"state.{status}" for status in Status if status is not Status.NEW}
    assert not {"role.forbidden", "space.not_found", *states} - codes


def test_every_command_was_carried_out_and_every_request_refused(seen: Seen) -> None:
    made = {command for command, _, _ in seen.by_command}
    silent = {kind for kind, rule in RULES.items() if not rule.outcomes}
    assert set(RULES) - made == silent
    assert set(RULES) - {command for command, _ in seen.denied} <= set(_ENGINES_OWN)
