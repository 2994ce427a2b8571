"""Which events tell whom what: a table from event to notice, and the words for push and e-mail.

Nothing here says that somebody blocked somebody: who is put out by a block is not told.
"""

from __future__ import annotations

from typing import NamedTuple

from spaces_ctl import events as e
from spaces_ctl.events import AccountEvent, Recorded
from spaces_ctl.model import AccountId, StageRole
from spaces_ctl.policy.state import Space
from spaces_ctl.store.notifications import Notice

__all__ = ["KINDS", "Audience", "Direct", "Many", "about_account", "notices"]

KINDS: dict[str, str] = {
    "space_started": "{by} started a Space: {title}",
    "space_canceled": "A Space you wanted to hear was canceled: {title}",
    "space_moved": "A Space you want to hear has a new time: {title}",
    "invited_to_speak": "{by} invites you to speak in {title}",
    "invited_to_cohost": "{by} invites you to co-host {title}",
    "request_accepted": "You may speak in {title}",
    "request_declined": "Your request to speak in {title} was declined",
    "asked_to_unmute": "{by} asks you to unmute in {title}",
    "muted_by": "{by} muted you in {title}",
    "removed": "You were removed from {title}",
    "blocked_account_speaking": "An account you blocked has joined as a speaker",
    "host_reminder": "Your Space is coming up: {title}",
    "became_host": "You are the host of {title} now",
    "clips_on": "People may clip your Space {title}; you can switch that off",
    "clips_notice": "{title} may be clipped: what you say may be shared",
    "space_ended": "Your Space {title} is over",
    "ended_for_violation": "Your Space {title} was ended for breaking the rules",
    "violation_found": "{title} was found to break the rules",
    "replay_ready": "The replay of {title} is ready",
    "export_ready": "Your download of {title} is ready",
    "ticket_bought": "You have a ticket for {title}",
    "ticket_refunded": "Your ticket for {title} was refunded",
    "live_banned": "You are banned from live features",
    "ban_lifted": "You may use live features again",
    "appeal_granted": "Your appeal was granted",
    "appeal_denied": "Your appeal was denied",
    "webhook_disabled": "A webhook endpoint was disabled",
    "direct_message": "{by} sent you a message",
}
"""Every kind and its line for push and e-mail; `{by}` is a name, `{title}` the Space's title."""


class Audience(NamedTuple):
    """Many people: `followers`, `community`, `reminders` (of a Space), `tickets` (of a Space), `blockers`."""

    kind: str
    of: int


class Direct(NamedTuple):
    """One account is told."""

    account: AccountId
    notice: Notice


class Many(NamedTuple):
    """An audience is told. `key` makes repeating it harmless."""

    key: str
    audience: Audience
    notice: Notice


def notices(recorded: Recorded, space: Space) -> list[Direct | Many]:
    """Who is to be told what of an event. `space` is the Space as it is now or was then."""
    one = _Maker(recorded, space)
    match recorded.event:
        case e.Started():
            return one.started()
        case e.Canceled(how=how):
            told = one.many("space_canceled", Audience("reminders", recorded.space), how=how.value)
            return [told, one.many("space_canceled", Audience("tickets", recorded.space), how=how.value)]
        case e.Edited(scheduled_start_ms=int(at)):
            return [one.many("space_moved", Audience("reminders", recorded.space), scheduled_start_ms=at)]
        case e.HostReminded(before_ms=before_ms):
            return one.direct("host_reminder", space.creator, before_ms=before_ms)
        case e.Ended(how=e.EndedHow.VIOLATION):
            return one.direct("ended_for_violation", space.creator)
        case e.Ended():
            return one.direct("space_ended", space.creator)
        case e.Invited(account=account, role=StageRole.COHOST):
            return one.direct("invited_to_cohost", account)
        case e.Invited(account=account):
            return one.direct("invited_to_speak", account)
        case e.RequestClosed(account=account, how=e.RequestClosedHow.APPROVED):
            return one.direct("request_accepted", account)
        case e.RequestClosed(account=account, how=e.RequestClosedHow.REJECTED):
            return one.direct("request_declined", account)
        case e.SpeakerAdded(account=account) | e.CohostAdded(account=account):
            return one.on_stage(account)
        case e.AdminChanged(account=int(account), how=e.AdminHow.SUCCEEDED | e.AdminHow.TRANSFERRED):
            return one.direct("became_host", account)
        case e.AskedToUnmute(account=account, by=by):
            return one.direct("asked_to_unmute", account, by)
        case e.Muted(account=account, how=e.MutedHow.BY_HOST | e.MutedHow.MUTE_ALL, by=by):
            return one.direct("muted_by", account, by)
        case e.Removed(account=account, how=e.RemovedHow.REMOVED | e.RemovedHow.MODERATOR):
            return one.direct("removed", account)
        case e.ViolationFound():
            return one.direct("violation_found", space.creator)
        case e.ReplayReady():
            return one.direct("replay_ready", space.creator)
        case e.TicketBought(account=account):
            return one.direct("ticket_bought", account)
        case e.TicketRefunded(account=account):
            return one.direct("ticket_refunded", account)
    return []


