"""A Space without our engine: aioquic serves the tracks of a stage and takes a seat's, in moq-lite-05 or moqt-18.

It checks the page independently of the engine: what both the engine and the page misread, this would show.
"""

import asyncio
import contextlib
import datetime
import json
import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import av
import numpy as np
import numpy.typing as npt
from aioquic.asyncio.server import serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.peers import wire
from tests.peers.messages import Messages
from tests.peers.transport import Hooks, Incoming, MoqTransport
from tests.support.patience import PATIENCE_S

SPACE = "demo"
RATE, FRAME, TICK = 48_000, 960, 0.02
Pcm = npt.NDArray[np.int16]


def opus_frames(pcm: Pcm) -> list[bytes]:
    """48 kHz mono as Opus packets of 20 ms, by libopus through FFmpeg."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = RATE, "mono", "s16", 32_000
    encoder.time_base = Fraction(1, RATE)
    encoder.options = {"application": "voip", "frame_duration": "20"}
    packets = []
    for at in range(0, len(pcm) - FRAME + 1, FRAME):
        frame = av.AudioFrame.from_ndarray(pcm[at : at + FRAME].reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
        packets.extend(encoder.encode(frame))
    return [bytes(packet) for packet in [*packets, *encoder.encode(None)]]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Somebody on stage, speaking from tick `begins` on."""

    seat: int
    name: str
    opus: list[bytes]
    level: int = 25
    role: str = "speaker"
    muted: bool = False
    begins: int = 0

    def entry(self, tick: int) -> wire.Entry | None:
        at = tick - self.begins
        if not 0 <= at < len(self.opus):
            return None
        level = self.level + int(12 * abs(np.sin(tick / 9 + self.seat)))
        start, end = at == 0, at == len(self.opus) - 1
        return wire.Entry(self.seat, level, voice=True, start=start, end=end, redundant=False, opus=self.opus[at])


@dataclass(slots=True)
class FakeSpace:
    """What is served, and what came in."""

    speakers: list[Speaker]
    loss: float = 0.0
    jitter: float = 0.0
    """Seconds of random delay for each datagram."""
    received: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    """Objects (group, payload) by seat that pages published."""
    sessions: list["_Served"] = field(default_factory=list)
    port: int = 0
    certificate: str = ""
    tick: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(3))

    @property
    def admission(self) -> dict[str, Any]:
        """What the API would answer to a join."""
        return {
            "urls": [f"https://127.0.0.1:{self.port}/spaces/{SPACE}"],
            "certificate_sha256": self.certificate,
            "token": "t",
            "expires": "2100-01-01T00:00:00Z",
            "role": "speaker",
            "seat": 12,
            "muted": False,
            "notices": [],
        }

    def state(self) -> bytes:
        stage = [{"seat": s.seat, "name": s.name, "role": s.role, "muted": s.muted} for s in self.speakers]
        return json.dumps({"live": True, "stage": stage}).encode()

    async def run(self) -> None:
        """One bundle a tick to everybody, as long as anybody speaks in it."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            entries = [entry for speaker in self.speakers if (entry := speaker.entry(self.tick))]
            payload = b"".join(map(wire.write_entry, entries))
            for session in self.sessions:
                if payload and self.chance.random() >= self.loss:
                    loop.call_later(self.jitter * self.chance.random(), session.tick, self.tick, payload)
            self.tick += 1
            due += TICK
            await asyncio.sleep(max(0.0, due - loop.time()))


class _Served(Messages):
    """One page's session."""

    def __init__(self, space: FakeSpace, transport: MoqTransport) -> None:
        self.space, self.transport = space, transport
        self.stage: int | None = None
        self.seats: dict[int, int] = {}
        transport.hooks = Hooks(stream=self.stream, datagram=self.datagram, closed=self.closed)

    def begin(self) -> None:
        self.space.sessions.append(self)
        self.start()

    def closed(self, _reason: str) -> None:
        if self in self.space.sessions:
            self.space.sessions.remove(self)

    def start(self) -> None:
        raise NotImplementedError

    def tick(self, group: int, payload: bytes) -> None:
        raise NotImplementedError

    def datagram(self, data: bytes) -> None:
        raise NotImplementedError

    def keep(self, seat: int | None, group: int, payload: bytes) -> None:
        if seat is not None:
            self.space.received.setdefault(seat, []).append((group, payload))


