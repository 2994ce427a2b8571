"""Webhooks (Standard Webhooks): who wants to be told, and delivery in order per Space, at least once.

`Webhooks` keeps the endpoints, `WebhookReaction` puts events of the log into lanes (one of each endpoint and Space) and
`WebhookSender` delivers each lane's first message until the receiver has it. https://www.standardwebhooks.com
"""

from __future__ import annotations

import asyncio
import base64
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import httpx
import msgspec
import sqlalchemy as sa
from standardwebhooks import Webhook

from spaces_ctl.clock import Clock
from spaces_ctl.events import Recorded
from spaces_ctl.model import SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.outbound import Outbound, Refused, check_url
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.reactor import Unit
from spaces_ctl.service.webhook_payload import KINDS, kind_of, payload
from spaces_ctl.store import webhooks as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.webhooks import Attempt, Claim, Endpoint, Message

__all__ = ["Endpoint", "WebhookReaction", "WebhookSender", "WebhookTimes", "Webhooks"]

GetSpace = Callable[[SpaceId], Awaitable[Space]]


class WebhookTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How patient we are."""

    first_retry_ms: int = 5_000
    """Doubles with every further try, ±25 % so that endpoints do not come back in step."""
    longest_retry_ms: int = 3 * 3_600_000
    give_up_ms: int = 5 * 86_400_000
    """After this a message is given up, and an endpoint that took nothing for so long is disabled."""
    claim_ms: int = 60_000
    """A delivery whose process died is repeated after this. Longer than a request may take."""
    rotation_ms: int = 86_400_000
    """How long the old secret signs beside the new one."""
    keep_ms: int = 30 * 86_400_000
    """How long the log of deliveries is kept."""


class Webhooks:
    """Endpoints of apps, operators and creators."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        new_id: Callable[[], int],
        spaces: GetSpace,
        times: WebhookTimes | None = None,
        plain_http: bool = False,
        most_endpoints: int = 20,
    ) -> None:
        """`spaces` answers with a Space (ServiceError space.not_found). `plain_http` allows http URLs."""
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._spaces = spaces
        self._times = times or WebhookTimes()
        self._plain_http = plain_http
        self._most = most_endpoints

    async def register(
        self, principal: Principal, url: str, events: Sequence[str] = (), space: SpaceId | None = None
    ) -> Endpoint:
        """A new endpoint with a secret of its own. Empty `events`: all that the owner may hear of.

        Operators and apps hear of all Spaces, an account of its own Space only (`space`). Raises ServiceError:
        request.invalid, role.forbidden, space.not_found, rate.limited (too many endpoints).
        """
        owner = _owner(principal)
        unknown = sorted(set(events) - KINDS.keys())
        if unknown:
            raise ServiceError("request.invalid", f"no such kind of event: {', '.join(unknown)}")
        try:
            check_url(url, plain_http=self._plain_http)
        except Refused as error:
            raise ServiceError("request.invalid", f"url: {error}") from None
        if owner.startswith("account:"):
            if space is None:
                raise ServiceError("request.invalid", "an account names the Space that it wants to hear of")
            if (await self._spaces(space)).creator != principal.account:
                raise ServiceError("role.forbidden")
        new = Endpoint(
            id=self._new_id(),
            owner=owner,
            space=space,
            url=url,
            events=tuple(sorted(set(events))),
            secrets=((_new_secret(), None),),
            created_ms=self._clock.now_ms(),
        )

        def write(c: sa.Connection) -> None:
            if len(store.endpoints(c, owner)) >= self._most:
                raise ServiceError("rate.limited", f"at most {self._most} endpoints")
            store.insert_endpoint(c, new)

        await self._db.write(write)
        return new

    async def list(self, principal: Principal) -> Sequence[Endpoint]:
        """The principal's own endpoints, secrets included."""
        owner = _owner(principal)
        return await self._db.read(lambda c: store.endpoints(c, owner))

    async def rotate(self, principal: Principal, endpoint: int) -> Endpoint:
        """A new secret; both sign until the old one's time is over. Raises ServiceError resource.not_found."""
        now = self._clock.now_ms()

        def renew(old: Endpoint) -> Endpoint:
            newest = old.secrets[0][0]
            return msgspec.structs.replace(
                old, secrets=((_new_secret(), None), (newest, now + self._times.rotation_ms))
            )

        return await self._change(principal, endpoint, renew)

    async def set_enabled(self, principal: Principal, endpoint: int, enabled: bool) -> Endpoint:
        """Stops deliveries, or goes on where they stopped. Raises ServiceError resource.not_found."""
        now = self._clock.now_ms()

        def switch(old: Endpoint) -> Endpoint:
            if enabled:
                return msgspec.structs.replace(old, disabled_ms=None, disabled_why="", failing_since_ms=None)
            return msgspec.structs.replace(old, disabled_ms=now, disabled_why="by its owner")

        return await self._change(principal, endpoint, switch)

    async def delete(self, principal: Principal, endpoint: int) -> None:
        """Forgets the endpoint. Raises ServiceError resource.not_found."""

        def write(c: sa.Connection) -> None:
            store.delete_endpoint(c, self._own(c, principal, endpoint).id)

        await self._db.write(write)

    async def messages(
        self, principal: Principal, endpoint: int, before: int | None = None, limit: int = 50
    ) -> Sequence[Message]:
        """What went or goes to the endpoint, latest first. Raises ServiceError resource.not_found."""
        return await self._db.read(
            lambda c: store.messages(c, self._own(c, principal, endpoint).id, before, min(limit, 200))
        )

    async def attempts(self, principal: Principal, endpoint: int, limit: int = 50) -> Sequence[Attempt]:
        """The latest requests and their outcome. Raises ServiceError resource.not_found."""
        return await self._db.read(lambda c: store.attempts(c, self._own(c, principal, endpoint).id, min(limit, 200)))

    async def redeliver(self, principal: Principal, endpoint: int, sequence: int) -> None:
        """Sends a message once more, with the same id. Raises ServiceError resource.not_found."""
        now = self._clock.now_ms()

        def write(c: sa.Connection) -> None:
            if not store.requeue(c, self._own(c, principal, endpoint).id, sequence, now):
                raise ServiceError("resource.not_found")

        await self._db.write(write)

    async def _change(self, principal: Principal, endpoint: int, change: Callable[[Endpoint], Endpoint]) -> Endpoint:
        def write(c: sa.Connection) -> Endpoint:
            changed = change(self._own(c, principal, endpoint))
            store.change_endpoint(c, changed)
            return changed

        return await self._db.write(write)

    def _own(self, c: sa.Connection, principal: Principal, endpoint: int) -> Endpoint:
        found = store.endpoint(c, endpoint)
        if found is None or (found.owner != _owner(principal) and not principal.operator):
            raise ServiceError("resource.not_found")
        return found


