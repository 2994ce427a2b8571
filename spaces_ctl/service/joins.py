"""Who may come in, and with what: the answer of the API to somebody who wants to hear a Space.

The engine decides by itself, from the same tables, when the connection comes; here the person is told beforehand, and
given the address and the token. For a live Space of this process nothing is asked of the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from spaces_ctl import commands as c
from spaces_ctl.engine import space_name
from spaces_ctl.model import AccountId, Actor, Role, SpaceId, Status
from spaces_ctl.policy import Denied, decide, needs, role_of
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import MediaEngine, Profile, SocialGraph
from spaces_ctl.service.safety import facts_at_hand
from spaces_ctl.service.space_log import store_errors
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.service.tables import Audience
from spaces_ctl.service.tokens import Tokens

__all__ = ["Admission", "Joins", "Person", "RosterPage", "View"]

_INSIDE = frozenset({Role.HOST, Role.COHOST, Role.SPEAKER, Role.LISTENER})
_SAMPLE = 10


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What a client needs to connect."""

    urls: tuple[str, ...]
    """`https://host:port/spaces/<name>`, over QUIC and WebTransport."""
    certificate_sha256: bytes | None
    """To be pinned (`serverCertificateHashes`); None if the certificate is one that everybody trusts."""
    token: str
    expires_ms: int
    """Of the token. It limits admission only."""
    role: Role
    seat: int | None
    """On which to speak."""
    muted: bool
    notices: tuple[str, ...] = ()
    """For the person, before they come in."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in a Space, as one viewer sees them."""

    profile: Profile
    role: Role
    seat: int | None = None
    muted: bool = False
    away: bool = False
    blocked: bool = False
    """The viewer blocks them. Only the viewer sees this."""