class ServedLite(_Served):
    codec = wire.QUIC

    def start(self) -> None:
        self.transport.write(self.transport.open_uni(), wire.lite_setup(None), fin=True)
        self.discovery = self.transport.open_bidi()
        self.answered = False
        self.transport.write(self.discovery, b"\x01" + wire.lite_sized(wire.lite_text(""), b"\x00"))

    def message(self, stream: int, incoming: Incoming, reader: wire.Reader) -> None:
        if stream == self.discovery:
            body = wire.Reader(reader.sized(), wire.QUIC)
            if self.answered:
                self._announced(body.u8(), body.text())
            self.answered = True
        elif stream % 4 == 2 or incoming.own or incoming.state is not None:
            reader.rest()
        else:
            kind = reader.number()
            self._asked(stream, kind, wire.Reader(reader.sized(), wire.QUIC))
            incoming.state = kind

    def _announced(self, status: int, path: str) -> None:
        *_, word, seat = path.split("/")
        if status == 1 and word == "seat":
            identifier = len(self.seats)
            self.seats[identifier] = int(seat)
            request = wire.lite_subscribe(identifier, path.split("/"), "audio")
            self.transport.write(self.transport.open_bidi(), request)

    def _asked(self, stream: int, kind: int, body: wire.Reader) -> None:
        if kind == 1:
            suffix = f"spaces/{SPACE}".removeprefix(body.text()).removeprefix("/")
            self.transport.write(stream, wire.lite_sized(b"\x00\x01"))
            self.transport.write(stream, wire.lite_sized(b"\x01", wire.lite_text(suffix), b"\x00"))
        elif kind == 6:  # priority, not ordered, 5 s of cache, timescale
            info = b"\x80\x00" + wire.QUIC.encode(5_000) + wire.QUIC.encode(RATE)
            self.transport.write(stream, wire.lite_sized(info), fin=True)
        elif kind == 2:
            identifier, _path, track = body.number(), body.text(), body.text()
            if track == "stage":
                self.stage = identifier
                self.transport.write(stream, b"\x00" + wire.lite_sized(wire.QUIC.encode(self.space.tick)))
            elif track == "state":
                self.transport.write(stream, b"\x00" + wire.lite_sized(b"\x01"))
                group = b"\x00" + wire.lite_sized(wire.QUIC.encode(identifier), b"\x01")
                frame = b"\x00" + wire.lite_sized(self.space.state())
                self.transport.write(self.transport.open_uni(), group + frame, fin=True)

    def tick(self, group: int, payload: bytes) -> None:
        if self.stage is not None:
            head = wire.QUIC.encode(self.stage) + wire.QUIC.encode(group) + wire.QUIC.encode(group * FRAME)
            self.transport.send_datagram(head + payload)

    def datagram(self, data: bytes) -> None:
        reader = wire.Reader(data, wire.QUIC)
        seat, group, _timestamp = self.seats.get(reader.number()), reader.number(), reader.number()
        self.keep(seat, group, reader.rest())


