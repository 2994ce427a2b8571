"""Native clients of a Space: the half of `spaces_ctl.engine` that speaks and listens. Import that instead."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, Protocol, Self, TypeVar

from spaces_ctl import _engine
from spaces_ctl._engine import ConnectionClosed, ConnectionFailed

if TYPE_CHECKING:
    # Anything with the buffer protocol: bytes, `array('h')`, a numpy array of int16.
    from _typeshed import ReadableBuffer as Buffer

Transport = Literal["quic", "webtransport"]
MoqProtocol = Literal["moqt-18", "moq-lite-05"]

_CHUNK = 96_000
"""Bytes of a second of sound: what is handed over at once."""
_AHEAD = 25
"""Frames that wait while more follows."""
_LAST = 2
"""Frames that may still wait when `speak_pcm` returns, so that the next call goes on without a gap."""
_CLOSING_S = 3.0


class _Native(Protocol):
    @property
    def bell_fd(self) -> int: ...
    def clear_bell(self) -> None: ...
    def over(self) -> bool: ...
    def close(self) -> None: ...


N = TypeVar("N", bound=_Native)


class _Client(Generic[N]):
    """The life of a native client on the running event loop, and waiting for its eventfd."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        certificate_sha256: bytes | None = None,
        roots: Path | None = None,
        transport: Transport = "quic",
        protocol: MoqProtocol = "moqt-18",
        idle_timeout_ms: int = 10_000,
    ) -> None:
        self._to = (url, token, certificate_sha256, roots, transport, protocol, idle_timeout_ms)
        self._open: N | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    def _destination(self) -> tuple[str, str | None, list[bytes], bytes | None, str, str, int]:
        url, token, pin, roots, transport, protocol, idle = self._to
        pem = None
        if pin is None:
            path = roots or ssl.get_default_verify_paths().cafile
            pem = Path(path).read_bytes() if path else None
        return url, token, [] if pin is None else [pin], pem, transport, protocol, idle

    def _connect(self) -> N:
        raise NotImplementedError

    def _is_ready(self, native: N) -> bool:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Connects."""
        if self._open is not None:
            raise ConnectionClosed("a client is entered once")
        # Looking a name up may take seconds: not on the loop's thread.
        native = await asyncio.to_thread(self._connect)
        self._open = native
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(native.bell_fd, self._ring)
        try:
            await self._until(lambda: self._is_ready(native))
        except BaseException:
            self._let_go()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connection."""
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connection. May be called again."""
        native, loop = self._open, self._loop
        if native is None or loop is None:
            return
        native.close()
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._until(native.over)
        except TimeoutError:
            pass  # its thread ends by itself
        finally:
            self._let_go()

    def _let_go(self) -> None:
        native, loop = self._open, self._loop
        if native is not None and loop is not None:
            self._loop = None
            loop.remove_reader(native.bell_fd)
            native.close()
            # Whoever still waits looks once more, and finds it closed.
            self._wake()

    @property
    def _native(self) -> N:
        if self._open is None:
            raise ConnectionClosed("the client is not open: use it with `async with`")
        return self._open

    def _ring(self) -> None:
        self._native.clear_bell()
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, ready: Callable[[], bool]) -> None:
        """Returns when `ready`, which is asked whenever the engine's thread has done something."""
        while not ready():
            if self._loop is None:
                raise ConnectionClosed("closed")
            waiter = self._loop.create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)


@dataclass(frozen=True, slots=True)
class SpeakerStats:
    """Counters of a speaker."""

    sent: int
    """Frames sent."""
    silent: int
    """Frames of silence, not sent."""
    dropped: int
    """Frames dropped: the connection was congested, or the engine does not want the seat now."""
    rtt_us: int
    lost_packets: int
    going_away: bool
    """The engine asks its clients to go (GOAWAY)."""


