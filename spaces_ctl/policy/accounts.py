"""Rules of accounts and the platform: blocks, follows, bans and appeals. POLICY section 3, "Safety".

As for a Space, `decide_account` answers with events or one refusal, from facts that the caller has loaded; there is no
state to fold, the graph and the moderation tables are the state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import msgspec

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.commands import AccountCommand
from spaces_ctl.events import AccountEvent
from spaces_ctl.model import AccountId, Actor
from spaces_ctl.policy.case import Denied
from spaces_ctl.policy.facts import AccountFacts
from spaces_ctl.policy.limits import Limits

__all__ = ["ACCOUNT_RULES", "AccountRule", "Appealed", "PlatformFacts", "decide_account"]

DAY_MS = 86_400_000


class Appealed(msgspec.Struct, frozen=True, kw_only=True):
    """An appeal that was filed."""

    account: AccountId
    space: int | None = None
    resolved: bool = False


class PlatformFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an account command's rules ask for."""

    actor: AccountFacts = AccountFacts()
    target: AccountFacts = AccountFacts()
    """Of the account that the command names."""
    blocks: bool = False
    """The actor blocks the target."""
    blocked: bool = False
    """The target blocks the actor."""
    follows: bool = False
    """The actor follows the target."""
    followed: bool = False
    """The target follows the actor."""
    listening_visible: bool = True
    """The actor's setting."""
    decided_ms: int | None = None
    """When what is appealed against was decided: the ban, or the violation in the Space; None: there is none."""
    created_space: bool = False
    """The actor created the Space that the appeal is about."""
    appealed: bool = False
    """The actor has appealed against it already."""
    next_appeal: int = 1
    """The number that a new appeal gets."""
    appeal: Appealed | None = None
    """The one to be resolved."""


class _Case(msgspec.Struct, frozen=True):
    command: Any
    actor: Actor
    me: AccountId
    facts: PlatformFacts
    limits: Limits
    now_ms: int


class AccountGuard(msgspec.Struct, frozen=True):
    """Something that may forbid an account command."""

    code: str
    fails: Callable[[_Case], bool]


class AccountRule(msgspec.Struct, frozen=True):
    """One row."""

    moderator: bool
    """Moderators only; otherwise any account."""
    guards: tuple[AccountGuard, ...] = ()


def _nothing_decided(case: _Case) -> bool:
    """Nothing against the actor; a violation in another's Space is none of theirs, not even to know of."""
    return case.facts.decided_ms is None or (case.command.space is not None and not case.facts.created_space)


def _closed(case: _Case) -> bool:
    decided_ms = case.facts.decided_ms
    return decided_ms is not None and case.now_ms > decided_ms + case.limits.appeal_days * DAY_MS


_SELF = AccountGuard("target.self", lambda case: case.command.account == case.me)
_EXISTS = AccountGuard("account.not_found", lambda case: not case.facts.target.exists)
_THERE_TO_FOLLOW = AccountGuard(
    # nobody learns that they were blocked: whoever did it is simply not there
    "account.not_found",
    lambda case: not case.facts.target.exists or case.facts.blocked,
)
_UNBLOCKED = AccountGuard("role.forbidden", lambda case: case.facts.blocks)
_REASON = AccountGuard("report.reason_required", lambda case: not case.command.reason.strip())
_UNTIL = AccountGuard(
    "setting.invalid", lambda case: case.command.until_ms is not None and case.command.until_ms <= case.now_ms
)
_NO_APPEAL_YET = AccountGuard("appeal.exists", lambda case: case.facts.appealed)
_DECIDED = AccountGuard("appeal.not_found", _nothing_decided)
_WINDOW = AccountGuard("appeal.window_closed", _closed)
_OPEN_APPEAL = AccountGuard("appeal.not_found", lambda case: case.facts.appeal is None or case.facts.appeal.resolved)

