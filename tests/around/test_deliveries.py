from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from email import message_from_string
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from spaces_ctl.clock import ManualClock, SystemClock
from spaces_ctl.model import AccountId
from spaces_ctl.service.deliveries import Deliveries, Sent, WebPush
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.mail import SmtpMailer
from spaces_ctl.service.notifications import Notifications
from spaces_ctl.service.outbound import Outbound
from spaces_ctl.service.ports import Principal
from spaces_ctl.store.database import Database
from spaces_ctl.store.notifications import Notice, PushSubscription, Settings
from tests.support.patience import PATIENCE_S

ME = Principal(account=2)
NOTICE = Notice(
    kind="invited_to_speak", source="event:1", space=5, by=1, data={"title": "Talk\r\nBcc: all@example.com"}
)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Browser:
    """The keys of a browser that subscribed (RFC 8291)."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = b"0123456789abcdef"

    @property
    def p256dh(self) -> str:
        return b64(self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    def read(self, body: bytes) -> bytes:
        plain: bytes = http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        return plain


class PushService:
    """Takes what is pushed."""

    def __init__(self) -> None:
        self.sent: list[tuple[PushSubscription, bytes]] = []
        self.answer: Sent | OSError = Sent(ok=True)

    async def push(self, to: PushSubscription, payload: bytes) -> Sent:
        self.sent.append((to, payload))
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


class Mailbox:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []

    async def send(self, to: str, subject: str, text: str) -> None:
        self.sent.append((to, subject, text))


@pytest.fixture
def notifications(db: Database, clock: ManualClock, new_id: Callable[[], int]) -> Notifications:
    return Notifications(db=db, clock=clock, new_id=new_id)


@pytest.fixture
def pusher() -> PushService:
    return PushService()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def deliveries(db: Database, clock: ManualClock, pusher: PushService, mailbox: Mailbox) -> Deliveries:
    async def email_of(account: AccountId) -> str | None:
        return "two@example.com" if account == 2 else None

    async def name_of(account: AccountId) -> str:
        return "Ann"

    return Deliveries(
        db=db,
        clock=clock,
        pusher=pusher,
        mailer=mailbox,
        email_of=email_of,
        name_of=name_of,
        link_of=lambda told: f"https://spaces.example/s/{told.space}",
        tries=3,
    )


async def subscribe(notifications: Notifications, who: Principal = ME, number: int = 1) -> PushSubscription:
    browser = Browser()
    return await notifications.subscribe_push(who, f"https://push.example/{number}", browser.p256dh, b64(browser.auth))


async def deliver(deliveries: Deliveries) -> None:
    while await deliveries.step():
        pass


async def test_every_browser_gets_a_push_and_mail_goes_to_those_who_want_it(
    notifications: Notifications, deliveries: Deliveries, pusher: PushService, mailbox: Mailbox
) -> None:
    await subscribe(notifications, number=1)
    await subscribe(notifications, number=2)
    await notifications.change_settings(ME, Settings(email=True))
    await notifications.tell([2], NOTICE)
    await notifications.tell([2], NOTICE)
    await deliver(deliveries)
    assert sorted(to.endpoint for to, _ in pusher.sent) == ["https://push.example/1", "https://push.example/2"]
    assert b"Ann invites you to speak in Talk" in pusher.sent[0][1]
    [(to, subject, text)] = mailbox.sent
    assert to == "two@example.com"
    assert subject == "Ann invites you to speak in Talk Bcc: all@example.com", "a title makes no header"
    assert "https://spaces.example/s/5" in text


async def test_who_wants_neither_push_nor_mail_gets_neither(
    notifications: Notifications, deliveries: Deliveries, pusher: PushService, mailbox: Mailbox
) -> None:
    await subscribe(notifications)
    await notifications.change_settings(ME, Settings(push=False))
    await notifications.tell([2], NOTICE)
    await deliver(deliveries)
    assert pusher.sent == []
    assert mailbox.sent == []
    assert len(await notifications.page(ME)) == 1


async def test_a_browser_that_is_gone_is_forgotten(
    notifications: Notifications, deliveries: Deliveries, pusher: PushService
) -> None:
    await subscribe(notifications)
    pusher.answer = Sent(ok=False, gone=True)
    await notifications.tell([2], NOTICE)
    await deliver(deliveries)
    assert await notifications.push_subscriptions(ME) == []


async def test_a_push_service_that_fails_is_tried_again_later_and_not_for_ever(
    notifications: Notifications, deliveries: Deliveries, pusher: PushService, clock: ManualClock
) -> None:
    await subscribe(notifications)
    await notifications.tell([2], NOTICE)
    pusher.answer = OSError("no route")
    for expected, pause in ((1, 29_999), (1, 1), (2, 60_000), (3, 10_000_000)):
        await deliver(deliveries)
        assert len(pusher.sent) == expected
        clock.advance(ms=pause)
    await deliver(deliveries)
    assert len(pusher.sent) == 3


async def test_a_kill_while_sending_sends_again_after_the_claim(
    notifications: Notifications,
    deliveries: Deliveries,
    pusher: PushService,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await subscribe(notifications)
    await notifications.tell([2], NOTICE)
    hangs = asyncio.Event()
    original = pusher.push

    async def hang(to: PushSubscription, payload: bytes) -> Sent:
        await original(to, payload)
        hangs.set()
        await asyncio.Event().wait()
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(pusher, "push", hang)
        killed = asyncio.create_task(deliveries.step())
        await asyncio.wait_for(hangs.wait(), PATIENCE_S)
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
    await deliver(deliveries)
    assert len(pusher.sent) == 1
    clock.advance(ms=120_000)
    await deliver(deliveries)
    assert len(pusher.sent) == 2


async def test_a_browser_that_changes_hands_leaves_the_first_account(notifications: Notifications) -> None:
    await subscribe(notifications)
    await subscribe(notifications, Principal(account=3))
    assert await notifications.push_subscriptions(ME) == []
    [moved] = await notifications.push_subscriptions(Principal(account=3))
    with pytest.raises(ServiceError):
        await notifications.unsubscribe_push(ME, moved.id)
    await notifications.unsubscribe_push(Principal(account=3), moved.id)


@pytest.mark.parametrize("endpoint", ["http://push.example/", "https://a:b@push.example/", "nonsense"])
async def test_a_push_endpoint_has_to_be_https(notifications: Notifications, endpoint: str) -> None:
    with pytest.raises(ServiceError) as refused:
        await notifications.subscribe_push(ME, endpoint, "A" * 87, "A" * 22)
    assert refused.value.code == "request.invalid"


@pytest.fixture
async def wire() -> AsyncIterator[dict[str, Any]]:
    got: dict[str, Any] = {"status": 201}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
        got["headers"] = {name.lower(): value for name, _, value in lines}
        got["body"] = await reader.readexactly(int(got["headers"]["content-length"]))
        writer.write(f"HTTP/1.1 {got['status']} X\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    got["port"] = server.sockets[0].getsockname()[1]
    yield got
    server.close()
    await server.wait_closed()


async def test_a_push_message_is_encrypted_for_the_browser_and_signed_by_us(wire: dict[str, Any]) -> None:
    browser = Browser()
    private = ec.generate_private_key(ec.SECP256R1())
    key = b64(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    async with Outbound(allow=["127.0.0.0/8"], plain_http=True) as outbound:
        push = WebPush(private_key=key, contact="mailto:ops@example.com", outbound=outbound, clock=SystemClock())
        to = PushSubscription(
            id=1,
            account=2,
            endpoint=f"http://127.0.0.1:{wire['port']}/p",
            p256dh=browser.p256dh,
            auth=b64(browser.auth),
            created_ms=0,
        )
        assert await push.push(to, b'{"kind":"x"}') == Sent(ok=True)
        assert browser.read(wire["body"]) == b'{"kind":"x"}'
        assert wire["headers"]["content-encoding"] == "aes128gcm"
        assert wire["headers"]["authorization"].startswith("vapid t=")
        point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        assert push.public_key == b64(point)
        assert push.public_key in wire["headers"]["authorization"]
        for status, sent in ((404, Sent(ok=False, gone=True)), (410, Sent(ok=False, gone=True)), (500, Sent(ok=False))):
            wire["status"] = status
            assert await push.push(to, b"{}") == sent
    async with Outbound(plain_http=True) as strict:
        push = WebPush(private_key=key, contact="mailto:ops@example.com", outbound=strict, clock=SystemClock())
        assert (await push.push(to, b"{}")).gone, "an endpoint inside our network is never asked"


def test_a_vapid_key_that_is_none_is_said_at_the_start() -> None:
    with pytest.raises(ValueError, match="VAPID"):
        WebPush(private_key="nonsense", contact="mailto:a@b", outbound=Outbound(), clock=SystemClock())


async def test_mail_goes_by_smtp_and_a_refusal_is_an_oserror() -> None:
    mails: list[str] = []
    refuse = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := (await reader.readline()).decode():
            verb = line[:4].upper()
            if verb == "DATA":
                writer.write(b"354 go on\r\n")
                mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                writer.write(b"250 ok\r\n")
            elif verb == "RCPT" and refuse:
                writer.write(b"550 nobody\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    mailer = SmtpMailer(
        host="127.0.0.1", port=server.sockets[0].getsockname()[1], sender="spaces@example.com", security="none"
    )
    try:
        await mailer.send("two@example.com", "Grüße", "Hello\n")
        mail = message_from_string(mails[0])
        assert mail["To"] == "two@example.com"
        assert mail["Auto-Submitted"] == "auto-generated"
        refuse = True
        with pytest.raises(OSError, match="127"):
            await mailer.send("nobody@example.com", "x", "y")
    finally:
        server.close()
        await server.wait_closed()
