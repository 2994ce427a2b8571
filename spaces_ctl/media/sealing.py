r"""Objects that only the holder of the Space's key can read: AES-256-GCM (NIST SP 800-38D).

sealed = "SPSEAL\x01" | nonce (12 bytes, random) | ciphertext and tag (16 bytes)

The object's name is authenticated too, so that no object can be put in another's place. A key seals one object for each
few seconds of one Space: far from the 2^32 at which random nonces wear out.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["KEY_BYTES", "CannotUnseal", "new_key", "seal", "unseal"]

KEY_BYTES = 32
_MAGIC = b"SPSEAL\x01"
_NONCE = 12


class CannotUnseal(ValueError):
    """Another key, another name, or not what was sealed."""


def new_key() -> bytes:
    """A key for one Space."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, name: str, data: bytes) -> bytes:
    """The object of that name."""
    nonce = os.urandom(_NONCE)
    return _MAGIC + nonce + AESGCM(key).encrypt(nonce, data, name.encode())


def unseal(key: bytes, name: str, data: bytes) -> bytes:
    """What was sealed. Raises CannotUnseal."""
    if not data.startswith(_MAGIC):
        raise CannotUnseal(f"{name} is no sealed object")
    nonce, body = data[len(_MAGIC) :][:_NONCE], data[len(_MAGIC) + _NONCE :]
    try:
        return AESGCM(key).decrypt(nonce, body, name.encode())
    except (InvalidTag, ValueError) as error:
        raise CannotUnseal(f"{name} cannot be read with this key") from error
