"""What a deployment can set about the API. Durations in the unit that the name ends with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

__all__ = ["ApiSettings", "Rate"]


class Rate(msgspec.Struct, frozen=True):
    """A token bucket: `burst` at once, refilled by `per_minute`."""

    burst: int
    per_minute: float


_RATES = {
    "read": Rate(300, 600),
    "write": Rate(60, 120),
    "reaction": Rate(20, 120),
    "search": Rate(30, 60),
    "auth": Rate(10, 20),
    "stream": Rate(30, 60),
    "report": Rate(5, 10),
    "media": Rate(2000, 3000),
}


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the HTTP API and of the page."""

    public_url: str = "http://127.0.0.1:8420"
    """Where people reach us: scheme, host, port."""
    media_urls: tuple[str, ...] = ()
    """Where clients reach the engine: `https://host:port`, first choice first."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    cors_origins: tuple[str, ...] = ()
    """Other web origins that may call the API from a browser, with bearer tokens; cookies are never for them."""
    metrics_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may read `/metrics`."""
    csrf_key: bytes = b""
    """Key of the CSRF tokens. Empty: made at the start, so that pages have to fetch theirs again after a restart."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    max_body_bytes: int = 256 * 1024
    request_timeout_s: float = 30
    """An answer has to begin within this time; streams are exempt."""
    body_timeout_s: float = 15
    """A request's body has to arrive within this time."""
    heartbeat_s: float = 15
    """Streams say at least this often that they live."""
    stream_queue: int = 256
    """Messages that a stream's reader may lag behind."""
    streams_per_caller: int = 16
    rate_keys: int = 100_000
    """Buckets kept at most."""
    rates: Mapping[str, Rate] = msgspec.field(default_factory=lambda: dict(_RATES))
    """By class of routes: `opt={"rate": CLASS}`; without it GET is `read`, all else `write`."""
    address_factor: float = 10
    """An address may do this many times what one account may: people share addresses."""
    idempotency_hours: float = 24

    @property
    def secure(self) -> bool:
        """Whether people reach us by https."""
        return self.public_url.startswith("https://")

    @property
    def origin(self) -> str:
        """Our own web origin (RFC 6454 section 6.2)."""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc}".lower()
