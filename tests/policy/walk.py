"""The walk, whole: how it begins, safety, talk, recordings, and anything by anybody."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from msgspec.structs import replace

from spaces_ctl import commands as c
from spaces_ctl.model import Actor, ClientClass, CommunityRole, Status
from spaces_ctl.policy import PRESETS, RULES, Limits
from spaces_ctl.policy.replay import ReplayStatus
from spaces_ctl.policy.timers import audit_due_ms
from tests.policy.strategies import of_struct
from tests.policy.walk_doors import HOUR, MINUTE, N, live, opened, over, was_live
from tests.policy.walk_stage import StageWalk
from tests.policy.world import pick

ENGINES_OWN = (c.Join, c.Leave, c.ConnectionLost, c.Resumed, c.LiveBanned, c.Blocked, c.BuyTicket, c.RefundTicket)
# whoever starts a Space connects then, which is the rule `start`
ANYTHING = st.sampled_from([kind for kind in RULES if kind not in (*ENGINES_OWN, c.Start)]).flatmap(of_struct)


def seats_left_over(limits: Limits) -> Limits:
    """The same preset with few speakers, so that walks meet full stages."""
    crowded = limits.max_stage < 1 + limits.max_cohosts + limits.max_speakers
    stage = (3 if crowded else 4) + limits.max_cohosts
    return replace(limits, max_speakers=3, max_stage=stage, min_followers_to_host=1, clip_cohort_percent=50)


class Walk(StageWalk):
    """One Space from before its creation to after its purge."""

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
            reports_an_hour=2,
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

    # safety

    @live
    @rule(n=N, m=N, allow=st.sampled_from([None, None, True, False]))
    def remove(self, n: int, m: int, allow: bool | None) -> None:
        by = 8 if m % 4 == 3 else self.somebody_hosting(m)
        who = self.somebody_hosting(1 + n // 4) if n % 4 == 3 else self.target(n)
        self.world.give(c.Remove(account=who, allow_rejoin=allow), by)
        if who in self.world.barred:
            self.world.give(pick([c.Join(), c.BuyTicket(account=who, payment="")], n), who)

    @live
    @rule(n=N, m=N)
    def readmit(self, n: int, m: int) -> None:
        barred = sorted(self.world.barred)
        who = pick(barred, n) if barred else pick(self.people, n)
        if m % 4 == 0:
            self.world.give(c.Invite(account=who), self.somebody_hosting(m))
        self.world.give(c.Readmit(account=who), self.somebody_hosting(m))

    @opened
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

    @opened
    @rule(n=N)
    def unblock(self, n: int) -> None:
        if self.world.blocks:
            self.world.blocks.discard(pick(sorted(self.world.blocks), n))

    @opened
    @rule(n=N, m=N)
    def ban(self, n: int, m: int) -> None:
        if m % 3 == 0:
            self.world.ban(self.target(n))
        elif self.world.banned:
            self.world.banned.discard(pick(sorted(self.world.banned), n))

    @was_live
    @rule(n=N, m=N)
    def report(self, n: int, m: int) -> None:
        reason = "abuse" if n % 4 else "because"
        commands = (
            c.ReportSpace(reason=reason),
            c.ReportAccount(account=pick(self.people, n), reason=reason),
            c.ReportClip(clip=pick([*self.world.state.clips, 1], n), reason=reason),
        )
        self.world.give(pick(list(commands), n), pick(self.people, m))

    @was_live
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
        """Asks, has people vote, closes, and now and then too early, twice or too late."""
        host = self.somebody_hosting(m) if m % 8 else self.target(m)
        if kind % 4:
            self.world.give(c.CreatePoll(question="?", options=("a", "b", "c")[: 3 - n % 3]), host)
        number = max(1, len(self.world.state.polls)) if n % 8 else 9
        for step in range(3):
            self.world.give(c.Vote(poll=number, option=(kind + step) % 4), self.target(m + step // 2))
        for _ in range(kind % 3):
            self.world.give(c.ClosePoll(poll=number), host)
        self.world.give(c.Vote(poll=number, option=0), self.target(n))

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

    @was_live
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
            c.TrimReplay(start_ms=pick([5_000, -1, 100_000, 99_999], m // 2)),
            c.PublishDetails(text="listen"),
            c.PlayReplay(),
            c.Export(),
            c.SetCaptions(on=m % 2 == 0),
            *((c.DeleteReplay(),) if m % 2 else ()),
        )
        for step in range(3):
            who = pick([1, 1, 1, *self.world.state.hosts_at_end, 2, None], m + step // 2)
            self.world.give(pick(list(commands), n + step), who)

    @over
    @rule(n=N)
    def purge_too_early(self, n: int) -> None:
        """The review copy's time is over, and the moderators have not settled a report."""
        due_ms = audit_due_ms(self.world.state, self.world.limits)
        if due_ms is not None and n % 8 == 7:
            self.world.wait(max(0, due_ms - 1 - self.world.now))
            self.world.now += 1
            self.world.evidence_needed = True
            self.world.give(c.PurgeAudit())
            self.world.evidence_needed = False

    # anything by anybody

    @rule(command=ANYTHING, who=st.sampled_from([None, *range(1, 10)]), system=N)
    def anything(self, command: c.SpaceCommand, who: int | None, system: int) -> None:
        gentle = isinstance(command, c.End | c.Cancel | c.Create) and system % 4
        if not gentle:
            self.world.give(command, Actor(system=True) if system % 8 == 0 else who)

    @invariant()
    def holds(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        self.world.check_refold()