class Speaker(_Client[_engine.NativeSpeaker]):
    """Speaks on a seat: `async with Speaker(url, token=…, seat=0, certificate_sha256=…) as speaker`.

    Entering waits until the engine wants the seat's frames. Raises `Refused` (its `code` is the policy's),
    `ConnectionFailed`, ValueError. PCM is 48 kHz mono, 16 bits, native byte order; libopus encodes it with in-band
    FEC and DTX.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str,
        seat: int,
        certificate_sha256: bytes | None = None,
        roots: Path | None = None,
        transport: Transport = "quic",
        protocol: MoqProtocol = "moqt-18",
        idle_timeout_ms: int = 10_000,
        bitrate: int = 32_000,
        expected_loss: int = 10,
        complexity: int = 9,
        dtx: bool = True,
    ) -> None:
        """`url` is `https://host:port/spaces/<name>`, whichever the transport.

        The server's certificate is the one with the SHA-256 given, or is checked against the PEM file `roots`, or
        against the system's. `bitrate` in bit/s, `expected_loss` in percent (what in-band FEC is sized for),
        `complexity` 0 to 10. Raw QUIC with moq-lite-05 cannot carry a token: a speaker is refused there.
        """
        super().__init__(
            url,
            token=token,
            certificate_sha256=certificate_sha256,
            roots=roots,
            transport=transport,
            protocol=protocol,
            idle_timeout_ms=idle_timeout_ms,
        )
        self._seat = seat
        self._encoder = (bitrate, expected_loss, complexity, dtx)

    def _connect(self) -> _engine.NativeSpeaker:
        bitrate, expected_loss, complexity, dtx = self._encoder
        return _engine.NativeSpeaker.connect(
            self._destination(),
            seat=self._seat,
            bitrate=bitrate,
            expected_loss=expected_loss,
            complexity=complexity,
            dtx=dtx,
        )

    def _is_ready(self, native: _engine.NativeSpeaker) -> bool:
        return native.live()

    async def send_pcm(self, buffer: Buffer) -> None:
        """Encodes and sends at once: for sound that comes in real time. What makes no whole frame of 20 ms waits for
        more.

        Waits while over half a second of frames waits. Raises `ConnectionFailed`, `Refused`, TypeError, ValueError.
        """
        native = self._native
        native.push_pcm(_samples(buffer), False)
        await self._drained(_AHEAD)

    async def speak_pcm(self, buffer: Buffer) -> None:
        """Encodes and sends in real time: a frame every 20 ms, on a grid that several calls continue without a gap.

        Returns just before the last frame leaves. Cancelled, it falls silent. Raises as `send_pcm`.
        """
        native, samples = self._native, _samples(buffer)
        try:
            for start in range(0, len(samples), _CHUNK):
                native.push_pcm(samples[start : start + _CHUNK], True)
                await self._drained(_AHEAD if start + _CHUNK < len(samples) else _LAST)
        except asyncio.CancelledError:
            native.discard()
            raise

    async def send_opus(
        self,
        packet: bytes,
        *,
        level: int = 30,
        voice: bool = True,
        start: bool = False,
        end: bool = False,
        paced: bool = False,
    ) -> None:
        """Sends one Opus packet of 20 ms as it is. `level` in −dBov: 0 the loudest, 127 silence (RFC 6464).

        `start` and `end` mark the borders of a talkspurt; the first packet after an end or a pause starts one by
        itself. `paced` lets it leave in its turn, 20 ms after the one before. Raises as `send_pcm`.
        """
        if not 0 <= level <= 127:
            raise ValueError(f"level {level} is not in 0 to 127")
        self._native.push_opus(packet, level=level | (0x80 if voice else 0), start=start, end=end, paced=paced)
        await self._drained(_AHEAD)

    async def send_silence(self, *, paced: bool = False) -> None:
        """20 ms of silence: the first ends the talkspurt, the others only count."""
        self._native.push_silence(paced)
        await self._drained(_AHEAD)

    async def flush(self) -> None:
        """Ends what was said: returns when the last frame and the end of the talkspurt have left."""
        self._native.finish()
        await self._drained(0)

    async def _drained(self, left: int) -> None:
        native = self._native

        def drained() -> bool:
            native.live()  # raises when it is over
            return native.queued() <= left

        await self._until(drained)

    def sent_log(self) -> list[tuple[int, int, int]]:
        """`(sequence, hash, sent_at_us)` of every frame sent since the last call: for `ListenerLoad.add_sent`.

        `hash` is `frame_hash(seat, packet)`; the time is that of handing in, or of being due, in microseconds of
        CLOCK_MONOTONIC (`time.monotonic_ns() // 1000`). At most 65,536 are kept.
        """
        return self._native.sent_log()

    def react(self, index: int) -> None:
        """Reacts with kind `index`, counted from 0. Whether the server counts it is not told (rate, role, loss)."""
        self._native.react(index)

    def stats(self) -> SpeakerStats:
        """Counters since the start."""
        return SpeakerStats(**self._native.stats())


@dataclass(frozen=True, slots=True)
class Frame:
    """One seat's 20 ms."""

    group: int
    """The tick since the Space began."""
    seat: int
    level: int
    """RFC 6464: the low 7 bits −dBov, the high bit voice."""
    start: bool
    """First of a talkspurt: what lies before was not lost."""
    end: bool
    """Last of a talkspurt."""
    redundant: bool
    """Came as the repetition of a lost one."""
    opus: bytes
    received_at_us: int
    """CLOCK_MONOTONIC."""


