"""Guards that several areas share, and what they ask for.

Named after their code; `target_` ones look at the account that the command names, the others at who gives it.
"""

from __future__ import annotations

from typing import Protocol

from spaces_ctl.model import AccountId, CommunityRole, Role, Status
from spaces_ctl.policy.case import Case, refuses
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.replay import ReplayStatus
from spaces_ctl.policy.roles import rank_of
from spaces_ctl.policy.seats import deny_exempt
from spaces_ctl.policy.state import Space

LOBBY, SCHEDULED, LIVE, ENDED = Status.LOBBY, Status.SCHEDULED, Status.LIVE, Status.ENDED
BEFORE = (LOBBY, SCHEDULED)
OPEN = (LOBBY, SCHEDULED, LIVE)


class Targeted(Protocol):
    """A command that names an account."""

    @property
    def account(self) -> AccountId:
        """The account."""
        ...


def role_in_stage(case: Case, account: AccountId) -> Role:
    """What somebody is on stage, or a listener."""
    seat = case.state.seat_of(account)
    return Role.LISTENER if seat is None else Role(seat.role.value)


def blocked_by_host(case: Case, account: AccountId) -> bool:
    """Whether host or a co-host blocks somebody whom their block lists can put out (`ask_blocked_by_host`)."""
    if account in deny_exempt(case.state):
        return False
    return any(case.blocks(owner, account) for owner in case.state.deny_owners)


# What they ask for


def ask_blocked_by_host(state: Space, command: object, me: AccountId) -> Needs:
    """Whether host or co-hosts block whom the command names, or else who gives it."""
    account = getattr(command, "account", me)
    return Needs(blocks=frozenset((owner, account) for owner in state.hosts if owner != account))


def ask_hosting(state: Space, command: object, me: AccountId) -> Needs:
    """Other Spaces of who gives the command."""
    return Needs(hosting=me)


def ask_hosting_of_target(state: Space, command: Targeted, me: AccountId) -> Needs:
    """Other Spaces of whom the command names."""
    return Needs(hosting=command.account)


def ask_community(state: Space, command: object, me: AccountId) -> Needs:
    """The role in the Space's community of who gives the command."""
    return Needs() if state.community is None else Needs(community=(state.community, me))


def ask_ticket(state: Space, command: object, me: AccountId) -> Needs:
    """Ticket of whom the command names, or else of who gives it."""
    return Needs() if state.ticketing is None else Needs(ticket=getattr(command, "account", me))


# Who gives the command


@refuses("account.live_banned")
def account_live_banned(case: Case, command: object) -> bool:
    """The platform has banned them from live features."""
    return case.known(case.me).live_banned


@refuses("participant.not_in_space")
def participant_not_in_space(case: Case, command: object) -> bool:
    """The engine does not see them: never came, or the connection is lost."""
    return not case.known(case.me).present


@refuses("participant.not_in_space")
def participant_outside_live(case: Case, command: object) -> bool:
    """While it is live one has to be inside; when it is over everybody is outside."""
    return case.state.status is LIVE and case.role is Role.OUTSIDER


@refuses("participant.removed")
def participant_removed(case: Case, command: object) -> bool:
    """Was put out and not readmitted."""
    return case.me in case.state.removed


@refuses("client.not_allowed")
def client_may_not_speak(case: Case, command: object) -> bool:
    """A deployment may let some kinds of client only listen."""
    return case.actor.client not in case.limits.speak_clients


@refuses("community.role_required", ask_community)
def community_members_only(case: Case, command: object) -> bool:
    """In a community's Space members may ask to speak, others listen."""
    return case.state.community is not None and case.facts.community_role is CommunityRole.NONE


@refuses("role.forbidden")
def creator_only(case: Case, command: object) -> bool:
    """The recording is the creator's, whoever hosted last."""
    return case.me != case.state.creator


@refuses("host.already_live", ask_hosting)
def host_already_live(case: Case, command: object) -> bool:
    """One live Space a host."""
    return case.facts.live_elsewhere


# Whom it names


@refuses("participant.not_in_space")
def target_not_in_space(case: Case, command: Targeted) -> bool:
    """The engine does not see them."""
    known = case.known(command.account)
    return not known.present and not known.anonymous


@refuses("participant.removed")
def target_removed(case: Case, command: Targeted) -> bool:
    """Was put out and not readmitted."""
    return command.account in case.state.removed


@refuses("target.live_banned")
def target_live_banned(case: Case, command: Targeted) -> bool:
    """The platform has banned them from live features."""
    return case.known(command.account).live_banned


@refuses("target.anonymous")
def target_anonymous(case: Case, command: Targeted) -> bool:
    """Listens unnamed, and has to come in by name first."""
    known = case.known(command.account)
    return known.anonymous and not known.present


@refuses("account.not_found")
def target_not_found(case: Case, command: Targeted) -> bool:
    """There is no such account."""
    return not case.known(command.account).exists


@refuses("target.self")
def target_self(case: Case, command: Targeted) -> bool:
    """Not against oneself."""
    return command.account == case.me


@refuses("target.is_host")
def target_is_host(case: Case, command: Targeted) -> bool:
    """Is the primary admin."""
    return command.account == case.state.admin


@refuses("target.is_creator")
def target_is_creator(case: Case, command: Targeted) -> bool:
    """It is the creator's Space."""
    return command.account == case.state.creator


@refuses("target.outranks")
def target_outranks(case: Case, command: Targeted) -> bool:
    """Their rank is the actor's or higher; with oneself one may do as one likes."""
    return command.account != case.me and rank_of(role_in_stage(case, command.account)) >= rank_of(case.role)


@refuses("target.not_on_stage")
def target_not_on_stage(case: Case, command: Targeted) -> bool:
    """Holds no seat."""
    return case.state.seat_of(command.account) is None


@refuses("requests.none")
def target_has_no_request(case: Case, command: Targeted) -> bool:
    """They do not ask to speak (any more)."""
    return command.account not in case.state.requests


# What is asked for


@refuses("replay.deleted")
def replay_deleted(case: Case, command: object) -> bool:
    """The creator deleted it, or its time is over."""
    return case.state.replay.status is ReplayStatus.DELETED


@refuses("replay.withheld")
def replay_withheld(case: Case, command: object) -> bool:
    """A violation was found in it."""
    return case.state.replay.status is ReplayStatus.WITHHELD


@refuses("replay.unavailable")
def replay_unavailable(case: Case, command: object) -> bool:
    """Was not recorded, or is not ready yet."""
    return case.state.replay.status not in (ReplayStatus.AVAILABLE, ReplayStatus.WITHHELD)
