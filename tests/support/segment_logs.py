"""Segment logs as the recorder writes them (`engine-rs/core/src/segment.rs`), so that tests need not wait for one."""

import struct
from collections.abc import Iterable
from pathlib import Path

from spaces_ctl import segments


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _table()


def crc32c(data: bytes, start: int = 0) -> int:
    """CRC-32C (RFC 9260, appendix A) of `data`, continuing `start`."""
    value = start ^ 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


class LogWriter:
    """One file. Its `bytes` are whole at any time."""

    def __init__(
        self, space: int, *, part: int = 1, sequence: int = 0, start_group: int = 0, started_at_ms: int = 0
    ) -> None:
        header = b"SPSEG\x1a\r\n" + struct.pack(">HHIIQQQ", 2, 48, part, sequence, space, started_at_ms, 0x5A17)
        self._sum = crc32c(header)
        self.name = f"part-{part:04}.{sequence:06}.seg"
        self.bytes = header + struct.pack(">I", self._sum)
        self._put(1, struct.pack(">QQ", start_group, started_at_ms))

    def _put(self, kind: int, payload: bytes) -> None:
        head = struct.pack(">BH", kind, len(payload))
        self.bytes += b"\x5e\x67" + head + struct.pack(">I", crc32c(payload, crc32c(head, self._sum))) + payload

    def seat(self, given: segments.SeatGiven) -> None:
        """A seat is somebody's."""
        self._put(2, struct.pack(">QQIB", given.group, given.account, given.generation, given.seat))

    def tick(self, group: int, frames: Iterable[segments.SeatFrame] = ()) -> None:
        """The frames of one group."""
        payload = struct.pack(">Q", group)
        for frame in frames:
            head = frame.seat | frame.start << 4 | frame.end << 5
            payload += struct.pack(">BBIH", head, frame.level, frame.generation, len(frame.opus)) + frame.opus
        self._put(3, payload)

    def gap(self, gap: segments.Gap) -> None:
        """Groups that were not recorded."""
        cause = ["queue", "storage", "restart", "sync", "mix", "damage"].index(gap.cause)
        self._put(4, struct.pack(">QQB", gap.from_group, gap.groups, cause))

    def mix(self, packet: segments.MixPacket) -> None:
        """A packet of the mix."""
        head = packet.ticks | packet.start << 4 | packet.end << 5
        levels = bytes(level for seat, level in enumerate(packet.levels) if packet.seats >> seat & 1)
        self._put(7, struct.pack(">QBH", packet.group, head, packet.seats) + levels + packet.opus)

    def close(self, group: int) -> None:
        """The file is complete up to `group`."""
        self._put(8, struct.pack(">Q", group))

    def end(self, group: int) -> None:
        """The recording is complete with `group`."""
        self._put(6, struct.pack(">Q", group))

    def save(self, directory: Path, space: int) -> Path:
        """Writes it where the engine would, with `directory` for its recordings."""
        path = directory / str(space) / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.bytes)
        return path