def about_account(event: AccountEvent, at_ms: int) -> Direct | None:
    """Who is to be told of something that happened to an account."""
    match event:
        case e.LiveBanned(account=account, reason=reason, until_ms=until):
            data = {"reason": reason, "until_ms": until}
            return Direct(account, Notice(kind="live_banned", source=f"ban:{at_ms}", data=data))
        case e.BanLifted(account=account):
            return Direct(account, Notice(kind="ban_lifted", source=f"ban:{at_ms}"))
        case e.AppealResolved(appeal=appeal, account=account, granted=granted, note=note):
            kind = "appeal_granted" if granted else "appeal_denied"
            return Direct(account, Notice(kind=kind, source=f"appeal:{appeal}", data={"note": note}))
    return None


class _Maker:
    def __init__(self, recorded: Recorded, space: Space) -> None:
        self._recorded = recorded
        self._space = space
        self._source = f"event:{recorded.sequence}"

    def _notice(self, kind: str, by: AccountId | None, source: str, data: dict[str, object]) -> Notice:
        # The title as it was: the list in the app needs no look at the Space for every line.
        return Notice(
            kind=kind,
            source=source,
            space=self._recorded.space,
            by=by,
            data={"title": self._space.title, **data},
        )

    def direct(self, kind: str, account: AccountId, by: AccountId | None = None, **data: object) -> list[Direct | Many]:
        actor = by if by is not None else self._recorded.actor.account
        if account == actor and kind != "space_ended":
            return []
        return [Direct(account, self._notice(kind, actor, self._source, dict(data)))]

    def many(
        self, kind: str, audience: Audience, source: str = "", by: AccountId | None = None, **data: object
    ) -> Many:
        key = f"{self._recorded.sequence}:{kind}:{audience.kind}:{audience.of}"
        actor = by if by is not None else self._recorded.actor.account
        return Many(key, audience, self._notice(kind, actor, source or self._source, dict(data)))

    def started(self) -> list[Direct | Many]:
        space = self._space
        host = space.creator
        # One source for all: who follows the host, set a reminder and is a member hears of it once.
        once = f"space:{self._recorded.space}"
        audiences = [Audience("reminders", self._recorded.space), Audience("followers", host)]
        if space.community is not None:
            audiences.append(Audience("community", space.community))
        told: list[Direct | Many] = [self.many("space_started", audience, once, host) for audience in audiences]
        if space.clips_on:
            told.append(Direct(host, self._notice("clips_on", None, self._source, {})))
        return told

    def on_stage(self, account: AccountId) -> list[Direct | Many]:
        space = self._space
        told: list[Direct | Many] = [
            self.many("blocked_account_speaking", Audience("blockers", account), f"{self._source}", account)
        ]
        if space.clips_on:
            once = f"space:{self._recorded.space}"
            told.append(Direct(account, self._notice("clips_notice", None, once, {})))
        if space.community is not None:
            # Followers of those who speak in a community's Space are told too, if nobody told them before.
            once = f"space:{self._recorded.space}"
            told.append(self.many("space_started", Audience("followers", account), once, account))
        return told
