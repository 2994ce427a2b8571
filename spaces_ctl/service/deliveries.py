"""Sends notifications out: web push (RFC 8030, 8291, 8292) and e-mail.

At least once: a message is done when the push service or the mail server took it. A browser that is gone (404, 410) is
forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urlsplit

import httpx
import msgspec
from py_vapid import Vapid02

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId
from spaces_ctl.service.notices import KINDS
from spaces_ctl.service.outbound import Outbound, Refused
from spaces_ctl.service.ports import Mailer
from spaces_ctl.store import notifications as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.notifications import Delivery, Notification, PushSubscription

__all__ = ["Deliveries", "Pusher", "Sent", "WebPush"]

_log = logging.getLogger(__name__)
_CLAIM_MS = 120_000
_FIRST_RETRY_MS = 30_000


class Sent(msgspec.Struct, frozen=True):
    """What came of one message."""

    ok: bool
    gone: bool = False
    """There is nobody any more; do not try again."""


class Pusher(Protocol):
    """Sends one push message."""

    async def push(self, to: PushSubscription, payload: bytes) -> Sent:
        """Raises OSError, TimeoutError."""
        ...


class WebPush:
    """Encrypts for the browser, signs with our VAPID key and hands over to the push service."""

    def __init__(
        self, *, private_key: str, contact: str, outbound: Outbound, clock: Clock, ttl_s: int = 4 * 3600
    ) -> None:
        """`private_key`: P-256, base64url of DER or raw. `contact`: a `mailto:` or `https:` URL for the push services.

        `ttl_s`: for how long the push service keeps a message for a browser that is off. Raises ValueError.
        """
        try:
            self._vapid = Vapid02.from_string(private_key)
        except Exception as error:
            raise ValueError(f"not a VAPID private key: {error}") from None
        self._contact = contact
        self._outbound = outbound
        self._clock = clock
        self._ttl_s = ttl_s

    @property
    def public_key(self) -> str:
        """What browsers need to subscribe (`applicationServerKey`), base64url of the uncompressed point."""
        from base64 import urlsafe_b64encode

        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        point = self._vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return urlsafe_b64encode(point).rstrip(b"=").decode()

    async def push(self, to: PushSubscription, payload: bytes) -> Sent:
        """See `Pusher`."""
        # It brings two more HTTP clients: a third of the time to start, paid by who pushes alone.
        from pywebpush import WebPushException

        try:
            # Elliptic curves take a millisecond or so: not in the loop.
            headers, body = await asyncio.to_thread(self._seal, to, payload)
        except (WebPushException, ValueError) as error:
            _log.info("push subscription %d cannot be used: %s", to.id, error)
            return Sent(ok=False, gone=True)
        try:
            answer = await self._outbound.post(to.endpoint, body, headers)
        except Refused as error:
            _log.info("push subscription %d: %s", to.id, error)
            return Sent(ok=False, gone=True)
        except httpx.HTTPError as error:
            raise OSError(str(error)) from error
        return Sent(ok=200 <= answer.status < 300, gone=answer.status in (404, 410))

    def _seal(self, to: PushSubscription, payload: bytes) -> tuple[dict[str, str], bytes]:
        from pywebpush import WebPusher

        keys = {"p256dh": to.p256dh, "auth": to.auth}
        sealed = WebPusher({"endpoint": to.endpoint, "keys": keys}).encode(payload)
        target = urlsplit(to.endpoint)
        claims = {
            "sub": self._contact,
            "aud": f"{target.scheme}://{target.netloc}",
            "exp": str(self._clock.now_ms() // 1000 + 12 * 3600),
        }
        headers = {name.lower(): value for name, value in self._vapid.sign(claims).items()}
        headers |= {
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(self._ttl_s),
            "urgency": "normal",
        }
        return headers, sealed["body"]


class Deliveries:
    """Sends what is due."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        pusher: Pusher | None,
        mailer: Mailer | None,
        email_of: Callable[[AccountId], Awaitable[str | None]],
        name_of: Callable[[AccountId], Awaitable[str]],
        link_of: Callable[[Notification], str],
        at_once: int = 16,
        tries: int = 6,
    ) -> None:
        """None for a channel that the deployment does not have. `email_of`: a verified address, or None.

        `link_of`: the URL that opens what it is about. `tries`: then a message is given up.
        """
        self._db = db
        self._clock = clock
        self._pusher = pusher
        self._mailer = mailer
        self._email_of = email_of
        self._name_of = name_of
        self._link_of = link_of
        self._at_once = at_once
        self._tries = tries

    async def step(self) -> bool:
        """Sends some of what is due, side by side; False if nothing is."""
        now = self._clock.now_ms()
        claimed = await self._db.write(lambda c: store.claim_deliveries(c, now, now + _CLAIM_MS, self._at_once))
        await asyncio.gather(*(self._deliver(delivery) for delivery in claimed))
        return bool(claimed)

    async def _deliver(self, delivery: Delivery) -> None:
        about = delivery.notification
        try:
            sent = await (self._push(delivery) if delivery.channel == "push" else self._mail(about))
        except (OSError, TimeoutError) as error:
            _log.info("notification %d by %s: %s", about.id, delivery.channel, error)
            sent = Sent(ok=False)
        if sent.gone and delivery.channel == "push":
            await self._db.write(lambda c: store.drop_subscription(c, delivery.target))
        if sent.ok or sent.gone or delivery.tries + 1 >= self._tries:
            await self._db.write(lambda c: store.finish_delivery(c, about.id, delivery.channel, delivery.target))
            return
        due = self._clock.now_ms() + (_FIRST_RETRY_MS << delivery.tries)
        await self._db.write(lambda c: store.postpone_delivery(c, delivery, due))

    async def _push(self, delivery: Delivery) -> Sent:
        to = await self._db.read(lambda c: store.subscription(c, delivery.target))
        if to is None or self._pusher is None:
            return Sent(ok=False, gone=True)
        about = delivery.notification
        body = {
            "id": str(about.id),
            "kind": about.kind,
            "text": await self._text(about),
            "url": self._link_of(about),
        }
        return await self._pusher.push(to, msgspec.json.encode(body))

    async def _mail(self, about: Notification) -> Sent:
        to = await self._email_of(about.account) if self._mailer is not None else None
        if to is None or self._mailer is None:
            return Sent(ok=False, gone=True)
        text = await self._text(about)
        await self._mailer.send(to, text, f"{text}\n\n{self._link_of(about)}\n")
        return Sent(ok=True)

    async def _text(self, about: Notification) -> str:
        by = await self._name_of(about.by) if about.by is not None else "Somebody"
        # A title is somebody else's text: one line, nothing that a mail header would take for its end.
        title = " ".join(str(about.data.get("title") or "a Space").split())
        return KINDS.get(about.kind, about.kind).format(by=" ".join(by.split()), title=title)
