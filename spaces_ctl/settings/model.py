"""What can be set, section by section, with the defaults. `spaces config example` prints the text below each field.

A field marked `SECRET` is never shown and can be read from a file: `password_file` instead of `password`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Meta, field

from spaces_ctl.policy.limits import PRESETS, Limits

__all__ = [
    "SECRET",
    "Auth",
    "Captions",
    "Database",
    "Graph",
    "Http",
    "LimitsSection",
    "Logging",
    "Mail",
    "Media",
    "Node",
    "OidcProvider",
    "Payments",
    "Push",
    "Recordings",
    "Settings",
    "Webhooks",
    "Xapi",
]

SECRET = Meta(extra={"secret": True})
Port = Annotated[int, Meta(ge=0, le=65_535)]
Positive = Annotated[int, Meta(ge=1)]
Preset = Literal["x13", "classic11", "api10", "replay30", "mobile_first", "allow_rejoin_after_removal"]
"""The keys of `policy.limits.PRESETS`; a test compares."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Http(Section, frozen=True, kw_only=True):
    """Page and API."""

    bind: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every IPv4 address, :: for every address."""
    port: Port = 8420
    """TCP port; 0 takes any."""
    public_url: str = ""
    """What people type: https://spaces.example. Empty: made of address and port."""
    tls_certificate: Path | None = None
    """PEM file of the certificate chain. Without it HTTP is plain: for this machine, or behind a proxy."""
    tls_key: Path | None = None
    """PEM file of its private key."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    cors_origins: tuple[str, ...] = ()
    """Other web origins that may use the API from a browser."""
    metrics_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may read /metrics."""
    card_font: Path | None = None
    """TrueType or OpenType file for the pictures of shared links; the built-in font knows Latin letters only."""


class Media(Section, frozen=True, kw_only=True):
    """The audio: QUIC and WebTransport on one UDP port, WebSockets on the TCP port of the same number."""

    bind: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8420
    """UDP port; 0 takes any."""
    public_addresses: tuple[str, ...] = ()
    """host:port as clients reach it, first choice first. Empty: the host of http.public_url and the port."""
    tls_certificate: Path | None = None
    """PEM file. Without it (and without http.tls_certificate) a development certificate of two weeks is made."""
    tls_key: Path | None = None
    """PEM file of its private key."""
    shards: Positive = 1
    """Threads, each with its part of the audience; at most one a core, and 255."""
    pin: tuple[int, ...] = ()
    """Core of each shard's thread, in order, one a shard; empty leaves it to the system."""
    max_sessions: Positive = 100_000
    """Connected people at most; further ones are refused with node.capacity."""
    idle_timeout_ms: Positive = 20_000
    """A connection without a packet for this long is lost."""
    websocket: Literal["tls", "plain", "off"] = "tls"
    """Over TCP, where UDP is blocked. tls: wss://, from this machine ws://. plain: ws://, behind a proxy."""
    websocket_bind: str = ""
    """IP:PORT of its listener. Empty: bind and port of this section, or the next port if HTTP has that."""
    websocket_urls: tuple[str, ...] = ()
    """wss://HOST:PORT as clients reach it. Empty: its port at the host of http.public_url."""


class Database(Section, frozen=True, kw_only=True):
    """Where everything but audio is kept."""

    url: str = "sqlite:///spaces.db"
    """sqlite:///PATH (four slashes for an absolute path) or postgresql://USER@HOST/NAME."""
    password: Annotated[str, SECRET] = ""
    """PostgreSQL password, if it is not in the URL."""

    @property
    def full_url(self) -> str:
        """The URL with the password in it."""
        if not self.password:
            return self.url
        parts = urlsplit(self.url)
        user, _, host = parts.netloc.rpartition("@")
        name = user.partition(":")[0]
        return parts._replace(netloc=f"{name}:{quote(self.password, safe='')}@{host}").geturl()


class LimitsSection(Section, frozen=True, kw_only=True):
    """Numbers and switches of the rules."""

    preset: Preset = "x13"
    """x13: host, 2 co-hosts, 10 speakers. classic11: no co-hosts. api10: 10 on stage. See docs/permissions.md."""
    override: Annotated[dict[str, Any], Meta(extra={"fields_of": Limits})] = field(default_factory=dict)
    """Single values instead of the preset's, a table: max_speakers = 8."""

    def resolve(self) -> Limits:
        """The limits in force. Raises msgspec.ValidationError if an override is not valid."""
        values = msgspec.to_builtins(PRESETS[self.preset]) | self.override
        return msgspec.convert(values, Limits)


class Recordings(Section, frozen=True, kw_only=True):
    """Recorded audio: written to a directory first, then kept in an object store (docs/replay-storage.md)."""

    directory: Path | None = Path("recordings")
    """Where audio is written while a Space is live. Minutes of it, or more while the store is down."""
    enabled: bool = True
    """Without it nothing is recorded, review copies neither; no replays, no clips."""
    fsync_ms: Annotated[int, Meta(ge=0)] = 1000
    """How often written audio is made durable against power loss; 0 leaves it to the system."""
    segment_ms: Annotated[int, Meta(ge=1000, le=60_000)] = 4000
    """A file is closed, and goes to the store, after this long."""
    store: str = ""
    """Kept in a directory, or s3://BUCKET/PREFIX?region=R&endpoint=URL. Empty: in `object-store` below `directory`."""
    access_key_id: str = ""
    """Of an S3 store; empty: AWS_ACCESS_KEY_ID, or whatever else the environment has."""
    secret_access_key: Annotated[str, SECRET] = ""
    """Of an S3 store."""
    warn_free_mb: Annotated[int, Meta(ge=0)] = 1024
    """Less room than this on the directory's disk is told in the log and in /metrics."""


