"""The key that signs join tokens: from the settings, or made once and kept beside the data."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from spaces_ctl.engine import TokenSigner
from spaces_ctl.serve.errors import BadSettings
from spaces_ctl.settings.model import Settings

__all__ = ["derived", "join_signer"]

FILE = "join-key"


def derived(settings: Settings, purpose: str) -> bytes:
    """A key of 32 bytes for something else, the same at every start. Raises BadSettings."""
    return hmac.digest(_seed(settings), f"spaces {purpose}".encode(), "sha256")


def join_signer(settings: Settings) -> TokenSigner:
    """The signer. Raises BadSettings if the key cannot be read or kept."""
    seed = _seed(settings)
    # Named after the key: another key is another name, and a node that knows both tells them apart.
    kid = hashlib.sha256(b"spaces join key" + hashlib.sha256(seed).digest()).hexdigest()[:16]
    return TokenSigner.from_seed(kid, seed)


def _seed(settings: Settings) -> bytes:
    text = settings.auth.signing_key or _kept(settings.node.data_directory / FILE)
    try:
        seed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        seed = b""
    if len(seed) != 32:
        raise BadSettings(f"{settings.node.data_directory / FILE}: expected 32 bytes in base64url")
    return seed


def _kept(file: Path) -> str:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as handle:
                handle.write(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=") + "\n")
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a key"
        raise BadSettings(f"node.data_directory: cannot keep the key of join tokens in {file}: {reason}") from error
