"""Words that every half of the control plane shares: ids, roles, states, settings. Values only.

Times are milliseconds since 1970 (`_ms`); ids are unsigned 64-bit integers in Python and in the engine, base62 (Space)
or decimal (account) strings on the API.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = [
    "SYSTEM",
    "AccountId",
    "Actor",
    "ClientClass",
    "CommunityRole",
    "Role",
    "Seat",
    "SpaceId",
    "Speak",
    "StageRole",
    "Status",
    "Ticketing",
]

AccountId = int
SpaceId = int


class Role(StrEnum):
    """What somebody is to a Space. Derived (`policy.roles`), never sent."""

    HOST = "host"
    """The primary admin now."""
    COHOST = "cohost"
    SPEAKER = "speaker"
    LISTENER = "listener"
    ANONYMOUS = "anonymous"
    """Logged in, listening unnamed."""
    GUEST = "guest"
    """Not logged in."""
    OUTSIDER = "outsider"
    """An account that is not in the Space."""
    MODERATOR = "moderator"
    """A platform moderator or operator."""
    SYSTEM = "system"
    """Timers and the engine."""


class StageRole(StrEnum):
    """As what somebody sits on stage."""

    HOST = "host"
    COHOST = "cohost"
    SPEAKER = "speaker"


class Status(StrEnum):
    """Where a Space is in its life."""

    NEW = "new"
    """Not created yet."""
    LOBBY = "lobby"
    """Created, the host alone, not public."""
    SCHEDULED = "scheduled"
    LIVE = "live"
    ENDED = "ended"
    CANCELED = "canceled"


class Speak(StrEnum):
    """Who may take the mic without being asked."""

    EVERYONE = "everyone"
    FOLLOWED = "followed"
    """People whom the host follows."""
    INVITED = "invited"


class ClientClass(StrEnum):
    """What somebody uses, for deployments that restrict it (`Limits.clients`)."""

    WEB = "web"
    IOS = "ios"
    ANDROID = "android"
    DESKTOP = "desktop"
    API = "api"


class CommunityRole(StrEnum):
    """What somebody is to a community."""

    NONE = "none"
    MEMBER = "member"
    MODERATOR = "moderator"
    ADMIN = "admin"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who gives a command. What they are to the Space is derived from its state."""

    account: AccountId | None = None
    """None: a logged-out person, or the system."""
    anonymous: bool = False
    """Listens unnamed; may do nothing that names them."""
    moderator: bool = False
    """May use a platform moderator's commands as well."""
    system: bool = False
    """A timer or the engine."""
    client: ClientClass = ClientClass.API


SYSTEM = Actor(system=True)


class Ticketing(msgspec.Struct, frozen=True, kw_only=True):
    """Price and number of a Space's tickets."""

    price_minor: int
    """In the currency's minor unit (cents)."""
    currency: str
    """ISO 4217, upper case."""
    quantity: int


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """One seat of the stage and who holds it."""

    seat: int
    """0 to 12; the engine's row."""
    account: AccountId
    role: StageRole
    generation: int
    """Grows in a Space with every seat that is given, so that frames of an earlier holder are dropped."""
    muted: bool = True
    muted_by: AccountId | None = None
    """Who muted them, if not they themselves."""
    away: bool = False
    """The connection is lost and may resume."""
    since_ms: int = 0
