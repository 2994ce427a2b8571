"""What belongs together in the settings: pairs, addresses, files that must be there."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from spaces_ctl.settings.model import Settings

DATABASE_SCHEMES = ("sqlite", "postgresql")
STAGE_SEATS = 13
"""Of the engine's table."""
REACTIONS = 16
"""Kinds that the engine counts."""

FONTS = (b"\x00\x01\x00\x00", b"true", b"OTTO", b"ttcf")
"""How files of fonts begin (OpenType 1.9, Organization of an OpenType Font)."""


def together(settings: Settings) -> Iterator[tuple[str, str]]:
    """(path, what is wrong), for values that are each valid alone."""
    yield from _addresses(settings)
    yield from _certificate("http", settings.http.tls_certificate, settings.http.tls_key)
    yield from _certificate("media", settings.media.tls_certificate, settings.media.tls_key)
    yield from _card_font(settings.http.card_font)
    yield from _database(settings)
    yield from _limits(settings)
    yield from _identity(settings)
    yield from _messages(settings)
    yield from _captions(settings)


def _addresses(settings: Settings) -> Iterator[tuple[str, str]]:
    for path, address in (("http.bind", settings.http.bind), ("media.bind", settings.media.bind)):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            yield path, f"expected an IP address, got {address!r}"
    for name in ("trusted_proxies", "metrics_from"):
        for network in getattr(settings.http, name):
            try:
                ipaddress.ip_network(network)
            except ValueError:
                yield f"http.{name}", f"expected an IP address or network, got {network!r}"
    if settings.http.public_url and not _is_origin(settings.http.public_url):
        yield "http.public_url", f"expected https://HOST or http://HOST[:PORT], got {settings.http.public_url!r}"
    for origin in settings.http.cors_origins:
        if not _is_origin(origin):
            yield "http.cors_origins", f"expected https://HOST[:PORT], got {origin!r}"
    for address in settings.media.public_addresses:
        if not _is_host_port(address):
            yield "media.public_addresses", f"expected HOST:PORT, got {address!r}"
    bind = settings.media.websocket_bind
    if bind and not (_is_host_port(bind) and _is_ip(bind.rpartition(":")[0].strip("[]"))):
        yield "media.websocket_bind", f"expected IP:PORT, got {bind!r}"
    for url in settings.media.websocket_urls:
        scheme, found, address = url.partition("://")
        if not (found and scheme in ("ws", "wss") and _is_host_port(address)):
            yield "media.websocket_urls", f"expected wss://HOST:PORT, got {url!r}"
    if settings.media.websocket == "plain" and not settings.media.websocket_urls:
        yield "media.websocket_urls", "is needed with websocket = 'plain': the proxy's addresses"
    if settings.media.pin and len(settings.media.pin) != settings.media.shards:
        yield "media.pin", f"expected one core a shard ({settings.media.shards}), got {len(settings.media.pin)}"


def _is_host_port(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(colon and host and port.isdecimal() and 0 < int(port) < 65_536)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _certificate(section: str, certificate: Path | None, key: Path | None) -> Iterator[tuple[str, str]]:
    if certificate is not None and key is None:
        yield f"{section}.tls_key", "is needed with tls_certificate"
    if key is not None and certificate is None:
        yield f"{section}.tls_certificate", "is needed with tls_key"
    for name, file in (("tls_certificate", certificate), ("tls_key", key)):
        if file is None:
            continue
        try:
            with file.open("rb"):
                pass
        except OSError as error:
            yield f"{section}.{name}", f"cannot read {file}: {error.strerror}"


def _card_font(file: Path | None) -> Iterator[tuple[str, str]]:
    if file is None:
        return
    try:
        with file.open("rb") as font:
            begins = font.read(4)
    except OSError as error:
        yield "http.card_font", f"cannot read {file}: {error.strerror}"
        return
    if begins not in FONTS:
        yield "http.card_font", f"expected a TrueType or OpenType font, got {file}"


def _database(settings: Settings) -> Iterator[tuple[str, str]]:
    url = settings.database.url
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in DATABASE_SCHEMES:
        yield "database.url", f"expected sqlite:///PATH or postgresql://USER@HOST/NAME, got {_masked(url)!r}"
    elif scheme == "sqlite" and (not rest.startswith("/") or rest.endswith("/")):
        yield "database.url", f"expected sqlite:///PATH, got {url!r}"
    elif scheme == "postgresql" and not urlsplit(url).path.strip("/"):
        yield "database.url", "the name of the database is missing: postgresql://USER@HOST/NAME"


def _masked(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{separator}{user.partition(':')[0]}:***@{host}" if at and ":" in user else url


def _limits(settings: Settings) -> Iterator[tuple[str, str]]:
    try:
        limits = settings.limits.resolve()
    except msgspec.ValidationError as error:
        yield "limits.override", str(error)
        return
    if not 1 <= limits.max_stage <= STAGE_SEATS:
        yield "limits.override.max_stage", f"the engine has {STAGE_SEATS} seats, got {limits.max_stage}"
    if len(limits.reactions) > REACTIONS:
        yield "limits.override.reactions", f"the engine counts {REACTIONS} kinds, got {len(limits.reactions)}"


def _identity(settings: Settings) -> Iterator[tuple[str, str]]:
    auth, graph = settings.auth, settings.graph
    if auth.signing_key:
        try:
            seed = base64.urlsafe_b64decode(auth.signing_key + "=" * (-len(auth.signing_key) % 4))
        except (binascii.Error, ValueError):
            seed = b""
        if len(seed) != 32:
            yield "auth.signing_key", "expected 32 bytes in base64url"
    seen: set[str] = set()
    for n, provider in enumerate(auth.oidc):
        if provider.name in seen:
            yield f"auth.oidc[{n}].name", f"{provider.name!r} is taken by another provider"
        seen.add(provider.name)
        if not provider.issuer.startswith("https://"):
            yield f"auth.oidc[{n}].issuer", f"expected https://HOST, got {provider.issuer!r}"
    if not auth.local_login and not auth.oidc and graph.mode == "embedded":
        yield "auth.local_login", "nobody could log in: switch it on or add [[auth.oidc]]"
    if graph.mode == "http" and not graph.url.startswith(("http://", "https://")):
        yield "graph.url", f"expected http://HOST or https://HOST with mode http, got {graph.url!r}"
    if graph.mode == "http" and not graph.key:
        yield "graph.key", "is needed with mode http"


def _messages(settings: Settings) -> Iterator[tuple[str, str]]:
    push, mail = settings.push, settings.mail
    if push.vapid_private_key and not push.subject.startswith(("mailto:", "https:")):
        yield "push.subject", "expected mailto:ADDRESS or https://… with vapid_private_key"
    if mail.host and "@" not in mail.sender:
        yield "mail.sender", "expected an e-mail address with mail.host"


def _captions(settings: Settings) -> Iterator[tuple[str, str]]:
    captions = settings.captions
    if captions.enabled and captions.recogniser == "websocket" and not captions.url.startswith(("ws://", "wss://")):
        yield "captions.url", f"expected ws://HOST or wss://HOST with recogniser websocket, got {captions.url!r}"
    if captions.enabled and not captions.languages:
        yield "captions.languages", "name at least one"


def _is_origin(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/") and not parts.query
