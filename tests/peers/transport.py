"""aioquic as a transport for the tests' own sessions: WebTransport or raw QUIC, either end, one interface."""

from collections.abc import Callable
from dataclasses import dataclass, field

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DatagramReceived, H3Event, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    HandshakeCompleted,
    QuicEvent,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

CLIENT_UNI, SERVER_UNI = 2, 3


class WebTransportSettings(H3Connection):
    """Offers what browsers ask of a server, under each of the names that drafts have given it."""

    def _get_local_settings(self) -> dict[int, int]:
        return super()._get_local_settings() | {0x14E9CD29: 1, 0x2C7CF000: 1, 0xC671706A: 1}


@dataclass(slots=True)
class Incoming:
    """A stream's bytes that no session has taken yet."""

    data: bytes = b""
    ended: bool = False
    own: bool = False
    state: object = None
    """What the session makes of the stream."""


@dataclass(slots=True)
class Hooks:
    """What a session wants to be told."""

    ready: Callable[[], None] = lambda: None
    stream: Callable[[int, Incoming], None] = lambda _stream, _incoming: None
    stopped: Callable[[int], None] = lambda _stream: None
    datagram: Callable[[bytes], None] = lambda _data: None
    closed: Callable[[str], None] = lambda _reason: None
    request: Callable[[dict[str, str]], tuple[int, dict[str, str]]] = field(default=lambda _headers: (404, {}))
    """Server: answers CONNECT with a status and further headers."""


class MoqTransport(QuicConnectionProtocol):
    """One connection. Streams are named by their QUIC id; a stream's prefix never reaches the session."""

    def __init__(self, quic: QuicConnection, **kwargs: object) -> None:
        super().__init__(quic, stream_handler=None)
        self._hooks = Hooks()
        self.subprotocol: str | None = None
        self.status: int | None = None
        self._h3: H3Connection | None = None
        self._session: int | None = None
        self._incoming: dict[int, Incoming] = {}
        self._own: set[int] = set()

    # --- what a session calls ---

    @property
    def hooks(self) -> Hooks:
        return self._hooks

    @hooks.setter
    def hooks(self, hooks: Hooks) -> None:
        """A server may speak before the session is there to listen: what came is told now."""
        self._hooks = hooks
        for stream, incoming in list(self._incoming.items()):
            hooks.stream(stream, incoming)

    def connect_webtransport(self, authority: str, path: str, protocol: str | None) -> None:
        """Client: sends CONNECT."""
        self._session = self._quic.get_next_available_stream_id()
        headers = [
            (b":method", b"CONNECT"),
            (b":scheme", b"https"),
            (b":authority", authority.encode()),
            (b":path", path.encode()),
            (b":protocol", b"webtransport"),
            (b"origin", f"https://{authority}".encode()),
        ]
        if protocol:
            headers.append((b"wt-available-protocols", f'"{protocol}"'.encode()))
        assert self._h3
        self._h3.send_headers(self._session, headers)
        self.transmit()

    def open_bidi(self) -> int:
        stream = self._quic.get_next_available_stream_id()
        if self._session is not None:
            assert self._h3
            stream = self._h3.create_webtransport_stream(self._session)
        self._own.add(stream)
        return stream

    def open_uni(self) -> int:
        if self._session is not None:
            assert self._h3
            return self._h3.create_webtransport_stream(self._session, is_unidirectional=True)
        return self._quic.get_next_available_stream_id(is_unidirectional=True)

    def write(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        self._quic.send_stream_data(stream, data, fin)
        self.transmit()

    def reset(self, stream: int, code: int = 0) -> None:
        self._quic.reset_stream(stream, code)
        self.transmit()

    def send_datagram(self, data: bytes) -> None:
        if self._session is not None:
            assert self._h3
            self._h3.send_datagram(self._session, data)
        else:
            self._quic.send_datagram_frame(data)
        self.transmit()

    def end_session(self, code: int, reason: str) -> None:
        """Server: CLOSE_WEBTRANSPORT_SESSION (draft-ietf-webtrans-http3 section 5) and the CONNECT stream's end."""
        assert self._h3
        assert self._session is not None
        body = code.to_bytes(4, "big") + reason.encode()
        self._h3.send_data(self._session, encode_uint_var(0x2843) + encode_uint_var(len(body)) + body, end_stream=True)
        self.transmit()

    # --- what aioquic calls ---

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            if event.alpn_protocol == "h3":
                self._h3 = WebTransportSettings(self._quic, enable_webtransport=True)
                self.transmit()
            else:
                self.subprotocol = event.alpn_protocol
                self.hooks.ready()
        elif isinstance(event, ConnectionTerminated):
            self.hooks.closed(event.reason_phrase)
        elif isinstance(event, StopSendingReceived | StreamReset) and event.stream_id in self._incoming | dict.fromkeys(
            self._own
        ):
            self.hooks.stopped(event.stream_id)
        elif isinstance(event, StreamDataReceived) and (self._h3 is None or event.stream_id in self._own):
            self._stream(event.stream_id, event.data, event.end_stream)
        elif isinstance(event, DatagramFrameReceived) and self._h3 is None:
            self.hooks.datagram(event.data)
        elif self._h3 is not None:
            for happened in self._h3.handle_event(event):
                self._h3_event(happened)

    def _h3_event(self, event: H3Event) -> None:
        if isinstance(event, WebTransportStreamDataReceived):
            self._stream(event.stream_id, event.data, event.stream_ended)
        elif isinstance(event, DatagramReceived):
            self.hooks.datagram(event.data)
        elif isinstance(event, HeadersReceived):
            headers = {name.decode(): value.decode() for name, value in event.headers}
            if ":status" in headers:
                self._answered(headers)
            else:
                self._asked(event.stream_id, headers)

    def _answered(self, headers: dict[str, str]) -> None:
        self.status = int(headers[":status"])
        self.subprotocol = headers.get("wt-protocol", "").strip('"') or None
        if self.status == 200:
            self.hooks.ready()
        else:
            self.hooks.closed(f"status {self.status}")

    def _asked(self, stream: int, headers: dict[str, str]) -> None:
        status, more = self.hooks.request(headers)
        answer = [(b":status", str(status).encode())] + [(k.encode(), v.encode()) for k, v in more.items()]
        assert self._h3
        self._h3.send_headers(stream, answer, end_stream=status != 200)
        if status == 200:
            self._session = stream
            self.hooks.ready()
        self.transmit()

    def _stream(self, stream: int, data: bytes, ended: bool) -> None:
        incoming = self._incoming.setdefault(stream, Incoming(own=stream in self._own))
        incoming.data += data
        incoming.ended |= ended
        self.hooks.stream(stream, incoming)
