"""Where browsers may be sent: an app's redirect URIs, and our own pages after a login."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

__all__ = ["acceptable", "local_path", "matches"]

_LOOPBACK = {"127.0.0.1", "::1"}
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
"""A domain reversed: RFC 8252 section 7.1. The dot keeps `javascript:` and `data:` out."""
_PLAIN = re.compile(r"[\x21-\x7e]{1,2000}")


def acceptable(uri: str) -> bool:
    """Whether an app may register this redirect URI: https, http on loopback, or a private scheme; no fragment."""
    parts = _split(uri)
    if parts is None or parts.fragment or "#" in uri or "\\" in uri or "@" in parts.netloc:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme == "http":
        return parts.hostname in _LOOPBACK | {"localhost"}
    return bool(_PRIVATE_SCHEME.fullmatch(parts.scheme))


def matches(registered: str, asked: str) -> bool:
    """Whether the URI asked for is the registered one: the same text (RFC 9700 section 2.1), on loopback addresses but
    for the port (RFC 8252 section 7.3).
    """
    if registered == asked:
        return True
    known, wanted = _split(registered), _split(asked)
    if known is None or wanted is None or known.hostname not in _LOOPBACK or not acceptable(asked):
        return False
    return (known.scheme, known.hostname, known.path, known.query) == (
        wanted.scheme,
        wanted.hostname,
        wanted.path,
        wanted.query,
    )


def local_path(target: str) -> str:
    r"""`target` if it is a path on this server, else `/`: a login never sends people elsewhere.

    Browsers read `//host`, `/\host` and paths with tabs or newlines as other hosts.
    """
    parts = _split(target)
    if parts is None or parts.scheme or parts.netloc or "\\" in target:
        return "/"
    return target if target.startswith("/") and not target.startswith("//") else "/"


def _split(uri: str) -> SplitResult | None:
    if not _PLAIN.fullmatch(uri):
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts
