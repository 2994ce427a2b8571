"""Secrets that we hand out: 256 random bits with a prefix that tells their kind; we keep the digest only.

A plain SHA-256 is enough for them, other than for passwords: there is nothing to guess. Looking a digest up in an index
leaks nothing by its timing about the secret.
"""

from __future__ import annotations

import hashlib
import secrets
from enum import StrEnum

__all__ = ["Kind", "digest", "identifier", "kind_of", "make"]


class Kind(StrEnum):
    """What a secret opens."""

    SESSION = "sps"
    ACCESS = "spa"
    REFRESH = "spr"
    CODE = "spc"
    APP = "spo"
    SERVICE_KEY = "spk"
    LINK = "spl"
    BROWSER = "spb"


_KINDS = {kind.value: kind for kind in Kind}


def make(kind: Kind) -> str:
    """A new secret: `KIND_` and 43 characters of base64url."""
    return f"{kind.value}_{secrets.token_urlsafe(32)}"


def kind_of(secret: str) -> Kind | None:
    """The kind that a secret claims to be."""
    prefix, separator, _ = secret.partition("_")
    return _KINDS.get(prefix) if separator else None


def digest(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def identifier() -> str:
    """A public name for a session, grant and the like: 96 random bits, hex."""
    return secrets.token_hex(12)