ACCOUNT_RULES: dict[type[AccountCommand], AccountRule] = {
    c.Block: AccountRule(False, (_SELF, _EXISTS)),
    c.Unblock: AccountRule(False, (_SELF,)),
    c.MuteAccount: AccountRule(False, (_SELF, _EXISTS)),
    c.UnmuteAccount: AccountRule(False, (_SELF,)),
    c.Follow: AccountRule(False, (_SELF, _THERE_TO_FOLLOW, _UNBLOCKED)),
    c.Unfollow: AccountRule(False, (_SELF,)),
    c.SetProtected: AccountRule(False),
    c.SetListeningVisibility: AccountRule(False),
    c.BanFromLive: AccountRule(True, (_SELF, _EXISTS, _REASON, _UNTIL)),
    c.LiftBan: AccountRule(True, (_SELF,)),
    c.Appeal: AccountRule(False, (_DECIDED, _WINDOW, _NO_APPEAL_YET)),
    c.ResolveAppeal: AccountRule(True, (_OPEN_APPEAL,)),
}
"""Who may what, and what forbids it, in order. Logged-out people may nothing."""


def decide_account(
    command: AccountCommand, actor: Actor, facts: PlatformFacts, limits: Limits, now_ms: int
) -> tuple[AccountEvent, ...] | Denied:
    """What happens (possibly nothing), or the one reason why not. Pure; never raises.

    Mutes of accounts are private to who mutes, and no event; the caller stores them when nothing is refused.
    """
    rule = ACCOUNT_RULES[type(command)]
    if rule.moderator and not actor.moderator:
        return Denied("role.forbidden")
    if actor.account is None and not rule.moderator:
        return Denied("role.forbidden")
    me = 0 if actor.account is None else actor.account
    case = _Case(command, actor, me, facts, limits, now_ms)
    for guard in rule.guards:
        if guard.fails(case):
            return Denied(guard.code)
    return _handle(case, command)


def _handle(case: _Case, command: AccountCommand) -> tuple[AccountEvent, ...]:
    me, facts = case.me, case.facts
    match command:
        case c.Block(account=account):
            return () if facts.blocks else (*_parted(me, account, facts), ev.AccountBlocked(by=me, account=account))
        case c.Unblock(account=account):
            return (ev.AccountUnblocked(by=me, account=account),) if facts.blocks else ()
        case c.MuteAccount() | c.UnmuteAccount():
            return ()
        case c.Follow(account=account):
            return () if facts.follows else (ev.Followed(by=me, account=account),)
        case c.Unfollow(account=account):
            return (ev.Followed(by=me, account=account, on=False),) if facts.follows else ()
        case c.SetProtected(on=on):
            return (ev.Protected(account=me, on=on),) if on != facts.actor.protected else ()
        case c.SetListeningVisibility(visible=visible):
            changed = visible != facts.listening_visible
            return (ev.ListeningVisibility(account=me, visible=visible),) if changed else ()
        case c.BanFromLive(account=account, reason=reason, until_ms=until_ms):
            return (ev.LiveBanned(account=account, reason=reason, until_ms=until_ms),)
        case c.LiftBan(account=account):
            return (ev.BanLifted(account=account),) if facts.target.live_banned else ()
        case c.Appeal(text=text, space=space):
            return (ev.AppealFiled(appeal=facts.next_appeal, account=me, text=text, space=space),)
        case c.ResolveAppeal(appeal=number, grant=grant, note=note):
            return _resolved(number, facts.appeal, grant=grant, note=note)
        case _:
            assert_never(command)


def _parted(me: AccountId, account: AccountId, facts: PlatformFacts) -> tuple[AccountEvent, ...]:
    """Who blocks and is blocked do not follow each other."""
    ours = (ev.Followed(by=me, account=account, on=False),) if facts.follows else ()
    theirs = (ev.Followed(by=account, account=me, on=False),) if facts.followed else ()
    return (*ours, *theirs)


def _resolved(number: int, appeal: Appealed | None, *, grant: bool, note: str) -> tuple[AccountEvent, ...]:
    """A granted appeal lifts the ban; of a Space's violation the caller gives the Space `ClearViolation`."""
    if appeal is None:
        return ()
    resolved = ev.AppealResolved(appeal=number, account=appeal.account, granted=grant, note=note)
    lifted = (ev.BanLifted(account=appeal.account),) if grant and appeal.space is None else ()
    return (resolved, *lifted)