class WebhookReaction:
    """Puts events into the lanes of those who want them."""

    def __init__(self, *, db: Database, spaces: GetSpace, space_name: Callable[[SpaceId], str]) -> None:
        """`space_name` renders a Space's id for the wire."""
        self._db = db
        self._spaces = spaces
        self._space_name = space_name

    async def prepare(self, events: Sequence[Recorded]) -> Unit:
        """See `Reaction`."""
        touched = {recorded.space for recorded in events}
        endpoints = await self._db.read(lambda c: store.listening(c, touched))
        if not endpoints:
            return lambda c: None
        # Only when somebody listens: a Space is folded from its log to know when it became public.
        states = {space: await self._spaces(space) for space in sorted(touched)}
        messages = [
            self._message(endpoint, recorded, body)
            for recorded in events
            for endpoint in endpoints
            if _hears(endpoint, recorded, states[recorded.space])
            if (body := payload(recorded, self._space_name(recorded.space), endpoint.owner)) is not None
        ]
        return lambda c: store.enqueue(c, messages)

    def _message(self, endpoint: Endpoint, recorded: Recorded, body: str) -> Message:
        return Message(
            endpoint=endpoint.id,
            sequence=recorded.sequence,
            space=recorded.space,
            kind=kind_of(recorded.event),
            body=body,
            state="pending",
            created_ms=recorded.at_ms,
        )


