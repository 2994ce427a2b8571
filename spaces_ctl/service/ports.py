"""What the service needs from outside, as interfaces: graph, engine, event bus, recordings, payments, messages.

Each has an implementation in the wheel and a deployment may bring its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

import msgspec

from spaces_ctl.engine import Applied, Command, Counts, EngineError, Event, Roster
from spaces_ctl.events import Recorded
from spaces_ctl.model import AccountId, Actor, ClientClass, CommunityRole, SpaceId
from spaces_ctl.policy.facts import AccountFacts, Needs

__all__ = [
    "CaptionTrack",
    "EventBus",
    "GraphFacts",
    "Mailer",
    "MediaEngine",
    "PaymentMessage",
    "PaymentOrder",
    "PaymentProvider",
    "Principal",
    "Profile",
    "Recordings",
    "SocialGraph",
]


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who makes an API request, as the request's credentials show."""

    account: AccountId | None = None
    """None: a guest, or an app without a user."""
    moderator: bool = False
    operator: bool = False
    """May use the operator's endpoints (a service key, or the CLI)."""
    scopes: frozenset[str] = frozenset()
    """OAuth 2 scopes; `*` for a person's own session."""
    app: str | None = None
    """The OAuth client or service key."""
    session: str | None = None
    """Login session, for logging out."""
    client: ClientClass = ClientClass.API

    def actor(self, *, anonymous: bool = False) -> Actor:
        """The policy's view."""
        return Actor(account=self.account, anonymous=anonymous, moderator=self.moderator, client=self.client)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """An account as others see it."""

    id: AccountId
    handle: str
    """Unique, lower case, `^[a-z0-9_]{1,15}$`."""
    name: str
    description: str = ""
    picture: str = ""
    """URL."""
    protected: bool = False
    listening_visible: bool = True
    created_ms: int = 0


class GraphFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The graph's part of `policy.facts.Facts`; `AccountFacts.present` and `anonymous` are left to the engine."""

    accounts: dict[AccountId, AccountFacts] = {}
    blocks: frozenset[tuple[AccountId, AccountId]] = frozenset()
    follows: frozenset[tuple[AccountId, AccountId]] = frozenset()
    community_role: CommunityRole = CommunityRole.NONE