@dataclass(frozen=True, slots=True)
class MixFrame:
    """One packet of the mix."""

    group: int
    """Its first tick since the Space began."""
    ticks: int
    """How many ticks of 20 ms it holds: 1 to 3."""
    start: bool
    """First after a pause: what lies before was not lost."""
    end: bool
    """Last before a pause."""
    levels: Mapping[int, int]
    """Who is in it: seat → level (RFC 6464). 127: no more than the end of what the packet before had."""
    opus: bytes
    received_at_us: int
    """CLOCK_MONOTONIC."""


@dataclass(frozen=True, slots=True)
class CaptionLine:
    """One line of captions."""

    group: int
    """The tick at which it was shown, or a little later; rising."""
    payload: bytes
    """As it was given to `Engine.caption`."""
    received_at_us: int
    """CLOCK_MONOTONIC."""


@dataclass(frozen=True, slots=True)
class ListenerStats:
    """Counters of a listener. Samples are at 48 kHz, a seat's each."""

    frames: int
    """Frames, or packets of the mix; repetitions not counted."""
    duplicates: int
    redundant: int
    """Redundant copies of frames that had come."""
    lost: int
    """Frames missing within talkspurts; of the mix, ticks missing within its sound."""
    overflowed: int
    """Frames, packets, lines or blocks dropped because nobody fetched them."""
    refused: int
    """Objects that are no bundle, or no packet of the mix."""
    rtt_us: int
    going_away: bool
    """The engine asks its clients to go (GOAWAY)."""
    pulled_samples: int
    decoded_samples: int
    fec_samples: int
    concealed_samples: int
    removed_samples: int
    inserted_samples: int
    late_packets: int
    target_ms: int
    """Playout delay aimed at, over that of the fastest packets."""
    delay_ms: int
    """Playout delay now, likewise."""