class Captions(Section, frozen=True, kw_only=True):
    """What is said, as text, of those who consent."""

    enabled: bool = False
    """Needs the extra `captions` (pip install spaces-ctl[captions]), or a recogniser elsewhere."""
    recogniser: Literal["moonshine", "websocket", "none"] = "moonshine"
    """moonshine: on this machine. websocket: any streaming recogniser at `url` (docs/captions.md)."""
    url: str = ""
    """ws:// or wss:// URL of the recogniser, for websocket."""
    key: Annotated[str, SECRET] = ""
    """Sent to it as a bearer token."""
    languages: tuple[str, ...] = ("en",)
    """What the recogniser understands (BCP 47); the first where a Space names none, no captions for another one."""
    max_streams: Positive = 4
    """People who are recognised at once, in all Spaces; what others say meanwhile is marked as missing."""


class OidcProvider(Section, frozen=True, kw_only=True):
    """Login with an account elsewhere (OpenID Connect)."""

    name: str
    """Short name in URLs: https://spaces.example/api/v1/auth/oidc/NAME/callback."""
    issuer: str
    """The provider's URL; its configuration is read from /.well-known/openid-configuration."""
    client_id: str
    """As registered with the provider."""
    client_secret: Annotated[str, SECRET] = ""
    """As given by the provider."""
    label: str = ""
    """What the button says; empty: the name."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    """What is asked for."""


class Auth(Section, frozen=True, kw_only=True):
    """Who people are."""

    local_login: bool = True
    """Names and passwords kept here."""
    registration: bool = True
    """People may make accounts themselves; otherwise `spaces account create`."""
    session_days: Positive = 30
    """How long a login lasts without use."""
    access_token_minutes: Positive = 120
    """Life of an OAuth access token."""
    join_token_minutes: Positive = 60
    """How long a token for the audio admits; it does not end a connection."""
    signing_key: Annotated[str, SECRET] = ""
    """Ed25519 seed of join tokens, 32 bytes in base64url. Empty: kept in node.data_directory, made at first."""
    oidc: tuple[OidcProvider, ...] = ()
    """Login with accounts elsewhere, a table each: [[auth.oidc]]."""


class Graph(Section, frozen=True, kw_only=True):
    """Accounts, follows, blocks, communities."""

    mode: Literal["embedded", "http"] = "embedded"
    """embedded: kept here. http: your own service answers."""
    url: str = ""
    """Your service, for http."""
    key: Annotated[str, SECRET] = ""
    """With which requests in both directions are signed (docs/social-graph.md)."""
    timeout_ms: Positive = 2_000
    """How long it may take to answer."""


class Push(Section, frozen=True, kw_only=True):
    """Web push (RFC 8292)."""

    vapid_private_key: Annotated[str, SECRET] = ""
    """P-256 key, base64url or PEM; empty: no web push."""
    subject: str = ""
    """mailto: or https: address at which push services reach you."""


class Mail(Section, frozen=True, kw_only=True):
    """E-mail by SMTP."""

    host: str = ""
    """SMTP server; empty: no e-mail."""
    port: Port = 587
    """Its port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is protected."""
    username: str = ""
    """Login; empty: none."""
    password: Annotated[str, SECRET] = ""
    """Its password."""
    sender: str = ""
    """From address."""


class Webhooks(Section, frozen=True, kw_only=True):
    """Signed messages to your services (Standard Webhooks)."""

    timeout_ms: Positive = 10_000
    """How long a receiver may take."""
    private_addresses: bool = False
    """Whether addresses of private networks may be called."""


class Payments(Section, frozen=True, kw_only=True):
    """Tickets."""

    provider: Literal["none", "sandbox"] = "none"
    """sandbox: everybody can pay, nobody is charged. Your own provider is code (service.ports.PaymentProvider)."""
    secret: Annotated[str, SECRET] = ""
    """With which the provider signs its messages."""


class Xapi(Section, frozen=True, kw_only=True):
    """The X API v2 endpoints."""

    enabled: bool = True
    """Serve /2/spaces."""
    speaker_ids: Literal["now", "ever"] = "now"
    """Who may talk now, or everybody who ever could."""


class Logging(Section, frozen=True, kw_only=True):
    """What the server says on stderr."""

    format: Literal["auto", "pretty", "json"] = "auto"
    """auto: pretty on a terminal, JSON otherwise."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is said."""


class Node(Section, frozen=True, kw_only=True):
    """The server itself."""

    id: Annotated[int, Meta(ge=0, le=1022)] = 0
    """Part of every id made here; different on each server of one database. 1023 is the command line's."""
    name: str = "spaces"
    """In logs."""
    data_directory: Path = Path("data")
    """Keys and the journal that survive a restart."""
    drain_seconds: Annotated[int, Meta(ge=0)] = 10
    """How long people have to move when the server stops."""


class Settings(Section, frozen=True, kw_only=True):
    """Everything."""

    http: Http = Http()
    media: Media = Media()
    database: Database = Database()
    limits: LimitsSection = field(default_factory=LimitsSection)
    recordings: Recordings = Recordings()
    captions: Captions = Captions()
    auth: Auth = Auth()
    graph: Graph = Graph()
    push: Push = Push()
    mail: Mail = Mail()
    webhooks: Webhooks = Webhooks()
    payments: Payments = Payments()
    xapi: Xapi = Xapi()
    logging: Logging = Logging()
    node: Node = Node()
