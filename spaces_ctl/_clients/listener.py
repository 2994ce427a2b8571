"""The native client that listens: the stage or the mix, and captions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spaces_ctl import _engine
from spaces_ctl._clients.connection import Client, MoqProtocol, Transport

__all__ = ["CaptionLine", "Frame", "Listener", "ListenerStats", "MixFrame"]


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
    tier: Literal["stage", "mix"]
    """What is heard."""
    changes: int
    """Times that this has changed."""
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


class Listener(Client[_engine.NativeListener]):
    """Hears a Space: `async with Listener(url, certificate_sha256=…) as listener`.

    Entering waits until the stage is subscribed, or the mix (`track="mix"`): all seats in one stream of Opus, which
    costs the engine less per listener and comes some 80 ms later. A Space without `UpsertSpace.mix` has none
    (`track.not_found`), and who sits on stage gets nothing of it while there. With `track="told"` it is whichever the
    Space says on its `state` track (`UpsertSpace.mix_for`; nothing is said before the first `SetState`), or the mix
    whenever it may be had if `save_data`; the sound goes from one to the other without a gap. Raises `Refused`,
    `ConnectionFailed`, ValueError.
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
        track: Literal["stage", "mix", "told"] = "stage",
        save_data: bool = False,
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
        self._track, self._save_data, self._captions = track, save_data, captions

    def _connect(self) -> _engine.NativeListener:
        return _engine.NativeListener.connect(
            self._destination(),
            delays_ms=self._delays,
            track=self._track,
            save_data=self._save_data,
            captions=self._captions,
        )

    def _is_ready(self, native: _engine.NativeListener) -> bool:
        return native.live()

    async def frames(self) -> AsyncIterator[list[Frame]]:
        """Frames as they come, in batches, each once, until the listener is closed here.

        Raises why it ended otherwise. If nobody iterates, the oldest of 4,096 are dropped.
        """
        native = self._native
        async for batch in self._batches(lambda: (Frame(*row) for row in native.frames())):
            yield batch

    async def mix(self) -> AsyncIterator[list[MixFrame]]:
        """Packets of the mix as they come, in batches, each once, until the listener is closed here.

        Raises why it ended otherwise. If nobody iterates, the oldest of 1,536 are dropped.
        """
        native = self._native
        async for batch in self._batches(lambda: (MixFrame(*row) for row in native.packets())):
            yield batch

    async def captions(self) -> AsyncIterator[CaptionLine]:
        """Captions as they come (the last few of before first), until the listener is closed here.

        Raises why it ended otherwise. If nobody iterates, the oldest of 256 are dropped.
        """
        native = self._native
        async for batch in self._batches(lambda: (CaptionLine(*row) for row in native.lines())):
            for line in batch:
                yield line

    async def pcm(self) -> AsyncIterator[bytes]:
        """The mixed sound in real time: 20 ms a block (1,920 bytes), silence included, until closed here.

        48 kHz mono s16 in native byte order, behind an adaptive jitter buffer. If nobody iterates, the oldest of 100
        blocks are dropped.
        """
        async for batch in self._batches(self._native.blocks):
            for block in batch:
                yield block

    def pull(self, samples: int) -> bytes:
        """The mixed sound that a sound card plays now: call it at the pace of playing, instead of iterating `pcm`."""
        return self._native.pull(samples)

    def react(self, index: int) -> None:
        """Reacts with kind `index`, counted from 0. Whether the server counts it is not told (rate, role, loss)."""
        self._native.react(index)

    def save_data(self, on: bool) -> None:
        """With `track="told"`: whether the mix is heard whenever it may be had. Raises NotOpen."""
        self._native.save_data(on)

    def stats(self) -> ListenerStats:
        """Counters since the start."""
        return ListenerStats(**self._native.stats())