class WebhookSender:
    """Delivers. `step` sends one message; run as many of them at the same time as may be under way."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        outbound: Outbound,
        times: WebhookTimes | None = None,
        rng: random.Random | None = None,
        disabled: Callable[[Endpoint], Awaitable[None]] | None = None,
        most_per_endpoint: int = 4,
    ) -> None:
        """`disabled` is told of an endpoint that was given up (the notice to its owner).

        `most_per_endpoint`: requests under way to one endpoint, so that a slow one does not take every place.
        """
        self._db = db
        self._clock = clock
        self._outbound = outbound
        self._times = times or WebhookTimes()
        self._rng = rng or random.Random()
        self._disabled = disabled
        self._most = most_per_endpoint
        self._under_way: Counter[int] = Counter()
        self._claiming = asyncio.Lock()
        self._forgotten_ms = 0

    async def step(self) -> bool:
        """Sends the first message of the lane that has waited longest; False if none is due."""
        now = self._clock.now_ms()
        if now - self._forgotten_ms >= 3_600_000:
            self._forgotten_ms = now
            await self._db.write(lambda c: store.forget_before(c, now - self._times.keep_ms))
        async with self._claiming:
            busy = [endpoint for endpoint, count in self._under_way.items() if count >= self._most]
            claim = await self._db.write(lambda c: store.claim_due(c, now, now + self._times.claim_ms, busy))
            if claim is None:
                return False
            self._under_way[claim.endpoint.id] += 1
        try:
            await self._deliver(claim)
        finally:
            self._under_way[claim.endpoint.id] -= 1
            self._under_way += Counter()  # drops those that are zero
        return True

    async def _deliver(self, claim: Claim) -> None:
        began = self._clock.now_ms()
        status: int | None = None
        error = ""
        retry_after_s: float | None = None
        try:
            headers = self._signed(claim, began)
            status, retry_after_s = await self._outbound.post(claim.endpoint.url, claim.message.body.encode(), headers)
        except (Refused, OSError, TimeoutError, httpx.HTTPError) as failure:
            error = f"{type(failure).__name__}: {failure}"[:255]
        now = self._clock.now_ms()
        attempt = Attempt(sequence=claim.message.sequence, at_ms=now, status=status, error=error, took_ms=now - began)
        if status is not None and 200 <= status < 300:
            await self._db.write(lambda c: store.book_delivered(c, claim, attempt))
            return
        await self._failed(claim, attempt, retry_after_s)

    async def _failed(self, claim: Claim, attempt: Attempt, retry_after_s: float | None) -> None:
        now = attempt.at_ms
        since = claim.message.first_try_ms
        given_up = since is not None and now - since >= self._times.give_up_ms
        retry_ms = None if given_up else now + self._pause_ms(claim.tries, retry_after_s)
        why = ""
        failing = claim.endpoint.failing_since_ms
        if attempt.status == 410:
            why = "answered 410 Gone"
        elif given_up and failing is not None and now - failing >= self._times.give_up_ms:
            why = f"took nothing for {self._times.give_up_ms // 86_400_000} days"

        def write(c: sa.Connection) -> Endpoint | None:
            # A disabled endpoint loses nothing: its lanes wait for it to be enabled again.
            store.book_failed(c, claim, attempt, now if why else retry_ms)
            current = store.endpoint(c, claim.endpoint.id)
            if not why or current is None or current.disabled_ms is not None:
                return None
            changed = msgspec.structs.replace(current, disabled_ms=now, disabled_why=why)
            store.change_endpoint(c, changed)
            return changed

        dead = await self._db.write(write)
        if dead is not None and self._disabled is not None:
            await self._disabled(dead)

    def _pause_ms(self, tries: int, retry_after_s: float | None) -> int:
        pause = min(self._times.first_retry_ms << min(tries, 30), self._times.longest_retry_ms)
        asked = min(round((retry_after_s or 0) * 1000), self._times.longest_retry_ms)
        return max(round(pause * self._rng.uniform(0.75, 1.25)), asked)

    def _signed(self, claim: Claim, now_ms: int) -> dict[str, str]:
        id_ = f"evt_{claim.message.sequence}"
        moment = datetime.fromtimestamp(now_ms // 1000, UTC)
        valid = [secret for secret, until in claim.endpoint.secrets if until is None or until > now_ms]
        signatures = [Webhook(secret).sign(id_, moment, claim.message.body) for secret in valid]
        return {
            "content-type": "application/json",
            "user-agent": "spaces-webhooks/1",
            "webhook-id": id_,
            "webhook-timestamp": str(now_ms // 1000),
            "webhook-signature": " ".join(signatures),
        }


def _hears(endpoint: Endpoint, recorded: Recorded, state: Space) -> bool:
    if endpoint.space not in (None, recorded.space) or recorded.at_ms < endpoint.created_ms:
        return False
    if endpoint.events and kind_of(recorded.event) not in endpoint.events:
        return False
    return not endpoint.owner.startswith("app:") or _public(recorded, state)


def _public(recorded: Recorded, state: Space) -> bool:
    # A lobby is not public, nor is what happened in it before the start.
    if state.scheduled_start_ms is not None:
        return True
    return state.started_ms is not None and recorded.at_ms >= state.started_ms


def _owner(principal: Principal) -> str:
    if principal.operator:
        return "operator"
    if principal.account is not None:
        return f"account:{principal.account}"
    if principal.app is not None:
        return f"app:{principal.app}"
    raise ServiceError("auth.token_missing")


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
