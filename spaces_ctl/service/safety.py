"""Commands that protect people, which are carried out even while the database is down."""

from __future__ import annotations

from collections.abc import Iterable

from spaces_ctl import commands as c
from spaces_ctl.model import AccountId, Actor
from spaces_ctl.policy.facts import AccountFacts, Facts, Needs
from spaces_ctl.service.tables import People

__all__ = ["facts_at_hand", "protects"]


def protects(command: c.SpaceCommand) -> bool:
    """Whether `command` only takes away: mute, mic access off, revoke, block, remove, end."""
    match command:
        case c.Mute() | c.MuteAll() | c.Revoke() | c.Blocked() | c.Remove() | c.End() | c.LiveBanned():
            return True
        case c.SetMicAccess():
            return not command.open
        case _:
            return False


def facts_at_hand(
    needs: Needs, actor: Actor, command: c.SpaceCommand, people: People, present: Iterable[AccountId]
) -> Facts:
    """Facts without database and graph: the engine knows who is here, the tables whom hosts block.

    Standing that cannot be looked up counts as good: these commands take rights away and give none.
    """
    here = set(present)
    pairs = {(owner, account) for owner, account in needs.blocks if account in people.blocks.get(owner, frozenset())}
    if isinstance(command, c.Blocked) and actor.account is not None:
        pairs.add((actor.account, command.account))
    return Facts(
        accounts={account: AccountFacts(present=account in here) for account in needs.accounts},
        blocks=frozenset(pairs),
    )