class Listener(_Client[_engine.NativeListener]):
    """Hears a Space: `async with Listener(url, certificate_sha256=…) as listener`.

    Entering waits until the stage is subscribed, or the mix (`track="mix"`): all seats in one stream of Opus, which
    costs the engine less per listener and comes some 80 ms later. A Space without `UpsertSpace.mix` has none
    (`track.not_found`), and who sits on stage gets nothing of it while there. Raises `Refused`, `ConnectionFailed`,
    ValueError.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        certificate_sha256: bytes | None = None,
        roots: Path | None = None,
        transport: Transport = "quic",
        protocol: MoqProtocol = "moqt-18",
        idle_timeout_ms: int = 10_000,
        min_delay_ms: int = 20,
        max_delay_ms: int = 500,
        start_delay_ms: int = 40,
        track: Literal["stage", "mix"] = "stage",
        captions: bool = False,
    ) -> None:
        """As a guest without a token. The delays bound the playout of the mixed sound. `captions`: those, too."""
        super().__init__(
            url,
            token=token,
            certificate_sha256=certificate_sha256,
            roots=roots,
            transport=transport,
            protocol=protocol,
            idle_timeout_ms=idle_timeout_ms,
        )
        self._delays = (min_delay_ms, max_delay_ms, start_delay_ms)
        self._track, self._captions = track, captions

    def _connect(self) -> _engine.NativeListener:
        least, most, start = self._delays
        return _engine.NativeListener.connect(
            self._destination(),
            min_ms=least,
            max_ms=most,
            start_ms=start,
            track=self._track,
            captions=self._captions,
        )

    def _is_ready(self, native: _engine.NativeListener) -> bool:
        return native.live()

    async def frames(self) -> AsyncIterator[list[Frame]]:
        """Frames as they come, in batches, each once, until the listener is closed here.

        Raises why it ended otherwise. If nobody iterates, the oldest of 4,096 are dropped.
        """
        native, batch = self._native, list[Frame]()

        def arrived() -> bool:
            batch.extend(Frame(*row) for row in native.frames())
            return bool(batch) or native.live() is None

        async for _ in self._rounds(arrived):
            yield batch.copy()
            batch.clear()

    async def mix(self) -> AsyncIterator[list[MixFrame]]:
        """Packets of the mix as they come, in batches, each once, until the listener is closed here.

        Raises why it ended otherwise. If nobody iterates, the oldest of 1,536 are dropped.
        """
        native, batch = self._native, list[MixFrame]()

        def arrived() -> bool:
            batch.extend(MixFrame(*row) for row in native.packets())
            return bool(batch) or native.live() is None

        async for _ in self._rounds(arrived):
            yield batch.copy()
            batch.clear()

    async def captions(self) -> AsyncIterator[CaptionLine]:
        """Captions as they come (the last few of before first), until the listener is closed here.

        Raises why it ended otherwise. If nobody iterates, the oldest of 256 are dropped.
        """
        native, lines = self._native, list[CaptionLine]()

        def arrived() -> bool:
            lines.extend(CaptionLine(*row) for row in native.lines())
            return bool(lines) or native.live() is None

        async for _ in self._rounds(arrived):
            ready = lines.copy()
            lines.clear()
            for line in ready:
                yield line

    async def pcm(self) -> AsyncIterator[bytes]:
        """The mixed sound in real time: 20 ms a block (1,920 bytes), silence included, until closed here.

        48 kHz mono s16 in native byte order, behind an adaptive jitter buffer. If nobody iterates, the oldest of 100
        blocks are dropped.
        """
        native, blocks = self._native, list[bytes]()

        def mixed() -> bool:
            blocks.extend(native.blocks())
            return bool(blocks) or native.live() is None

        async for _ in self._rounds(mixed):
            ready = blocks.copy()
            blocks.clear()
            for block in ready:
                yield block

    async def _rounds(self, ready: Callable[[], bool]) -> AsyncIterator[None]:
        while True:
            try:
                await self._until(ready)
            except ConnectionClosed:
                return
            yield

    def pull(self, samples: int) -> bytes:
        """The mixed sound that a sound card plays now: call it at the pace of playing, instead of iterating `pcm`."""
        return self._native.pull(samples)

    def react(self, index: int) -> None:
        """Reacts with kind `index`, counted from 0. Whether the server counts it is not told (rate, role, loss)."""
        self._native.react(index)

    def stats(self) -> ListenerStats:
        """Counters since the start."""
        return ListenerStats(**self._native.stats())


@dataclass(frozen=True, slots=True)
class SeatFrame:
    """One seat's 20 ms, as the speaker sent it."""

    seat: int
    generation: int
    """Of the seat: together they name who sits there, in the stage's table (`StageRow`)."""
    group: int
    """The tick since the Space began."""
    level: int
    """RFC 6464: the low 7 bits −dBov, the high bit voice."""
    start: bool
    """First of a talkspurt: what lies before was not lost."""
    end: bool
    """Last of a talkspurt."""
    opus: bytes
    received_at_us: int
    """CLOCK_MONOTONIC."""


@dataclass(frozen=True, slots=True)
class TapStats:
    """Counters of a tap."""

    frames: int
    overflowed: int
    """Frames dropped because nobody fetched them."""
    refused: int
    """Objects that are no frame."""
    going_away: bool
    """The engine asks its clients to go (GOAWAY)."""