class RosterPage(msgspec.Struct, frozen=True, kw_only=True):
    """Named listeners by account, after the stage, which is on the first page."""

    people: tuple[Person, ...]
    next: AccountId | None


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A look from outside."""

    space: Space
    people: tuple[Person, ...]
    """The stage and some of the named listeners."""
    audience: Audience
    notices: tuple[str, ...] = ()


class Joins:
    """Answers for one engine's Spaces."""

    def __init__(
        self,
        *,
        spaces: Spaces,
        engine: MediaEngine,
        graph: SocialGraph,
        tokens: Tokens,
        media_urls: tuple[str, ...],
        certificate_sha256: Callable[[], bytes | None],
    ) -> None:
        """`media_urls` are how clients reach the engine, best first: `https://HOST:PORT`, `wss://HOST:PORT`;
        `certificate_sha256` is what they have to pin at the moment of a join, None if nothing.
        """
        self._spaces = spaces
        self._engine = engine
        self._graph = graph
        self._tokens = tokens
        self._media_urls = media_urls
        self._certificate = certificate_sha256
        self.joined: Callable[[AccountId, SpaceId, bool], None] = lambda account, space, anonymous: None
        """Told of every account that is let in: (account, Space, unnamed)."""

    async def join(self, actor: Actor, space: SpaceId, session: str | None = None) -> Admission:
        """Whether somebody may come in, and how. `session` is the login session, so that signing out ends it.

        Raises ServiceError: the state's code, `participant.removed`, `participant.blocked_by_host`, `ticket.required`,
        `role.forbidden` (anonymous, but on stage), `space.not_found`.
        """
        state = await self._state(space)
        account = actor.account
        if actor.anonymous and (account is None or state.seat_of(account) is not None):
            raise ServiceError("role.forbidden", "Nobody speaks or holds a seat unnamed.")
        role = await self._check(state, actor)
        if account is None:
            token = self._tokens.guest()
        else:
            token = self._tokens.account(account, session, anonymous=actor.anonymous)
            self.joined(account, space, actor.anonymous)
        seat = state.seat_of(account)
        return Admission(
            urls=tuple(f"{url}/spaces/{space_name(space)}" for url in self._media_urls),
            certificate_sha256=self._certificate(),
            token=token.token,
            expires_ms=token.expires_ms,
            role=role,
            seat=seat.seat if seat is not None else None,
            muted=seat.muted if seat is not None else True,
            notices=await self._notices(state, account),
        )

    async def may_hear(self, actor: Actor, space: SpaceId) -> None:
        """Whether somebody would be let in now: for what is as good as hearing. Raises ServiceError, as `join`."""
        await self._check(await self._state(space), actor)

    async def peek(self, viewer: AccountId | None, space: SpaceId) -> View:
        """What somebody may see before coming in. Raises ServiceError."""
        state = await self._state(space)
        if state.status not in (Status.LIVE, Status.SCHEDULED):
            raise ServiceError(f"state.{state.status.value}")
        page = await self.roster(viewer, space, limit=_SAMPLE)
        return View(
            space=state,
            people=page.people,
            audience=self._spaces.counters.audience(space),
            notices=await self._notices(state, viewer),
        )

    async def roster(
        self, viewer: AccountId | None, space: SpaceId, *, after: AccountId = 0, limit: int = 100
    ) -> RosterPage:
        """The stage (on the first page) and named listeners by account, as `viewer` sees them. Raises ServiceError."""
        state = await self._state(space)
        stage = () if after else tuple(seat.account for seat in state.stage)
        listeners: list[AccountId] = []
        following: AccountId | None = None
        if state.status is Status.LIVE:
            page = await self._engine.roster(space, after=after, limit=limit)
            seated = {seat.account for seat in state.stage}
            listeners = [account for account, _ in page.listeners if account not in seated]
            following = page.next
        return RosterPage(people=await self._seen(state, viewer, (*stage, *listeners)), next=following)

    async def sign_out(self, session: str) -> None:
        """Ends every connection of a login session and lets none come again."""
        await self._tokens.sign_out(session)

    async def _state(self, space: SpaceId) -> Space:
        return self._spaces.live.get(space) or await self._spaces.get(space)

    async def _check(self, state: Space, actor: Actor) -> Role:
        here = [actor.account] if actor.account in state.here else []
        asked = needs(state, c.Join(), actor, self._spaces.limits)
        people = self._spaces.people.known(state.id)
        facts = facts_at_hand(asked, actor, c.Join(), people, here)
        facts = msgspec.structs.replace(facts, has_ticket=actor.account in people.tickets)
        decision = decide(state, c.Join(), actor, facts, self._spaces.limits, self._spaces.clock.now_ms())
        role = role_of(state, actor, facts)
        if isinstance(decision, Denied) and not (decision.code == "role.forbidden" and role in _INSIDE):
            raise ServiceError(decision.code, decision.detail)
        return Role.LISTENER if role is Role.OUTSIDER else role

    async def _notices(self, state: Space, viewer: AccountId | None) -> tuple[str, ...]:
        blocked = await self._blocked_by(viewer, (seat.account for seat in state.stage))
        if not blocked:
            return ()
        people = "1 person who is" if len(blocked) == 1 else f"{len(blocked)} people who are"
        return (f"You have blocked {people} speaking.",)

    async def _seen(
        self, state: Space, viewer: AccountId | None, accounts: tuple[AccountId, ...]
    ) -> tuple[Person, ...]:
        with store_errors():
            profiles = await self._graph.profiles(accounts)
        blocked = await self._blocked_by(viewer, accounts)
        return tuple(
            self._person(state, profiles[account], account in blocked) for account in accounts if account in profiles
        )

    async def _blocked_by(self, viewer: AccountId | None, accounts: Iterable[AccountId]) -> set[AccountId]:
        pairs = frozenset((viewer, account) for account in accounts if viewer is not None and account != viewer)
        if not pairs:
            return set()
        with store_errors():
            facts = await self._graph.facts(Needs(blocks=pairs), self._spaces.clock.now_ms())
        return {account for _, account in facts.blocks}

    def _person(self, state: Space, profile: Profile, blocked: bool) -> Person:
        seat = state.seat_of(profile.id)
        if seat is None:
            return Person(profile=profile, role=Role.LISTENER, blocked=blocked)
        return Person(
            profile=profile,
            role=Role(seat.role.value),
            seat=seat.seat,
            muted=seat.muted,
            away=seat.away,
            blocked=blocked,
        )
