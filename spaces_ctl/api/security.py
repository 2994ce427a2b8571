"""What keeps other people's pages out: CSRF, CORS and the headers that tell browsers what ours may do.

docs/security.md says why. In short: cookies are for our own origin only. A request that a browser sends with our cookie
must come from our page (Fetch Metadata, else `Origin`), and if it changes anything it bears a token that only our page
can read. Other origins, where a deployment allows them, use bearer tokens.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from litestar.config.cors import CORSConfig

from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.service.errors import ServiceError

__all__ = [
    "CSRF_HEADER",
    "SESSION_COOKIE",
    "CsrfTokens",
    "SecurityHeaders",
    "check_not_foreign",
    "check_same_site",
    "cookie_name",
    "cors",
]

CSRF_HEADER = "x-csrf-token"
SESSION_COOKIE = "spaces_session"
"""Of a browser's login session; see `cookie_name`."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_HEADERS_OF_OTHERS = [
    "authorization",
    "content-type",
    "idempotency-key",
    "last-event-id",
    "if-match",
    "if-none-match",
    "if-range",
    "range",
]
_EXPOSED = [
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "idempotency-replayed",
    "location",
    "accept-ranges",
    "content-range",
    "etag",
]


def cookie_name(settings: ApiSettings, name: str) -> str:
    """The cookie's name: with `__Host-` (RFC 6265bis section 4.1.3.2) wherever browsers take it, that is over https."""
    return f"__Host-{name}" if settings.secure else name


def cors(settings: ApiSettings) -> CORSConfig | None:
    """For the allowed origins; never with cookies."""
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=[origin.rstrip("/").lower() for origin in settings.cors_origins],
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=_HEADERS_OF_OTHERS,
        allow_credentials=False,
        expose_headers=_EXPOSED,
        max_age=600,
    )


def check_same_site(headers: Mapping[str, str], own_origin: str) -> None:
    """Refuses what a page of another origin made a browser send. Raises ServiceError (`auth.csrf`).

    Browsers say so in `Sec-Fetch-Site` (Fetch Metadata), older ones in `Origin` (RFC 6454). Programs that are no
    browsers send neither: with a cookie they have to send `Origin` too.
    """
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None and site != "same-origin":
        raise ServiceError("auth.csrf", f"Sec-Fetch-Site is {site!r}.")
    if origin is not None and origin.lower() != own_origin:
        raise ServiceError("auth.csrf", "Origin is not ours.")
    if site is None and origin is None:
        raise ServiceError("auth.csrf", "Neither Sec-Fetch-Site nor Origin is given.")


def check_not_foreign(headers: Mapping[str, str], own_origin: str, allowed: Collection[str]) -> None:
    """Refuses what a page of another origin sends without credentials of its own, so that nobody is logged in as
    somebody else (login CSRF). Raises ServiceError (`auth.csrf`).
    """
    origin = headers.get("origin")
    if origin is not None:
        if origin.lower() != own_origin and origin.lower() not in allowed:
            raise ServiceError("auth.csrf", "Origin is not ours.")
    elif headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ServiceError("auth.csrf", "The request comes from another site.")


class CsrfTokens:
    """Tokens bound to a login session: the MAC of the session's id. Nothing is stored."""

    def __init__(self, key: bytes) -> None:
        """`key`: at least 16 bytes. Raises ValueError."""
        if len(key) < 16:
            raise ValueError("a key of at least 16 bytes is needed")
        self._key = key

    def make(self, session: str) -> str:
        """The session's token, for our page's `X-CSRF-Token`."""
        return hmac.digest(self._key, b"csrf\0" + session.encode(), "sha256").hex()

    def check(self, session: str, token: str | None) -> None:
        """Raises ServiceError (`auth.csrf`)."""
        if token is None or not hmac.compare_digest(self.make(session).encode(), token.encode()):
            raise ServiceError("auth.csrf", f"{CSRF_HEADER} is missing or not this session's.")


class SecurityHeaders:
    """Adds to every answer what browsers should know; a handler that sets one of them itself is left alone."""

    def __init__(self, settings: ApiSettings) -> None:
        origins = dict.fromkeys(_origin(url) for url in settings.media_urls)
        # WebTransport's URLs are https, those of the WebSocket that takes its place are wss.
        media = " ".join(["'self'", *origins, *(re.sub("^http", "ws", origin) for origin in origins)])
        page = (
            # WebAssembly decodes the sound. People's pictures come from where their accounts live.
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
            "img-src 'self' data: blob: https:; font-src 'self'; "
            f"connect-src {media}; worker-src 'self'; media-src 'self' blob:; manifest-src 'self'; "
            "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        always = {
            "x-content-type-options": "nosniff",
            "referrer-policy": "strict-origin-when-cross-origin",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "permissions-policy": "microphone=(self), camera=(), geolocation=(), payment=()",
        }
        if settings.secure:
            always["strict-transport-security"] = "max-age=31536000; includeSubDomains"
        self._always = [(name.encode(), value.encode()) for name, value in always.items()]
        self._page = (b"content-security-policy", page.encode())
        self._data = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")

    async def __call__(self, message: Any, scope: Any) -> None:
        """A `before_send` hook of Litestar."""
        if message["type"] != "http.response.start":
            return
        headers = list(message["headers"])
        kinds = {name.lower(): value for name, value in headers}
        page = kinds.get(b"content-type", b"").startswith((b"text/html", b"text/javascript", b"application/javascript"))
        # What a 304 says replaces what the browser keeps of the answer (RFC 9111, section 3.2), which has its policy.
        policies = [] if message["status"] == 304 else [self._page if page else self._data]
        for name, value in (*self._always, *policies):
            if name not in kinds:
                headers.append((name, value))
        message["headers"] = headers


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