class SeatTap(_Client[_engine.NativeTap]):
    """Hears every seat whose captions are allowed: `async with SeatTap(url, token=…) as tap: async for frames in tap`.

    For services of the deployment, with a token of `TokenSigner.mint(service=True)`. It follows the stage by itself:
    the engine sends of each seat what `StageRow.caption` allows at that moment, and stops before the `apply` that
    withdraws it has answered. Every frame carries the seat's generation, which `Engine.caption` wants back. Entering
    waits until the seats are subscribed. Raises `Refused`, `ConnectionFailed`, ValueError.
    """

    def _connect(self) -> _engine.NativeTap:
        return _engine.NativeTap.connect(self._destination())

    def _is_ready(self, native: _engine.NativeTap) -> bool:
        return native.live()

    async def __aiter__(self) -> AsyncIterator[list[SeatFrame]]:
        """Frames as they come, in batches, in order for each seat save what the network reorders, until closed here.

        Raises why it ended otherwise. If nobody iterates, the oldest of 10,240 are dropped.
        """
        native, batch = self._native, list[SeatFrame]()

        def arrived() -> bool:
            batch.extend(SeatFrame(*row) for row in native.frames())
            return bool(batch) or native.live() is None

        while True:
            try:
                await self._until(arrived)
            except ConnectionClosed:
                return
            yield batch.copy()
            batch.clear()

    def stats(self) -> TapStats:
        """Counters since the start."""
        return TapStats(**self._native.stats())


@dataclass(frozen=True, slots=True)
class LoadStats:
    """Totals of a load of listeners. Frames are counted once per listener."""

    dialled: int
    joined: int
    """Subscribed now."""
    failed: int
    first_failure: str | None
    refused: int
    """Objects that are no bundle."""
    join_p50_us: int
    """From dialling to subscription."""
    join_p99_us: int
    began: int
    """Listeners that received a frame."""
    expected: int
    """Frames that should have come: of each frame sent one for every listener whose first frame was not later."""
    delivered: int
    """Frames that came, each once, of which the speakers' entries are known."""
    duplicates: int
    redundant: int
    """Redundant copies of frames that had come."""
    unmatched: int
    """Frames that came without an entry of a speaker."""
    late: int
    corrupt: int
    """Frames that differ from what other listeners got in their place."""
    unheard: int
    """Entries of frames that no listener received."""
    p50_us: int
    """Half of the frames came within this time from being handed in."""
    p99_us: int
    latency: Mapping[int, int]
    """Steps of 0.1 ms → frames."""


class ListenerLoad(_Client[_engine.NativeLoad]):
    """Many listeners (guests) on one thread that only count: for demonstrations, benchmarks and load tests.

    Entering begins to dial and does not wait: `joined` does. Memory is bounded. Latencies mean something on one
    machine only.
    """

    def __init__(
        self,
        url: str,
        *,
        listeners: int,
        joins_per_second: int = 500,
        certificate_sha256: bytes | None = None,
        roots: Path | None = None,
        transport: Transport = "quic",
        protocol: MoqProtocol = "moqt-18",
        idle_timeout_ms: int = 10_000,
    ) -> None:
        """`listeners` of them, of whom at most `joins_per_second` dial in a second."""
        super().__init__(
            url,
            certificate_sha256=certificate_sha256,
            roots=roots,
            transport=transport,
            protocol=protocol,
            idle_timeout_ms=idle_timeout_ms,
        )
        self._listeners = listeners
        self._rate = joins_per_second

    def _connect(self) -> _engine.NativeLoad:
        return _engine.NativeLoad.start(self._destination(), listeners=self._listeners, joins_per_second=self._rate)

    def _is_ready(self, native: _engine.NativeLoad) -> bool:
        return not native.over()

    async def joined(self) -> None:
        """Returns when all are subscribed. Raises `ConnectionFailed` if one cannot."""
        native = self._native

        def settled() -> bool:
            joined, failed = native.progress()
            return joined + failed >= self._listeners

        await self._until(settled)
        if failure := native.stats()["first_failure"]:
            raise ConnectionFailed(f"{native.progress()[1]} of {self._listeners} listeners: {failure}")

    def add_sent(self, log: Iterable[tuple[int, int, int]]) -> None:
        """Entries of `Speaker.sent_log`, in any order, before or after the frames came."""
        self._native.add_sent([(hash_, sent_at_us) for _, hash_, sent_at_us in log])

    def stats(self) -> LoadStats:
        """Totals so far."""
        return LoadStats(**self._native.stats())

    def received(self) -> list[int]:
        """Frames that each listener received, each once."""
        return self._native.received()


def _samples(buffer: Buffer) -> memoryview:
    view = memoryview(buffer)
    if view.format not in ("h", "<h", "=h", "@h", "B", "b", "c"):
        raise TypeError(f"PCM is 16 bits signed (or bytes of it), not of buffer format {view.format!r}")
    return view.cast("B") if view.format != "B" or view.ndim != 1 else view
