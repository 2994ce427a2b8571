"""What an OAuth token or a service key may be allowed to do, and what a request to our API needs.

X's names where X has them. A person's own session has `*` and needs nothing. What is not named here needs `*`.
"""

from __future__ import annotations

from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal

__all__ = ["APP_ONLY", "FOR_KEYS", "FOR_USERS", "XAPI_READ", "needed", "require"]

FOR_USERS: dict[str, str] = {
    "space.read": "See Spaces and who is in them",
    "tweet.read": "See posts shared in Spaces",
    "users.read": "See profiles",
    "offline.access": "Stay connected until you revoke it",
    "space.join": "Join Spaces as you, react, ask to speak and speak",
    "space.write": "Create, host and manage your Spaces",
    "account.write": "Follow, mute and block accounts for you",
}
"""What people can allow an app, and the words with which they are asked."""

XAPI_READ = frozenset({"space.read", "tweet.read", "users.read"})
"""What X's Spaces endpoints ask of a user's token, all three."""

APP_ONLY = XAPI_READ
"""What an app may do by itself."""

FOR_KEYS: dict[str, str] = {
    **FOR_USERS,
    "join_tokens": "Mint join tokens for its own users",
    "act_as": "Act for its own users",
}
"""What an embedder's service key may be allowed."""

_READ = {"GET", "HEAD", "OPTIONS"}
_WRITE = (
    ("/api/v1/join-tokens", "join_tokens"),
    ("/api/v1/me/blocks", "account.write"),
    ("/api/v1/me/mutes", "account.write"),
    ("/api/v1/me/following", "account.write"),
)
_JOINING = frozenset(
    {"join", "leave", "mic", "request", "reactions", "reminder", "captions", "reports", "invite", "cohost", "clips"}
)
_PRIVATE = ("/api/v1/auth", "/api/v1/oauth", "/api/v1/moderation", "/api/v1/service-keys", "/api/v1/webhooks")


def needed(method: str, path: str) -> str:
    """The scope that a request to our own API needs."""
    if not path.startswith("/api/v1/") or path.startswith(_PRIVATE):
        return "*"
    if method in _READ:
        return "users.read" if path.startswith(("/api/v1/accounts", "/api/v1/me")) else "space.read"
    for prefix, scope in _WRITE:
        if path == prefix or path.startswith(prefix + "/"):
            return scope
    if path == "/api/v1/spaces" or path.startswith("/api/v1/spaces/"):
        # /api/v1/spaces/{space}/{what}/...
        parts = path.split("/")
        return "space.join" if len(parts) > 5 and parts[5] in _JOINING else "space.write"
    return "*"


def require(principal: Principal, *scopes: str) -> None:
    """Raises ServiceError `auth.scope` unless the principal has all of these scopes."""
    if "*" not in principal.scopes and not principal.scopes.issuperset(scopes):
        raise ServiceError("auth.scope", f"Needs: {' '.join(scopes)}.")
