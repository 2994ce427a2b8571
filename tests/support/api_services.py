"""What `serve.composition` puts behind the API beside the Spaces themselves: identity, and what is around.

The same services and routers, but that passwords are cheap, mails are kept, nothing is asked of a login provider whose
metadata are known beforehand, and nothing runs by itself: `react` reads the log to its end.
"""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher
from litestar.types import ControllerRouterHandler

from spaces_ctl.api import wire
from spaces_ctl.api.auth.logins import AuthRules
from spaces_ctl.api.security import CsrfTokens
from spaces_ctl.api.xapi.rates import XRates
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.handouts import ExportBundle, Exported, ReviewTrack, Sound, Voice, Voices, WhoSpeaks
from spaces_ctl.media.live_requests import Hear, Heard, LiveSegment, Piece, PieceOf
from spaces_ctl.media.objects import Objects
from spaces_ctl.payments.sandbox import SandboxPayments
from spaces_ctl.serve import composition
from spaces_ctl.service.around import Around, AroundSettings
from spaces_ctl.service.authentication import Authentication
from spaces_ctl.service.broadcasts import Broadcasts
from spaces_ctl.service.captioning import Door
from spaces_ctl.service.clip_pages import ClipPages
from spaces_ctl.service.clips import Clips
from spaces_ctl.service.email_links import EmailLinks
from spaces_ctl.service.fakes import FakeRecordings
from spaces_ctl.service.graph_http import Invalidations
from spaces_ctl.service.hiding import Hiding
from spaces_ctl.service.oauth import OAuth
from spaces_ctl.service.oauth_apps import OAuthApps
from spaces_ctl.service.oidc import Oidc, OidcProvider, _Discovered
from spaces_ctl.service.passwords import Passwords
from spaces_ctl.service.plays import Plays
from spaces_ctl.service.replays import Replays
from spaces_ctl.service.retention import Retention
from spaces_ctl.service.service_keys import ServiceKeys
from spaces_ctl.service.sessions import Sessions
from spaces_ctl.service.tokens import Tokens
from spaces_ctl.service.windows import Windows
from spaces_ctl.service.xapi import XApi
from tests.support.identity import Outbox

__all__ = ["GRAPH_KEY", "PROVIDER", "ROUTERS", "SILENT_PROVIDER", "Everything"]

ROUTERS: list[ControllerRouterHandler] = composition._ROUTERS
PROVIDER, SILENT_PROVIDER = "known", "silent"
"""One whose metadata are known; one where nobody listens."""
GRAPH_KEY = b"a key of the deployment's own graph"
_EASY = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_NOWHERE = "http://127.0.0.1:1"


class _NoCache:
    """Takes the place of a graph over HTTP where it is told that accounts have changed."""

    def invalidate(self, accounts: Any) -> None:
        self.told = list(accounts)


class ScriptedMedia:
    """The media worker's answers about recordings of which the host and Ann are to be heard."""

    def __init__(self) -> None:
        self.objects: Objects
        self.fails: MediaError | None = None

    async def ask(self, operation: str, request: Any, answer: Any, *, timeout_s: float = 30.0) -> Any:
        if self.fails is not None:
            raise self.fails
        match request:
            case WhoSpeaks():
                return Voices(mix=True, people=(Voice(account=1, spoke_ms=9_000), Voice(account=2, spoke_ms=4_000)))
            case ReviewTrack():
                return Sound(ogg=b"OggS of " + str(request.account).encode())
            case ExportBundle():
                await self.objects.put(request.name, b"PK of an archive")
                return Exported(bytes=16, files=("mix.opus", "metadata.json"))
            case Hear():
                segments = tuple(LiveSegment(number=number, samples=96_256) for number in (7, 8, 9))
                return Heard(segments=segments, over=False)
            case PieceOf(number=None):
                return Piece(data=b"....ftyp")
            case PieceOf(number=8):
                return Piece(data=b"....styp")
            case PieceOf():
                raise MediaError("source.gone", "live segment")
        raise AssertionError(operation)


