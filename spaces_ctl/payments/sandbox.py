"""A payment provider that takes no money: its own checkout page, and signed messages like a real one's.

Messages are Standard Webhooks. What is being paid is inside the page's URL, signed, so that a restart forgets nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from litestar import MediaType, Router, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Redirect
from standardwebhooks import Webhook, WebhookVerificationError

from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import PaymentMessage, PaymentOrder

__all__ = ["SandboxPayments", "Send"]

Send = Callable[[Mapping[str, str], bytes], Awaitable[None]]
"""Hands a message to the receiver (an HTTP POST, or `Tickets.on_payment` itself). Raises if it was not taken."""

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sandbox payment</title><h1>Sandbox payment</h1><p>No money changes hands here.</p><p>{amount} {currency}</p>
<form method="post"><button name="outcome" value="paid">Pay</button>
<button name="outcome" value="failed">Decline</button></form>"""

_HEADERS = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'", "cache-control": "no-store"}


class SandboxPayments:
    """Implements `PaymentProvider`. `router` is the provider's web site, to be mounted anywhere."""

    def __init__(self, *, secret: bytes, base_url: str, return_url: str, send: Send | None = None) -> None:
        """`secret`: at least 16 bytes, signs both messages and pages. `base_url`: where `router` is reached.

        `return_url`: where the browser goes afterwards; `{order}` in it is the order's id. `send` may be set later.
        """
        if len(secret) < 16:
            raise ValueError("a secret of at least 16 bytes is needed")
        self._secret = secret
        self._webhook = Webhook(hashlib.sha256(b"messages" + secret).digest())
        self._base_url = base_url.rstrip("/")
        self._return_url = return_url
        self.send = send
        self.refunded: set[str] = set()

    async def checkout(self, order: PaymentOrder) -> str:
        """See `PaymentProvider`."""
        body = msgspec.json.encode(order)
        return f"{self._base_url}/{_text(self._mac(body) + body)}"

    def read(self, headers: Mapping[str, str], body: bytes) -> PaymentMessage:
        """See `PaymentProvider`. Messages are good for five minutes."""
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
            return msgspec.json.decode(body, type=PaymentMessage)
        except (WebhookVerificationError, msgspec.MsgspecError, binascii.Error, UnicodeDecodeError, ValueError):
            raise ServiceError("payment.invalid") from None

    async def refund(self, payment: str) -> None:
        """See `PaymentProvider`."""
        self.refunded.add(payment)

    def message(
        self, order: PaymentOrder, outcome: Literal["paid", "failed", "refunded"]
    ) -> tuple[dict[str, str], bytes]:
        """A signed message (headers, body) about an order."""
        said = PaymentMessage(
            order=order.order,
            payment=f"sandbox-{order.order}",
            outcome=outcome,
            amount_minor=order.price_minor,
            currency=order.currency,
        )
        body = msgspec.json.encode(said)
        now = datetime.now(UTC)
        id_ = f"pay_{order.order}_{outcome}"
        headers = {
            "webhook-id": id_,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(id_, now, body.decode()),
        }
        return headers, body

    def order_of(self, token: str) -> PaymentOrder:
        """What a page's URL says is to be paid. Raises ServiceError resource.not_found."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            if not hmac.compare_digest(raw[:16], self._mac(raw[16:])):
                raise ServiceError("resource.not_found")
            return msgspec.json.decode(raw[16:], type=PaymentOrder)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            raise ServiceError("resource.not_found") from None

    def router(self, path: str = "/sandbox-payments") -> Router:
        """The checkout page."""

        # `open`: the page is as foreign as a real provider's. It goes by the signed URL, whoever is signed in here.
        @get(
            "/{token:str}",
            media_type=MediaType.HTML,
            response_headers=_HEADERS,
            include_in_schema=False,
            opt={"open": True},
        )
        async def page(token: FromPath[str]) -> str:
            order = self.order_of(token)
            amount = f"{order.price_minor / 100:.2f}"
            return _PAGE.format(amount=amount, currency=html.escape(order.currency))

        @post("/{token:str}", include_in_schema=False, opt={"open": True})
        async def pay(
            token: FromPath[str], data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]
        ) -> Redirect:
            order = self.order_of(token)
            outcome = data.get("outcome")
            if outcome not in ("paid", "failed"):
                raise ServiceError("request.invalid", "outcome: paid or failed")
            if self.send is None:
                raise ServiceError("internal", "the sandbox does not know whom to tell")
            await self.send(*self.message(order, "paid" if outcome == "paid" else "failed"))
            return Redirect(self._return_url.replace("{order}", str(order.order)), status_code=303)

        return Router(path=path, route_handlers=[page, pay], tags=["payments"])

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, b"page" + body, "sha256")[:16]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