class ServedMoqt(_Served):
    codec = wire.VI64

    def start(self) -> None:
        self.transport.write(self.transport.open_uni(), wire.moqt_setup({7: b"fake"}))
        self.requests: dict[int, int] = {}

    def message(self, stream: int, incoming: Incoming, reader: wire.Reader) -> None:
        kind, body = reader.number(), wire.Reader(reader.take(int.from_bytes(reader.take(2), "big")), wire.VI64)
        if kind == wire.SUBSCRIBE_OK and stream in self.requests:
            self.seats[body.number()] = self.requests[stream]
        elif stream % 4 == 0 and kind == wire.SUBSCRIBE_NAMESPACE:
            _request, prefix = body.number(), [body.text() for _ in range(body.number())]
            self.transport.write(stream, wire.moqt_message(wire.REQUEST_OK, b"\x00"))
            rest = ["spaces", SPACE][len(prefix) :]
            self.transport.write(stream, wire.moqt_message(wire.NAMESPACE, wire.moqt_namespace(rest)))
        elif stream % 4 == 0 and kind == wire.PUBLISH_NAMESPACE:
            _request, fields = body.number(), [body.text() for _ in range(body.number())]
            self.transport.write(stream, wire.moqt_message(wire.REQUEST_OK, b"\x00"))
            request = self.transport.open_bidi()
            self.requests[request] = int(fields[-1])
            self.transport.write(request, wire.moqt_subscribe(1, fields, "audio"))
        elif stream % 4 == 0 and kind == wire.SUBSCRIBE:
            _request, _fields, track = body.number(), [body.text() for _ in range(body.number())], body.text()
            self._subscribed(stream, track)

    def _subscribed(self, stream: int, track: str) -> None:
        alias = {"stage": 1, "state": 2}.get(track)
        if alias is None:
            error = wire.moqt_message(wire.REQUEST_ERROR, b"\x10\x00", wire.moqt_text("no such track"))
            self.transport.write(stream, error, fin=True)
            return
        scale = b"\x08" + wire.VI64.encode(RATE)
        self.transport.write(stream, wire.moqt_message(wire.SUBSCRIBE_OK, bytes([alias, 0]), scale))
        if track == "stage":
            self.stage = alias
        else:
            head = b"\x78" + bytes([alias, 1, 0])
            self.transport.write(self.transport.open_uni(), head + wire.moqt_text(self.space.state()), fin=True)

    def tick(self, group: int, payload: bytes) -> None:
        if self.stage is not None:
            properties = b"\x10" + wire.VI64.encode(group * FRAME)
            head = b"\x0f" + bytes([self.stage]) + wire.VI64.encode(group) + bytes([len(properties)]) + properties
            self.transport.send_datagram(head + payload)

    def datagram(self, data: bytes) -> None:
        reader = wire.Reader(data, wire.VI64)
        _kind, seat, group, _properties = (
            reader.number(),
            self.seats.get(reader.number()),
            reader.number(),
            reader.sized(),
        )
        self.keep(seat, group, reader.rest())


class _Transport(MoqTransport):
    def __init__(self, quic: QuicConnection, *, space: FakeSpace, **kwargs: object) -> None:
        super().__init__(quic, **kwargs)
        self.hooks = Hooks(request=partial(self._request, space))

    def _request(self, space: FakeSpace, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        url = urlsplit(headers[":path"])
        offers = headers.get("wt-available-protocols", "")
        offered = next((protocol for protocol in (wire.LITE, wire.MOQT) if f'"{protocol}"' in offers), wire.LITE)
        protocol = parse_qs(url.query).get("protocol", [offered])[0]
        if url.path != f"/spaces/{SPACE}":
            return 404, {}
        make = ServedLite if protocol == wire.LITE else ServedMoqt
        self.hooks.ready = lambda: make(space, self).begin()
        return 200, {"wt-protocol": f'"{protocol}"'} if f'"{protocol}"' in offers else {}


def certificate(directory: Path) -> tuple[Path, Path, str]:
    """A certificate that browsers take by its hash: ECDSA P-256, under 14 days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=12))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(*pem))
    return chain, secret, made.fingerprint(hashes.SHA256()).hex()


@contextlib.contextmanager
def serving(space: FakeSpace) -> Iterator[FakeSpace]:
    """Serves `space` from a thread until the block ends."""
    started, stop = threading.Event(), threading.Event()

    async def main() -> None:
        with tempfile.TemporaryDirectory() as directory:
            chain, key, space.certificate = certificate(Path(directory))
            configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"], max_datagram_frame_size=65_536)
            configuration.load_cert_chain(chain, key)
        make: Callable[..., _Transport] = partial(_Transport, space=space)
        server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=make)
        transport = server._transport  # aioquic tells the port nowhere else
        assert transport
        space.port = transport.get_extra_info("sockname")[1]
        ticking = asyncio.create_task(space.run())
        started.set()
        while not stop.is_set():
            await asyncio.sleep(0.05)
        ticking.cancel()
        server.close()
        await asyncio.sleep(0)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield space
    finally:
        stop.set()
        thread.join(PATIENCE_S)


def hum(seconds: float, pitch: float) -> Pcm:
    """Something that sounds and is not speech."""
    at = np.arange(int(seconds * RATE)) / RATE
    wave = np.sin(2 * np.pi * pitch * at) * (0.5 + 0.5 * np.sin(2 * np.pi * 0.7 * at))
    return np.asarray(wave * 8_000, dtype=np.int16)
