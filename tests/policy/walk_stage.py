"""The walk, part two: speakers, co-hosts, mics."""

from __future__ import annotations

from hypothesis.stateful import rule

from spaces_ctl import commands as c
from spaces_ctl.model import StageRole
from tests.policy.walk_doors import DoorWalk, N, live, opened
from tests.policy.world import pick


class StageWalk(DoorWalk):
    """Requests, invitations, the mic, co-hosts, mutes."""

    # speakers

    @live
    @rule(n=N, m=N)
    def request(self, n: int, m: int) -> None:
        self.world.give(c.Request(), self.somebody_listening(n))
        unseen = sorted(set(self.world.state.away_until) - set(self.on_stage()))
        if m % 2 and unseen:
            self.world.give(c.Request(), pick(unseen, n))
            self.world.give(c.TakeMic(), pick(unseen, n))

    @live
    @rule(n=N, m=N, kind=N)
    def answer_request(self, n: int, m: int, kind: int) -> None:
        self.world.give(c.Request(), self.somebody_listening(n))
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
            case _ if asking and m % 8 == 7:
                self.world.ban(who)
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
                self.world.give(c.AskUnmute(account=target), self.somebody_hosting(m))
            case 2:
                self.world.give(c.Mute(account=pick(self.people, n)), by)
            case _:
                self.world.give(c.Mute(account=target), by if n % 2 else self.somebody_hosting(m))