class Everything:
    """All of it, on a world's database and clock."""

    def __init__(self, world: Any, tokens: Tokens) -> None:
        db, clock, self.settings = world.db, world.clock, world.settings
        url = self.settings.public_url
        self.graph = world.graph
        self.windows = Windows(clock)
        self.passwords = Passwords(_EASY)
        self.sessions = Sessions(db=db, clock=clock, passwords=self.passwords, windows=self.windows)
        self.sessions.on_end(tokens.sign_out)
        self.oauth = OAuth(db=db, clock=clock, apps=OAuthApps(db=db, clock=clock), issuer=url)
        self.service_keys = ServiceKeys(
            db=db, clock=clock, accounts=world.accounts, oauth=self.oauth, windows=self.windows, audience=[url]
        )
        self.authentication = Authentication(sessions=self.sessions, oauth=self.oauth, service_keys=self.service_keys)
        self.outbox = Outbox()
        self.email_links = EmailLinks(
            db=db,
            clock=clock,
            mailer=self.outbox,
            sessions=self.sessions,
            passwords=self.passwords,
            windows=self.windows,
            public_url=url,
        )
        self.oidc = Oidc(
            db=db,
            clock=clock,
            accounts=world.accounts,
            providers=[
                OidcProvider(name=name, issuer=f"{_NOWHERE}/{name}", client_id="spaces", client_secret="")
                for name in (PROVIDER, SILENT_PROVIDER)
            ],
            public_url=url,
        )
        self.oidc._discovered[PROVIDER] = _Discovered(
            issuer=f"{_NOWHERE}/{PROVIDER}",
            authorization_endpoint=f"{_NOWHERE}/authorize",
            token_endpoint=f"{_NOWHERE}/token",
            jwks_uri=f"{_NOWHERE}/jwks",
        )
        cache: Any = _NoCache()
        self.invalidations = Invalidations(cache, GRAPH_KEY)
        self.payments = SandboxPayments(secret=b"0123456789abcdef", base_url=f"{url}/sandbox-payments", return_url=url)
        self.around = Around.build(
            settings=AroundSettings(base_url=url),
            db=db,
            clock=clock,
            new_id=world.ids.next,
            spaces=world.spaces,
            engine=world.engine,
            graph=self.graph,
            accounts=world.accounts,
            joins=world.joins,
            space_name=wire.space_text,
            space_of=wire.space_id,
            payments=self.payments,
            mailer=self.outbox,
        )
        self.objects = Objects.memory()
        self.replays = Replays(
            objects=self.objects, spaces=world.spaces, reading=world.reading, graph=self.graph, db=db
        )
        self.payments.send = self.around.tickets.on_payment
        self.xapi = XApi(
            db=db,
            graph=self.graph,
            posts=self.around.posts,
            space_of=world.spaces.get,
            participants=lambda space: world.spaces.counters.audience(space).named,
        )

        self.recordings = FakeRecordings()
        self.clips = Clips(
            objects=self.objects,
            clock=clock,
            graph=self.graph,
            hiding=Hiding(graph=self.graph, clock=clock, muted_by=self.graph.muted_by),
            visible=world.reading.visible,
            check=world.spaces.check,
            cutter=self.recordings,
        )
        self.clip_pages = ClipPages(
            clips=self.clips,
            space_name=wire.space_text,
            space_of=wire.space_id,
            base_url=url,
        )
        self.media = ScriptedMedia()
        self.retention = Retention.build(
            db=db,
            clock=clock,
            new_id=world.ids.next,
            spaces=world.spaces,
            moderation=self.around.moderation,
            profiles=self.graph.profiles,
            tell=self.around.notifications.tell,
            objects=self.objects,
            spool=None,
            made_by=self.recordings,
            worker=self.media,
            space_name=wire.space_text,
            link_key=b"0123456789abcdef",
        )
        self.media.objects = self.objects
        self.broadcasts = Broadcasts(
            media=self.media,
            joins=world.joins,
            spaces=world.spaces,
            door=lambda: Door("127.0.0.1:4433", b"\1" * 32, "token"),
            links=self.retention.links,
            clock=clock,
        )
        self.plays = Plays(db=db, clock=clock, execute=world.spaces.execute)

    def injected(self) -> dict[str, Any]:
        """By the names under which handlers ask for them."""
        return {
            "api_settings": self.settings,
            "auth_rules": AuthRules(),
            "authentication": self.authentication,
            "csrf_tokens": CsrfTokens(b"0123456789abcdef"),
            "email_links": self.email_links,
            "graph": self.graph,
            "invalidations": self.invalidations,
            "oauth": self.oauth,
            "oidc": self.oidc,
            "passwords": self.passwords,
            "service_keys": self.service_keys,
            "sessions": self.sessions,
            **self.around.injected(),
            "clips": self.clips,
            "clip_pages": self.clip_pages,
            "plays": self.plays,
            "replays": self.replays,
            **self.retention.injected(),
            "broadcasts": self.broadcasts,
            "xapi": self.xapi,
            "x_rates": XRates(self.windows),
        }

    def root_routers(self) -> list[ControllerRouterHandler]:
        """Paths that others know."""
        from spaces_ctl.api.xapi import handlers

        return [*composition._ROOT_ROUTERS, self.payments.router(), handlers.router]

    async def react(self) -> None:
        """What follows from events is done: cases of reports, posts of clips, messages. Nothing is sent."""
        for reactor in (*self.around.reactors, *self.retention.reactors):
            await reactor.drain()

    def close(self) -> None:
        """Stops the password threads."""
        self.passwords.close()
