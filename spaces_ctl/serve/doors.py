"""How processes beside the server get into its engine."""

from __future__ import annotations

import secrets

from spaces_ctl.engine import Engine, TokenSigner
from spaces_ctl.service.captioning import Door

__all__ = ["EngineDoor"]

_ADMITS_S = 60.0


class EngineDoor:
    """The engine of this process, by loopback where it listens everywhere."""

    def __init__(self, engine: Engine, signer: TokenSigner, *, broadcasts: bool = False) -> None:
        """For a captioner, which hears seats that consent; `broadcasts`: for who hears the mix."""
        self._engine = engine
        self._signer = signer
        self._broadcasts = broadcasts

    def __call__(self) -> Door:
        """With a token that is good for a minute."""
        host, port = self._engine.address
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        sid = secrets.randbits(62) + 1
        token = self._signer.mint(account=None, sid=sid, lifetime_s=_ADMITS_S, service=True, anonymous=self._broadcasts)
        return Door(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", self._engine.certificate_sha256, token)
