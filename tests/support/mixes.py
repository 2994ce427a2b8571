"""What the live mixer would have written, made of real speech in the tests' own process: packets, seats, files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from spaces_ctl.segments import TICK_MS, Contents, Gap, MixPacket, SeatGiven

RATE = 48_000
TICK = RATE * TICK_MS // 1000
Pcm = npt.NDArray[np.int16]
FILE_TICKS = 200
"""A file of the log is 4 s long."""


def encoded(pcm: Pcm, *, ticks: int = 3, bit_rate: int = 48_000) -> list[bytes]:
    """Opus packets of `ticks` groups. What they decode to is 312 samples late, as everywhere."""
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format, codec.bit_rate = RATE, "mono", "s16", bit_rate
    codec.options = {"frame_duration": str(ticks * TICK_MS), "application": "voip"}
    whole = len(pcm) // (ticks * TICK) * ticks * TICK
    frame = av.AudioFrame.from_ndarray(pcm[None, :whole], format="s16", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
    packets = [bytes(packet) for packet in (*codec.encode(frame), *codec.encode(None))]
    return packets[: whole // (ticks * TICK)]


def level(tick: Pcm) -> int:
    """-dBov of 20 ms (RFC 6464)."""
    power = float((tick.astype(np.float64) ** 2).mean()) / 32768**2
    return 127 if power < 1e-12 else min(127, max(0, round(-10 * np.log10(power))))


def mixed(voices: Mapping[int, Pcm], *, first_group: int = 0, ticks: int = 3, pauses: bool = False) -> list[MixPacket]:
    """The sum of voices by seat, all from `first_group` on. `pauses`: where all are silent there are no packets."""
    length = max(map(len, voices.values())) // (ticks * TICK) * ticks * TICK
    padded = {seat: np.pad(pcm[:length], (0, length - len(pcm[:length]))) for seat, pcm in voices.items()}
    total = np.clip(sum(pcm.astype(np.int32) for pcm in padded.values()), -32768, 32767).astype(np.int16)
    packets: list[MixPacket] = []
    for number, opus in enumerate(encoded(total, ticks=ticks)):
        begin = number * ticks * TICK
        seats, levels = 0, bytearray(b"\x7f" * 13)
        for seat, pcm in padded.items():
            if pcm[begin : begin + ticks * TICK].any():
                seats |= 1 << seat
                levels[seat] = level(pcm[begin + (ticks - 1) * TICK : begin + ticks * TICK])
        if seats or not pauses:
            group = first_group + number * ticks
            packets.append(MixPacket(group, ticks, seats, bytes(levels), False, False, opus))
    return packets


def files(
    packets: Sequence[MixPacket],
    *,
    space: int = 1,
    seats: Sequence[SeatGiven] = (),
    gaps: Sequence[Gap] = (),
    end_group: int | None = None,
    started_at_ms: int = 1_700_000_000_000,
) -> list[Contents]:
    """The log's files, from group 0 to `end_group`."""
    end = end_group if end_group is not None else max(packet.group + packet.ticks for packet in packets)
    borders = range(0, end, FILE_TICKS)
    return [
        Contents(
            space=space,
            part=1,
            sequence=number,
            started_at_ms=started_at_ms,
            first_group=begin,
            last_group=min(begin + FILE_TICKS, end) - 1,
            closed=True,
            final=begin == borders[-1],
            damaged_bytes=0,
            mix=[packet for packet in packets if begin <= packet.group < begin + FILE_TICKS],
            frames=[],
            seats=[given for given in seats if begin <= given.group < begin + FILE_TICKS],
            gaps=[gap for gap in gaps if begin <= gap.from_group < begin + FILE_TICKS],
        )
        for number, begin in enumerate(borders)
    ]


async def archive(contents: Sequence[Contents], from_group: int, to_group: int) -> AsyncIterator[Contents]:
    """As the worker's archive: every file that tells of one of the groups, whole."""
    for one in contents:
        if one.first_group < to_group and one.last_group >= from_group:
            yield one
