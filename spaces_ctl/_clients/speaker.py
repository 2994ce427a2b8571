"""The native client that speaks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spaces_ctl import _engine
from spaces_ctl._clients.connection import Client, MoqProtocol, Transport, as_samples

if TYPE_CHECKING:
    # Anything with the buffer protocol: bytes, `array('h')`, a numpy array of int16.
    from _typeshed import ReadableBuffer as Buffer

__all__ = ["Speaker", "SpeakerStats"]

_CHUNK = 96_000
"""Bytes of a second of sound: what is handed over at once."""
_AHEAD = 25
"""Frames that wait while more follows."""
_LAST = 2
"""Frames that may still wait when `speak_pcm` returns, so that the next call goes on without a gap."""


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


class Speaker(Client[_engine.NativeSpeaker]):
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
        native.push_pcm(as_samples(buffer), False)
        await self._drained(_AHEAD)

    async def speak_pcm(self, buffer: Buffer) -> None:
        """Encodes and sends in real time: a frame every 20 ms, on a grid that several calls continue without a gap.

        Returns just before the last frame leaves. Cancelled, it falls silent. Raises as `send_pcm`.
        """
        native, samples = self._native, as_samples(buffer)
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
