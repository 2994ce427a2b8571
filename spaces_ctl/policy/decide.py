"""The decision: state, then role, then guards from left to right, then the handler. The first that denies names why."""

from __future__ import annotations

from typing import assert_never

from spaces_ctl import commands as c
from spaces_ctl.events import SpaceEvent
from spaces_ctl.model import Actor, Role, Status
from spaces_ctl.policy import around, cohosts, door, life, mic, record, safety, settings, stage, talk
from spaces_ctl.policy.case import NOBODY, Case, Denied
from spaces_ctl.policy.facts import Facts, Needs
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.roles import role_of
from spaces_ctl.policy.rules import RULES
from spaces_ctl.policy.state import Space

__all__ = ["decide", "needs"]

_FORBIDDING = {
    Status.NEW: "space.not_found",
    Status.LOBBY: "state.lobby",
    Status.SCHEDULED: "state.scheduled",
    Status.LIVE: "state.live",
    Status.ENDED: "state.ended",
    Status.CANCELED: "state.canceled",
}


def needs(state: Space, command: c.SpaceCommand, actor: Actor, limits: Limits) -> Needs:
    """The facts that `decide` will ask for: about actor, target and whoever else the command concerns."""
    me = NOBODY if actor.account is None else actor.account
    accounts = {account for account in (actor.account, getattr(command, "account", None)) if account is not None}
    wanted = Needs(accounts=frozenset(accounts))
    for ask in RULES[type(command)].asks:
        wanted |= ask(state, command, me)
    return wanted


def decide(
    state: Space, command: c.SpaceCommand, actor: Actor, facts: Facts, limits: Limits, now_ms: int
) -> tuple[SpaceEvent, ...] | Denied:
    """What happens (possibly nothing), or the one reason why not. Pure; never raises."""
    rule = RULES[type(command)]
    if state.status not in rule.states:
        return Denied(_FORBIDDING[state.status])
    role = role_of(state, actor, facts)
    if role not in rule.roles:
        if not actor.moderator or Role.MODERATOR not in rule.roles:
            return Denied("role.forbidden")
        role = Role.MODERATOR
    case = Case(state, actor, role, facts, limits, now_ms)
    for guard in rule.guards:
        if guard.fails(case, command):
            return Denied(guard.code)
    _handle(case, command)
    return tuple(case.events)


def _handle(case: Case, command: c.SpaceCommand) -> None:
    """Emits what the command brings about; all that could forbid it has been looked at."""
    match command:
        # life
        case c.Create():
            life.create(case, command)
        case c.Edit():
            life.edit(case, command)
        case c.Cancel():
            life.cancel(case, command)
        case c.Start():
            life.start(case, command)
        case c.End():
            life.end(case, command)
        case c.Expire():
            life.expire(case, command)
        case c.RemindHost():
            life.remind_host(case, command)
        case c.HostlessExpired():
            life.hostless_expired(case, command)
        # settings
        case c.SetSpeak():
            settings.set_speak(case, command)
        case c.SetRequests():
            settings.set_requests(case, command)
        case c.SetMicAccess():
            settings.set_mic_access(case, command)
        case c.SetClips():
            settings.set_clips(case, command)
        case c.SetCaptions():
            settings.set_captions(case, command)
        case c.SetRecord():
            settings.set_record(case, command)
        # in and out
        case c.Join():
            door.join(case, command)
        case c.Leave():
            door.leave(case, command)
        case c.ConnectionLost():
            door.connection_lost(case, command)
        case c.Resumed():
            door.resumed(case, command)
        case c.ResumeExpired():
            door.resume_expired(case, command)
        # speakers
        case c.Request():
            stage.request(case, command)
        case c.Withdraw():
            stage.withdraw(case, command)
        case c.Approve():
            stage.approve(case, command)
        case c.Reject():
            stage.reject(case, command)
        case c.Invite():
            stage.invite(case, command)
        case c.WithdrawInvite():
            stage.withdraw_invite(case, command)
        case c.DeclineInvite():
            stage.decline_invite(case, command)
        case c.InviteExpired():
            stage.invite_expired(case, command)
        case c.TakeMic():
            stage.take_mic(case, command)
        case c.StepDown():
            stage.step_down(case, command)
        case c.Revoke():
            stage.revoke(case, command)
        # co-hosts and host
        case c.AddCohost():
            cohosts.add_cohost(case, command)
        case c.AcceptCohost():
            cohosts.accept_cohost(case, command)
        case c.DropCohost():
            cohosts.drop_cohost(case, command)
        case c.Transfer():
            cohosts.transfer(case, command)
        # mics
        case c.Unmute():
            mic.unmute(case, command)
        case c.Mute():
            mic.mute(case, command)
        case c.MuteAll():
            mic.mute_all(case, command)
        case c.AskUnmute():
            mic.ask_unmute(case, command)
        # safety
        case c.Remove():
            safety.remove(case, command)
        case c.Readmit():
            safety.readmit(case, command)
        case c.Blocked():
            safety.blocked(case, command)
        case c.LiveBanned():
            safety.live_banned(case, command)
        case c.ReportSpace():
            safety.report_space(case, command)
        case c.ReportAccount():
            safety.report_account(case, command)
        case c.ReportClip():
            safety.report_clip(case, command)
        case c.MarkViolation():
            safety.mark_violation(case, command)
        case c.ClearViolation():
            safety.clear_violation(case, command)
        # talk
        case c.React():
            talk.react(case, command)
        case c.SharePost():
            talk.share_post(case, command)
        case c.UnsharePost():
            talk.unshare_post(case, command)
        case c.CreatePoll():
            talk.create_poll(case, command)
        case c.Vote():
            talk.vote(case, command)
        case c.ClosePoll():
            talk.close_poll(case, command)
        case c.CaptionConsent():
            talk.caption_consent(case, command)
        case c.ShowCaptions():
            talk.show_captions(case, command)
        # recording
        case c.StopRecording():
            record.stop_recording(case, command)
        case c.ReplayReady():
            record.replay_ready(case, command)
        case c.TrimReplay():
            record.trim_replay(case, command)
        case c.PublishDetails():
            record.publish_details(case, command)
        case c.DeleteReplay():
            record.delete_replay(case, command)
        case c.PlayReplay():
            record.play_replay(case, command)
        case c.Export():
            record.export(case, command)
        case c.Clip():
            record.clip(case, command)
        case c.DeleteClip():
            record.delete_clip(case, command)
        case c.ReplayTtl():
            record.replay_ttl(case, command)
        case c.PurgeAudit():
            record.purge_audit(case, command)
        # around
        case c.RemindMe():
            around.remind_me(case, command)
        case c.Unremind():
            around.unremind(case, command)
        case c.BuyTicket():
            around.buy_ticket(case, command)
        case c.RefundTicket():
            around.refund_ticket(case, command)
        case _:
            assert_never(command)
