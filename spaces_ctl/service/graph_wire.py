"""The JSON contract between us and a deployment's own social graph (docs/social-graph.md), for both ends.

Ids are decimal strings: JSON numbers lose digits above 2^53. Every request is signed with a key that both ends know.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

import msgspec

__all__ = [
    "SIGNATURE_HEADER",
    "TIMESTAMP_HEADER",
    "TOLERANCE_S",
    "ChangeRequest",
    "Changed",
    "FactsAnswer",
    "FactsRequest",
    "HandlesRequest",
    "IdsPage",
    "IdsRequest",
    "ProfileWire",
    "ProfilesAnswer",
    "RolesAnswer",
    "Standing",
    "genuine",
    "sign",
]

TIMESTAMP_HEADER = "spaces-timestamp"
SIGNATURE_HEADER = "spaces-signature"
TOLERANCE_S = 300
"""How far the two ends' clocks may differ, in seconds."""

Id = str
Pair = tuple[Id, Id]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Standing of one account."""

    exists: bool
    protected: bool = False
    followers: int = 0


class FactsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision needs to know."""

    accounts: tuple[Id, ...] = ()
    blocks: tuple[Pair, ...] = ()
    """(blocker, blocked)"""
    follows: tuple[Pair, ...] = ()
    """(follower, followed)"""
    community: Pair | None = None
    """(community, account)"""


class FactsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every account asked for; of the pairs those that hold."""

    accounts: dict[Id, Standing] = {}
    blocks: tuple[Pair, ...] = ()
    follows: tuple[Pair, ...] = ()
    community_role: str = "none"


class IdsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Some accounts, 1,000 at most."""

    accounts: tuple[Id, ...]


class HandlesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Some handles, 1,000 at most."""

    handles: tuple[str, ...]


class ProfileWire(msgspec.Struct, frozen=True, kw_only=True):
    """An account as others see it."""

    id: Id
    handle: str
    name: str
    description: str = ""
    picture: str = ""
    protected: bool = False
    listening_visible: bool = True
    created_ms: int = 0


class ProfilesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Those that exist."""

    profiles: tuple[ProfileWire, ...]


class RolesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Roles (member, moderator, admin) of those who have one."""

    roles: dict[Id, str]


class IdsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Ids ascending; fewer than the limit asked for only on the last page."""

    ids: tuple[Id, ...]


class ChangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Makes something so. May come twice; the second time it is so already."""

    kind: Literal["follow", "block", "mute", "protected", "listening_visible"]
    by: Id
    account: Id | None = None
    """The other end of follow, block, mute."""
    on: bool


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it was not so before."""

    changed: bool


def sign(key: bytes, timestamp: int, method: str, target: str, body: bytes) -> str:
    """The signature header: HMAC-SHA-256 over time (Unix seconds), method, path with query, and body's digest."""
    text = f"{timestamp}\n{method.upper()}\n{target}\n{hashlib.sha256(body).hexdigest()}"
    return "v1=" + hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def genuine(key: bytes, timestamp: str, signature: str, method: str, target: str, body: bytes, now_s: int) -> bool:
    """Whether a request was signed with `key` within the last minutes."""
    if not timestamp.isascii() or not timestamp.isdigit() or abs(int(timestamp) - now_s) > TOLERANCE_S:
        return False
    return hmac.compare_digest(signature.encode(), sign(key, int(timestamp), method, target, body).encode())
