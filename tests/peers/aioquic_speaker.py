"""A speaker made of aioquic and the drafts alone: a test knows every byte that it publishes on its seat."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

from aioquic.asyncio.client import connect
from aioquic.quic.configuration import QuicConfiguration

from tests.peers import wire
from tests.peers.aioquic_listener import Refused, Way
from tests.peers.messages import Messages
from tests.peers.transport import Hooks, Incoming, MoqTransport
from tests.support.patience import PATIENCE_S

FRAME = 960


class Speaking:
    """A seat that the server has subscribed to."""

    def __init__(self, session: "_Session", group: int) -> None:
        self._session = session
        self.group = group

    def say(self, opus: bytes, *, level: int = 30, start: bool = False, end: bool = False) -> None:
        """Sends the next frame now."""
        payload = bytes([0x80 | level, start | end << 1]) + opus
        self._session.send(self.group, payload)
        self.group += 1

    async def talk(self, frames: Sequence[bytes]) -> None:
        """One talkspurt, a frame a 20 ms."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, opus in enumerate(frames):
            await asyncio.sleep(began + number * 0.02 - loop.time())
            self.say(opus, start=number == 0, end=number == len(frames) - 1)


class _Session(Messages):
    def __init__(self, transport: MoqTransport, namespace: list[str], path: str | None) -> None:
        self.transport, self.namespace, self.path = transport, namespace, path
        self.wanted = asyncio.Event()
        self.failed: str | None = None

    def start(self) -> None:
        raise NotImplementedError

    def send(self, group: int, payload: bytes) -> None:
        raise NotImplementedError


class Lite05(_Session):
    codec = wire.QUIC
    subscriber: int

    def start(self) -> None:
        self.transport.write(self.transport.open_uni(), wire.lite_setup(self.path), fin=True)

    def message(self, stream: int, incoming: Incoming, reader: wire.Reader) -> None:
        if (
            stream % 4 != 1 or incoming.state is not None
        ):  # only what the server asks, and of that only the first message
            reader.rest()
            return
        kind = reader.number()
        body = wire.Reader(reader.sized(), wire.QUIC)
        incoming.state = kind
        if kind == 1:
            suffix = "/".join(self.namespace).removeprefix(body.text()).removeprefix("/")
            self.transport.write(stream, wire.lite_sized(b"\x00\x01"))
            self.transport.write(stream, wire.lite_sized(b"\x01", wire.lite_text(suffix), b"\x00"))
        elif kind == 2:
            self.subscriber = body.number()
            assert (body.text(), body.text()) == ("/".join(self.namespace), "audio")
            self.transport.write(stream, b"\x00" + wire.lite_sized(b"\x00"))
            self.wanted.set()
        elif kind == 6:
            info = b"\x80\x00\x00" + wire.QUIC.encode(48_000)
            self.transport.write(stream, wire.lite_sized(info), fin=True)

    def send(self, group: int, payload: bytes) -> None:
        head = (self.subscriber, group, group * FRAME)
        self.transport.send_datagram(b"".join(map(wire.QUIC.encode, head)) + payload)


class Moqt18(_Session):
    codec = wire.VI64
    alias = 5

    def start(self) -> None:
        options = {7: b"aioquic-speaker"}
        if self.path is not None:
            options |= {1: self.path.encode(), 5: b"localhost"}
        self.transport.write(self.transport.open_uni(), wire.moqt_setup(options))
        announce = wire.moqt_message(wire.PUBLISH_NAMESPACE, b"\x00", wire.moqt_namespace(self.namespace), b"\x00")
        self.transport.write(self.transport.open_bidi(), announce)

    def message(self, stream: int, incoming: Incoming, reader: wire.Reader) -> None:
        if stream % 4 in (2, 3):
            reader.rest()
            return
        kind, body = reader.number(), wire.Reader(reader.take(int.from_bytes(reader.take(2), "big")), wire.VI64)
        if kind == wire.REQUEST_ERROR:
            code, _retry = body.number(), body.number()
            self.failed = f"{code:#x} {body.text()}"
            self.wanted.set()
        elif kind == wire.SUBSCRIBE:
            _request, fields = body.number(), [body.text() for _ in range(body.number())]
            assert (fields, body.text()) == (self.namespace, "audio")
            scale = b"\x08" + wire.VI64.encode(48_000)
            self.transport.write(stream, wire.moqt_message(wire.SUBSCRIBE_OK, bytes([self.alias, 0]), scale))
            self.wanted.set()
        elif kind == wire.SUBSCRIBE_NAMESPACE:
            request, prefix = body.number(), [body.text() for _ in range(body.number())]
            assert request % 2 == 1, "the server's request ids are odd"
            self.transport.write(stream, wire.moqt_message(wire.REQUEST_OK, b"\x00"))
            rest = self.namespace[len(prefix) :]
            self.transport.write(stream, wire.moqt_message(wire.NAMESPACE, wire.moqt_namespace(rest)))

    def send(self, group: int, payload: bytes) -> None:
        properties = b"\x10" + wire.VI64.encode(group * FRAME)
        head = b"\x0f" + bytes([self.alias]) + wire.VI64.encode(group) + bytes([len(properties)]) + properties
        self.transport.send_datagram(head + payload)


@asynccontextmanager
async def speak(
    host: str,
    port: int,
    space: str,
    seat: int,
    *,
    token: str,
    way: Way = "webtransport",
    protocol: str = wire.LITE,
    first: int = 0,
) -> AsyncIterator[Speaking]:
    """Connects, announces the seat and waits until the server has subscribed. Frames are counted from `first` on.

    Raises:
        Refused: The server would not have us on that seat.
    """
    path = f"/spaces/{space}?jwt={token}"
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=["h3" if way == "webtransport" else protocol],
        verify_mode=ssl.CERT_NONE,
        max_datagram_frame_size=65_536,
    )
    async with connect(host, port, configuration=configuration, create_protocol=MoqTransport) as connection:
        transport = cast("MoqTransport", connection)
        make = Lite05 if protocol == wire.LITE else Moqt18
        session = make(transport, ["spaces", space, "seat", str(seat)], path if way == "quic" else None)
        ready = asyncio.Event()

        def closed(reason: str) -> None:
            session.failed = session.failed or reason or "closed"
            ready.set()
            session.wanted.set()

        transport.hooks = Hooks(ready=ready.set, stream=session.stream, datagram=lambda _data: None, closed=closed)
        async with asyncio.timeout(PATIENCE_S):
            if way == "webtransport":
                transport.connect_webtransport(f"{host}:{port}", path, protocol)
                await ready.wait()
            if session.failed is None:
                session.start()
                await session.wanted.wait()
        if session.failed is not None:
            raise Refused(session.failed)
        yield Speaking(session, first)
