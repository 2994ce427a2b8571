"""The parts that rules are made of: a case to be decided, guards, rows of the table.

A guard is a named function that says whether something forbids the command; its code is the refusal. What a guard (or
the handler after it) must know beyond the Space's own log, it asks for beforehand (`Ask`), so that `needs` is derived
from the same rows as the decision.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

from spaces_ctl.commands import SpaceCommand
from spaces_ctl.events import SpaceEvent
from spaces_ctl.model import AccountId, Actor, Role, Status
from spaces_ctl.policy.codes import CODES
from spaces_ctl.policy.evolve import evolve
from spaces_ctl.policy.facts import AccountFacts, Facts, Needs
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.roles import UNKNOWN
from spaces_ctl.policy.state import Space

__all__ = ["NOBODY", "Ask", "Case", "Denied", "Guard", "Outcomes", "Rule", "outcomes", "refuses", "row"]

NOBODY: AccountId = 0
"""No account has this id."""

C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)

Ask = Callable[[Space, Any, AccountId], Needs]
"""(state, command, who gives it) -> what has to be known."""

Outcomes = frozenset[tuple[type[SpaceEvent], StrEnum | None]]
"""Events that a command may produce, each with its cause if it has one."""


class Denied(msgspec.Struct, frozen=True):
    """The one reason why not; nothing happened."""

    code: str
    """One of `policy.codes.CODES`."""
    detail: str = ""
    """For people; empty where the code says it all."""


class Case:
    """One command being decided.

    Handlers `emit` events; each is folded at once, so that the next is decided on the state that it will meet.
    """

    __slots__ = ("actor", "events", "facts", "limits", "now_ms", "role", "state")

    def __init__(self, state: Space, actor: Actor, role: Role, facts: Facts, limits: Limits, now_ms: int) -> None:
        """`role` is the one in which the actor acts."""
        self.state = state
        self.actor = actor
        self.role = role
        self.facts = facts
        self.limits = limits
        self.now_ms = now_ms
        self.events: list[SpaceEvent] = []

    @property
    def me(self) -> AccountId:
        """The actor's account, or `NOBODY`."""
        return NOBODY if self.actor.account is None else self.actor.account

    def known(self, account: AccountId) -> AccountFacts:
        """What is known about an account."""
        return self.facts.accounts.get(account, UNKNOWN)

    def blocks(self, blocker: AccountId, blocked: AccountId) -> bool:
        """Whether one account blocks another."""
        return (blocker, blocked) in self.facts.blocks

    def emit(self, event: SpaceEvent) -> None:
        """It happens."""
        self.state = evolve(self.state, event, self.now_ms)
        self.events.append(event)


class Guard(Generic[C_contra]):
    """Something that may forbid a command, and the code with which it does."""

    __slots__ = ("asks", "code", "fails", "meaning", "name")

    def __init__(self, code: str, fails: Callable[[Case, C_contra], bool], asks: tuple[Ask, ...]) -> None:
        """Raises KeyError for a code that does not exist."""
        CODES[code]
        self.code = code
        self.fails = fails
        self.asks = asks
        self.name = getattr(fails, "__name__", code)
        self.meaning = (fails.__doc__ or "").partition("\n")[0]


def refuses(code: str, *asks: Ask) -> Callable[[Callable[[Case, C], bool]], Guard[C]]:
    """Makes a guard of a function that is true when the command is forbidden."""

    def make(fails: Callable[[Case, C], bool]) -> Guard[C]:
        return Guard(code, fails, asks)

    return make


class Rule(Generic[C]):
    """One row: who may, when, what forbids (in order), what may come of it."""

    __slots__ = ("asks", "guards", "outcomes", "roles", "states")

    def __init__(
        self,
        roles: frozenset[Role],
        states: frozenset[Status],
        guards: tuple[Guard[C], ...],
        outcomes: Outcomes,
        asks: tuple[Ask, ...],
    ) -> None:
        """`asks` are the handler's; the guards bring their own."""
        self.roles = roles
        self.states = states
        self.guards = guards
        self.outcomes = outcomes
        self.asks = (*asks, *(ask for guard in guards for ask in guard.asks))


Table = dict[type[SpaceCommand], Rule[Any]]

_ROLES = {
    "H": Role.HOST,
    "C": Role.COHOST,
    "S": Role.SPEAKER,
    "L": Role.LISTENER,
    "A": Role.ANONYMOUS,
    "G": Role.GUEST,
    "O": Role.OUTSIDER,
    "M": Role.MODERATOR,
    "Y": Role.SYSTEM,
}


def row(
    command: type[C],
    roles: str,
    states: tuple[Status, ...],
    *guards: Guard[C],
    makes: Outcomes = frozenset(),
    asks: tuple[Ask, ...] = (),
) -> tuple[type[C], Rule[C]]:
    """One row of the table; `roles` in the catalogue's letters, as `"H C S"`."""
    return command, Rule(frozenset(_ROLES[r] for r in roles.split()), frozenset(states), guards, makes, asks)


def outcomes(*events: type[SpaceEvent] | tuple[Any, ...]) -> Outcomes:
    """Event types without a cause, or tuples of an event type and its possible causes."""
    found: set[tuple[type[SpaceEvent], StrEnum | None]] = set()
    for entry in events:
        if isinstance(entry, tuple):
            found |= {(entry[0], how) for how in entry[1:]}
        else:
            found.add((entry, None))
    return frozenset(found)