class SocialGraph(Protocol):
    """Accounts and how they stand to each other. Embedded (`service.graph`), or a deployment's own over HTTP."""

    async def facts(self, needs: Needs, now_ms: int) -> GraphFacts:
        """Answers what `needs` asks of the graph, in one call."""
        ...

    async def blocked_by(self, owner: AccountId) -> Sequence[AccountId]:
        """Everybody whom `owner` blocks."""
        ...

    async def following(self, account: AccountId) -> Sequence[AccountId]:
        """Whom `account` follows."""
        ...

    async def followers(self, account: AccountId, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        """Who follows `account`, ascending, a page."""
        ...

    async def profiles(self, accounts: Iterable[AccountId]) -> dict[AccountId, Profile]:
        """Profiles of those that exist."""
        ...

    async def by_handle(self, handles: Iterable[str]) -> dict[str, Profile]:
        """Profiles by handle, of those that exist."""
        ...

    async def community_members(self, community: int, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        """Members of a community, ascending, a page."""
        ...

    async def community_roles(self, community: int, accounts: Iterable[AccountId]) -> dict[AccountId, CommunityRole]:
        """Roles in a community, of those who have one."""
        ...


class MediaEngine(Protocol):
    """What the service uses of `spaces_ctl.engine.Engine`."""

    async def apply(self, command: Command) -> Applied:
        """Carries a command out on every shard."""
        ...

    async def apply_all(self, commands: Iterable[Command]) -> list[Applied | EngineError]:
        """Carries out many in order, one answer each."""
        ...

    async def roster(self, space: SpaceId, *, after: AccountId = 0, limit: int = 100) -> Roster:
        """A page of the people who are there by name."""
        ...

    async def present(self, space: SpaceId, accounts: Iterable[AccountId], *, unnamed: bool = False) -> set[AccountId]:
        """Which of these accounts are connected now, under their names (`unnamed`: anonymously)."""
        ...

    async def react(self, space: SpaceId, account: AccountId, index: int) -> None:
        """A reaction of somebody who is there. Raises `Refused`."""
        ...

    async def kick(self, space: SpaceId, account: AccountId) -> Applied:
        """Closes every session of the account in the Space."""
        ...

    async def counts(self, space: SpaceId) -> Counts | None:
        """People connected now."""
        ...

    def events(self) -> AsyncIterator[list[Event]]:
        """Batches of events."""
        ...


class CaptionTrack(Protocol):
    """What `service.captions` uses of the engine."""

    async def caption(self, space: SpaceId, seat: int, generation: int, payload: bytes) -> None:
        """Puts a line on the `captions` track. Raises Refused if the seat's captions are not allowed."""
        ...


class EventBus(Protocol):
    """Tells committed events to whoever listens, in this process and (PostgreSQL) others; in order per Space."""

    async def publish(self, events: Sequence[Recorded]) -> None:
        """After the commit. Never waits for a subscriber."""
        ...

    def subscribe(self, space: SpaceId | None = None) -> AbstractAsyncContextManager[AsyncIterator[Recorded]]:
        """Events from now on, of one Space or of all. A subscriber who is too slow gets its iterator ended."""
        ...


class Recordings(Protocol):
    """Replays, clips and review copies (`service.recordings`; `service.fakes` has one for tests).

    Every call may be repeated after a crash, and looks at the Space as it is now: what is done, or not wanted any more,
    is not done again. Each raises MediaError: nothing, or only a part, is done; it is to be called again.
    """

    async def follow(self, space: SpaceId) -> None:
        """The Space is live and is recorded, kept for review or may be clipped; or what of it has changed."""
        ...

    async def finalize(self, space: SpaceId) -> int:
        """The Space is over: completes what was recorded and makes the replay available, if it was public.

        Returns the replay's length in milliseconds, 0 if there is none.
        """
        ...

    async def cut(self, space: SpaceId, clip: int, start_ms: int, end_ms: int, *, last_try: bool = False) -> None:
        """Makes a clip's audio. `last_try`: if its source is gone, the clip is marked as failed instead of raising."""
        ...

    async def complete(self, space: SpaceId) -> None:
        """The replay is available: makes what nobody had to wait for (the download in AAC)."""
        ...

    async def trim(self, space: SpaceId, start_ms: int) -> None:
        """The replay begins later, `start_ms` after its recording did."""
        ...

    async def delete_clip(self, space: SpaceId, clip: int) -> None:
        """Deletes a clip's audio."""
        ...

    async def delete_replay(self, space: SpaceId) -> None:
        """Takes the public copy away; clips and the review copy stay."""
        ...

    async def purge(self, space: SpaceId) -> None:
        """Deletes what was recorded, in the spool and in the store; the replay and clips are not of it."""
        ...


class PaymentOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody is to pay."""

    order: int
    """Our id of it; the provider's messages carry it."""
    space: SpaceId
    account: AccountId
    price_minor: int
    """In the currency's minor unit (cents)."""
    currency: str
    """ISO 4217, upper case."""
    expires_ms: int
    """The seat is held until then."""


class PaymentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider says of an order."""

    order: int
    payment: str
    """The provider's reference."""
    outcome: Literal["paid", "failed", "refunded"]
    amount_minor: int
    currency: str


class PaymentProvider(Protocol):
    """Sells tickets. A sandbox provider is included (`payments.sandbox`)."""

    async def checkout(self, order: PaymentOrder) -> str:
        """A URL at which the account pays; the provider's message tells the outcome."""
        ...

    def read(self, headers: Mapping[str, str], body: bytes) -> PaymentMessage:
        """Reads a message. Raises ServiceError payment.invalid for one that the provider did not send, or long ago."""
        ...

    async def refund(self, payment: str) -> None:
        """Gives the money back; again for the same payment: nothing more. Raises OSError."""
        ...


class Mailer(Protocol):
    """Sends e-mail (SMTP, or nowhere)."""

    async def send(self, to: str, subject: str, text: str) -> None:
        """Sends one message. Raises OSError."""
        ...
