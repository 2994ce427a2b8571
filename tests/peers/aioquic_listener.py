"""A listener made of aioquic and the drafts alone: WebTransport or raw QUIC, moqt-18 or moq-lite-05.

It subscribes to a Space's tracks and takes the bundles apart by itself.

As a program it prints what it hears: `python -m tests.peers.aioquic_listener HOST PORT SPACE --protocol moq-lite-05`.
"""

import argparse
import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal, cast

from aioquic.asyncio.client import connect
from aioquic.quic.configuration import QuicConfiguration

from tests.peers import wire
from tests.peers.messages import Messages
from tests.peers.transport import Hooks, Incoming, MoqTransport
from tests.support.patience import PATIENCE_S

Way = Literal["webtransport", "quic"]
STAGE = ("stage", "stage.1")


class Refused(Exception):
    """The server would not have us, or would not give us a track."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame of one seat."""

    group: int
    seat: int
    sha256: str
    """Of the Opus packet."""
    start: bool
    end: bool
    redundant: bool


@dataclass(frozen=True, slots=True)
class Got:
    """One object as it came off the wire."""

    group: int
    object: int
    timestamp: int
    payload: bytes
    datagram: bool


@dataclass(slots=True)
class Listening:
    """A subscription to several tracks of one Space, filling up as long as it is open."""

    protocol: str
    objects: dict[str, list[Got]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    closed: str | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def heard(self) -> list[Heard]:
        """Every frame, in the order of arrival."""
        frames = []
        for track in STAGE:
            for got in self.objects.get(track, ()):
                for entry in wire.bundle(got.payload):
                    digest = hashlib.sha256(entry.opus).hexdigest()
                    group = got.group - entry.redundant
                    frames.append(Heard(group, entry.seat, digest, entry.start, entry.end, entry.redundant))
        return frames

    def tell(self) -> None:
        self._changed.set()

    async def until(self, condition: Callable[["Listening"], bool], timeout: float = PATIENCE_S) -> None:
        """Waits until `condition` holds; TimeoutError or [Refused] if it never will."""
        async with asyncio.timeout(timeout):
            while not condition(self):
                if self.closed is not None:
                    raise Refused(self.closed)
                self._changed.clear()
                await self._changed.wait()


class _Session(Messages):
    """What both protocols have in common."""

    def __init__(self, transport: MoqTransport, listening: Listening, namespace: list[str], path: str | None) -> None:
        self.transport = transport
        self.listening = listening
        self.namespace = namespace
        self.path = path
        self.tracks: dict[int, str] = {}
        self.requests: dict[int, str] = {}

    def got(self, track: str | None, got: Got) -> None:
        if track is not None:
            self.listening.objects.setdefault(track, []).append(got)
            self.listening.tell()

    def refuse(self, track: str, reason: str) -> None:
        self.listening.refused[track] = reason
        self.listening.tell()


class Lite05(_Session):
    """moq-lite-05."""

    codec = wire.QUIC

    def start(self, tracks: Sequence[str]) -> None:
        self.transport.write(self.transport.open_uni(), wire.lite_setup(self.path), fin=True)
        for identifier, track in enumerate(tracks):
            stream = self.transport.open_bidi()
            self.tracks[identifier] = self.requests[stream] = track
            self.transport.write(stream, wire.lite_subscribe(identifier, self.namespace, track))

    def message(self, stream: int, incoming: Incoming, reader: wire.Reader) -> None:
        if stream in self.requests:
            kind = reader.number()
            reader.sized()
            assert kind in (0, 1, 2), f"subscribe response {kind}"
        elif incoming.state is None:
            incoming.state = self._head(stream, reader)
        elif incoming.state == "ignored":
            reader.rest()
        else:
            identifier, group, number, timestamp = cast("tuple[int, int, int, int]", incoming.state)
            delta = reader.number()
            timestamp += delta // 2 if delta % 2 == 0 else -(delta + 1) // 2
            self.got(self.tracks.get(identifier), Got(group, number, timestamp, reader.sized(), datagram=False))
            incoming.state = (identifier, group, number + 1, timestamp)

    def _head(self, stream: int, reader: wire.Reader) -> object:
        kind = reader.number()
        if stream % 4 == 1:  # the server asks what we publish: nothing
            reader.sized()
            if kind == 1:
                self.transport.write(stream, wire.lite_sized(b"\x00\x00"))
            return "ignored"
        body = wire.Reader(reader.sized(), wire.QUIC)
        return (body.number(), body.number(), 0, 0) if kind == 0 else "ignored"

    def datagram(self, data: bytes) -> None:
        reader = wire.Reader(data, wire.QUIC)
        track, group, timestamp = self.tracks.get(reader.number()), reader.number(), reader.number()
        self.got(track, Got(group, 0, timestamp, reader.rest(), datagram=True))


class Moqt18(_Session):
    """moqt-18."""

    codec = wire.VI64

    def start(self, tracks: Sequence[str]) -> None:
        options = {7: b"aioquic-listener"}
        if self.path is not None:
            options |= {1: self.path.encode(), 5: b"localhost"}
        self.transport.write(self.transport.open_uni(), wire.moqt_setup(options))
        for number, track in enumerate(tracks):
            stream = self.transport.open_bidi()
            self.requests[stream] = track
            self.transport.write(stream, wire.moqt_subscribe(2 * number, self.namespace, track))

    def message(self, stream: int, incoming: Incoming, reader: wire.Reader) -> None:
        if stream in self.requests:
            kind, body = reader.number(), wire.Reader(reader.take(int.from_bytes(reader.take(2), "big")), wire.VI64)
            if kind == wire.SUBSCRIBE_OK:
                self.tracks[body.number()] = self.requests[stream]
            elif kind == wire.REQUEST_ERROR:
                code, _retry = body.number(), body.number()
                self.refuse(self.requests[stream], f"{code:#x} {body.text()}")
        elif incoming.state is None:
            incoming.state = self._head(stream, reader)
        elif incoming.state == "ignored":
            reader.rest()
        else:
            kind, alias, group, number = cast("tuple[int, int, int, int]", incoming.state)
            number += 1 + reader.number()
            properties = wire.moqt_pairs(reader.sized()) if kind & 1 else {}
            payload = reader.sized()
            if not payload:
                reader.number()
            incoming.state = (kind, alias, group, number)
            self.got(self.tracks.get(alias), Got(group, number, _timestamp(properties, group), payload, datagram=False))

    def _head(self, stream: int, reader: wire.Reader) -> object:
        kind = reader.number()
        if stream % 4 == 1:
            return "ignored"
        if kind == wire.SETUP:
            reader.take(int.from_bytes(reader.take(2), "big"))
            return "ignored"
        assert kind & 0x10, f"stream type {kind:#x}"
        alias, group = reader.number(), reader.number()
        if kind & 0x04:
            reader.number()
        if not kind & 0x20:
            reader.u8()
        return (kind, alias, group, -1)

    def datagram(self, data: bytes) -> None:
        reader = wire.Reader(data, wire.VI64)
        kind, track, group = reader.number(), self.tracks.get(reader.number()), reader.number()
        number = 0 if kind & 0x04 else reader.number()
        if not kind & 0x08:
            reader.u8()
        properties = wire.moqt_pairs(reader.sized()) if kind & 0x01 else {}
        if not kind & 0x20:
            self.got(track, Got(group, number, _timestamp(properties, group), reader.rest(), datagram=True))


def _timestamp(properties: dict[int, int | bytes], group: int) -> int:
    stamp = properties.get(0x10, group * 960)
    assert isinstance(stamp, int)
    return stamp


@asynccontextmanager
async def listen(
    host: str,
    port: int,
    space: str,
    *,
    way: Way = "webtransport",
    protocol: str = wire.LITE,
    token: str | None = None,
    tracks: Sequence[str] = STAGE,
) -> AsyncIterator[Listening]:
    """Connects, subscribes to `tracks` of `spaces/<space>` and collects until the block ends.

    Raises:
        Refused: The server answered CONNECT with another status than 200.
    """
    path = f"/spaces/{space}" + (f"?jwt={token}" if token else "")
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=["h3" if way == "webtransport" else protocol],
        verify_mode=ssl.CERT_NONE,
        max_datagram_frame_size=65_536,
    )
    listening = Listening(protocol)
    ready = asyncio.get_running_loop().create_future()
    async with connect(host, port, configuration=configuration, create_protocol=MoqTransport) as connection:
        transport = cast("MoqTransport", connection)
        make = Lite05 if protocol == wire.LITE else Moqt18
        session = make(transport, listening, ["spaces", space], path if way == "quic" else None)

        def closed(reason: str) -> None:
            listening.closed = reason
            listening.tell()
            if way == "webtransport" and not ready.done():
                ready.set_exception(Refused(reason))

        def stopped(stream: int) -> None:
            if stream in session.requests:
                session.refuse(session.requests[stream], "reset")

        hooks = Hooks(stream=session.stream, datagram=session.datagram, closed=closed, stopped=stopped)
        hooks.ready = lambda: None if ready.done() else ready.set_result(None)
        transport.hooks = hooks
        if way == "webtransport":
            transport.connect_webtransport(f"{host}:{port}", path, protocol)
            async with asyncio.timeout(PATIENCE_S):
                await ready
        session.start(tracks)
        yield listening


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("space")
    parser.add_argument("--protocol", choices=[wire.LITE, wire.MOQT], default=wire.LITE)
    parser.add_argument("--way", choices=["webtransport", "quic"], default="webtransport")
    parser.add_argument("--token")
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args()
    arguments = {"way": given.way, "protocol": given.protocol, "token": given.token}
    async with listen(given.host, given.port, given.space, **arguments) as listening:
        await asyncio.sleep(given.seconds)
    for frame in listening.heard:
        print(frame.group, frame.seat, frame.sha256)


if __name__ == "__main__":
    asyncio.run(_main())
