"""How an engine is set up, and who signs what it lets in: part of `spaces_ctl.engine`. Import that instead."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from spaces_ctl import _engine


class TokenSigner:
    """Mints join tokens: Ed25519 JWTs (RFC 8037) that the engine verifies. Holds a private key."""

    __slots__ = ("_native", "audience", "issuer")

    def __init__(self, native: _engine.TokenSigner, issuer: str, audience: str) -> None:
        """Use `generate` or `from_seed`."""
        self._native = native
        self.issuer = issuer
        self.audience = audience

    @classmethod
    def generate(cls, *, issuer: str = "spaces", audience: str = "spaces") -> Self:
        """A signer with a new random key; its id is the key's thumbprint (RFC 7638)."""
        return cls(_engine.TokenSigner.generate(issuer=issuer, audience=audience), issuer, audience)

    @classmethod
    def from_seed(cls, kid: str, seed: bytes, *, issuer: str = "spaces", audience: str = "spaces") -> Self:
        """A signer with the private key `seed` (32 bytes, RFC 8032) named `kid`. Raises ValueError."""
        return cls(_engine.TokenSigner.from_seed(kid, seed, issuer=issuer, audience=audience), issuer, audience)

    @property
    def kid(self) -> str:
        """The key id in every token."""
        return self._native.kid

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        return bytes(self._native.public_key)

    def mint(
        self,
        *,
        account: int | None,
        sid: int,
        lifetime_s: float = 3600.0,
        expires_at: int | None = None,
        epoch: int = 0,
        anonymous: bool = False,
        service: bool = False,
    ) -> str:
        """A token for one session id.

        `account` None is a logged-out listener. It expires `lifetime_s` from now, or at `expires_at` (seconds since
        1970); that limits admission only. It carries no role: roles come from the stage table, so that a revoke is
        immediate. `service` is for parts of the deployment, such as its captioner (`SeatTap`): it is nobody, neither
        counted nor listed, is let in where guests are not, and hears only seats whose captions are allowed.
        """
        until = int(time.time() + lifetime_s) if expires_at is None else expires_at
        return self._native.mint(
            account=account, sid=sid, expires_at=until, epoch=epoch, anonymous=anonymous, service=service
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketConfig:
    """How an engine takes WebSockets: QMux (draft-ietf-quic-qmux) in messages (draft-lcurley-qmux-websocket).

    `wss://` is taken always, with the engine's certificate.
    """

    bind: tuple[str, int] | None = None
    """IP address and TCP port. None: those of QUIC, or any port if QUIC's was any too and is taken."""
    plain: bool = False
    """Take `ws://` from everywhere, because a proxy speaks TLS in front; otherwise from this machine only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """How an engine is set up."""

    bind: tuple[str, int] = ("127.0.0.1", 0)
    """IP address and UDP port; port 0 takes any."""
    signers: Sequence[TokenSigner] = ()
    """Whose tokens are taken, all of one issuer and audience. Without any, only guests come in."""
    public_keys: Mapping[str, bytes] = field(default_factory=dict)
    """Further Ed25519 public keys by `kid`, of signers elsewhere."""
    issuer: str = "spaces"
    """`iss` of the tokens, when `public_keys` alone are given."""
    audience: str = "spaces"
    """`aud` of the tokens, when `public_keys` alone are given."""
    tls: tuple[Path, Path] | None = None
    """PEM files of certificate chain and key. None makes a development certificate of two weeks."""
    names: Sequence[str] = ("localhost", "127.0.0.1")
    """Names and addresses in the development certificate."""
    origins: Sequence[str] = ()
    """Web origins that may connect; empty takes any."""
    shards: int = 1
    """Threads, each with its part of the audience, at most 255; `Engine.add_shard` starts further ones. One a core is
    most: more only get in each other's way."""
    pin_to: Sequence[int] = ()
    """Core of each shard's thread, in order; those without one run where the system likes. A pinned thread keeps its
    caches, which is worth most where nothing else runs on that core."""
    recordings: Path | None = None
    """Directory of the recordings of Spaces that have `record` set; None writes none."""
    fsync_ms: int = 1000
    """How often written audio is made durable against power loss, in milliseconds; 0 leaves it to the system.
    A killed process loses nothing that was written, whatever stands here."""
    segment_ms: int = 4000
    """After so long a recording's log goes on in another file, in milliseconds (200 to 60,000). Only the newest file is
    ever written; complete ones may be moved elsewhere."""
    recording_tracks: bool = True
    """Write Ogg Opus tracks of each person and of the mix beside the log. `spaces_ctl.segments.export` makes them from
    the log, too."""
    max_sessions: int = 100_000
    """Sessions at most; further ones are refused with `node.capacity`."""
    connects_per_address: int = 0
    """Connections that one address (of IPv6, a /64) may begin a second, and twice as many at once; 0 sets no limit.

    What is over is refused at its first packet, before any cryptography, and counted as `handshakes_limited`. Mind that
    everybody behind one NAT has one address.
    """
    idle_timeout_ms: int = 20_000
    """A connection without a packet for this long is lost, in milliseconds."""
    max_heard: int = 13
    """The loudest seats that are heard at once."""
    reactions: int = 5
    """Kinds of reactions, 16 at most; which is which is the deployment's."""
    reaction_rate: int = 5
    """Reactions a second that one session may send; twice as many at once."""
    mix_frame_ms: int = 60
    """Length of a packet of the mix: 20, 40 or 60 ms."""
    mix_bitrate: int = 48_000
    """Of the mix, in bit/s: 6,000 to 160,000."""
    websocket: WebSocketConfig | None = None
    """Serve the same sessions over WebSockets, too, for those whom QUIC does not reach; None: over QUIC only."""


def keys_of(config: EngineConfig) -> tuple[str, str, list[tuple[str, bytes]]]:
    """Issuer, audience and keys. Raises ValueError if signers disagree."""
    names = {(signer.issuer, signer.audience) for signer in config.signers} or {(config.issuer, config.audience)}
    if len(names) > 1:
        raise ValueError("all signers must have one issuer and audience")
    ((issuer, audience),) = names
    keys = [(signer.kid, signer.public_key) for signer in config.signers]
    keys += [(kid, bytes(key)) for kid, key in config.public_keys.items()]
    for kid, key in keys:
        if len(key) != 32:
            raise ValueError(f"the public key {kid!r} has {len(key)} bytes, not 32")
    return issuer, audience, keys
