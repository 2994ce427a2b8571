"""Who sees what: pure rules for lists, labels, cards and what followers are shown.

Nobody is told that they were blocked; anonymous listening is never shown to anybody; speaking and hosting always are.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from spaces_ctl.model import AccountId, Actor, Status
from spaces_ctl.policy.state import Space

__all__ = [
    "Listener",
    "Viewer",
    "blocked_joined_as_speaker",
    "blocked_labels",
    "blocked_speakers",
    "card_reaches",
    "listening_is_visible",
    "may_list_buyers",
    "may_peek",
    "speaker_warning",
    "speaking_is_visible",
    "visible_listeners",
]


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who looks, and how they stand to whom they look at."""

    account: AccountId | None = None
    """None: logged out."""
    blocks: frozenset[AccountId] = frozenset()
    """Whom they block."""
    blocked_by: frozenset[AccountId] = frozenset()
    """Who blocks them."""
    follows: frozenset[AccountId] = frozenset()
    """Whom they follow."""


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in a Space, as the engine knows them."""

    account: AccountId
    anonymous: bool = False
    protected: bool = False
    listening_visible: bool = True
    """Their own setting (`commands.SetListeningVisibility`)."""


def listening_is_visible(viewer: Viewer, listener: Listener) -> bool:
    """Whether somebody's listening is shown to a viewer outside the Space: to followers, if the listener wants it.

    Of a protected account only followers see anything, which here is everybody who sees at all.
    """
    if listener.anonymous or not listener.listening_visible:
        return False
    return listener.account in viewer.follows and _see_each_other(viewer, listener.account)


def speaking_is_visible(viewer: Viewer, account: AccountId) -> bool:
    """Whether it is shown to a viewer outside that somebody speaks or hosts: to followers, always."""
    return account in viewer.follows and _see_each_other(viewer, account)


def visible_listeners(people: Iterable[Listener]) -> tuple[AccountId, ...]:
    """Who is named in the participants' list and to whoever peeks: everybody who did not come anonymously."""
    return tuple(person.account for person in people if not person.anonymous)


def blocked_labels(viewer: Viewer, listed: Iterable[AccountId]) -> frozenset[AccountId]:
    """Who bears the label "Blocked" in this viewer's list, and in nobody else's."""
    return frozenset(account for account in listed if account in viewer.blocks)


def blocked_speakers(viewer: Viewer, state: Space) -> int:
    """How many of those on stage the viewer has blocked: the warning before joining."""
    return sum(seat.account in viewer.blocks for seat in state.stage)


def speaker_warning(count: int) -> str:
    """The warning's text; empty if there is nothing to warn of."""
    if count == 0:
        return ""
    return (
        f"You have blocked {count} {'person' if count == 1 else 'people'} who {'is' if count == 1 else 'are'} speaking."
    )


def blocked_joined_as_speaker(viewer: Viewer, account: AccountId) -> bool:
    """Whether a viewer inside is told "An account you blocked has joined as a speaker."."""
    return account in viewer.blocks


def card_reaches(sender: AccountId, receiver: Viewer) -> bool:
    """Whether an invitation to listen or a shared link arrives. If not, the sender is told nothing."""
    return sender not in receiver.blocks and sender not in receiver.blocked_by


def may_peek(state: Space) -> bool:
    """Whether the card and a sample of the named people are shown to whoever asks, logged in or not."""
    return state.status in (Status.SCHEDULED, Status.LIVE)


def may_list_buyers(state: Space, actor: Actor) -> bool:
    """Whether an actor may see who bought tickets: the creator alone."""
    return actor.account is not None and actor.account == state.creator


def _see_each_other(viewer: Viewer, account: AccountId) -> bool:
    return account not in viewer.blocks and account not in viewer.blocked_by
