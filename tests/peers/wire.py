"""Bytes of moqt-18, moq-lite-05 and the stage bundle, written for the tests from the drafts and the layout alone.

Shares nothing with the engine: where both agree, it is because both are right.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

MOQT = "moqt-18"
LITE = "moq-lite-05"


class Short(Exception):
    """The bytes end before the message does."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One encoding of integers."""

    size: Callable[[int], int]
    """Bytes of the integer that begins with this byte."""
    mask: Callable[[int], int]
    """Bits of the first byte that belong to the value, from the size."""
    encode: Callable[[int], bytes]


def _quic(value: int) -> bytes:
    for exponent in range(4):
        size = 1 << exponent
        if value < 1 << (8 * size - 2):
            return (value | exponent << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(value)


def _vi64(value: int) -> bytes:
    for size in (1, 2, 3, 4, 5, 6, 8):
        if value < 1 << (7 * size):
            mark = (0xFF << (9 - size)) & 0xFF
            return (value | mark << (8 * (size - 1))).to_bytes(size, "big")
    return b"\xff" + value.to_bytes(8, "big")


QUIC = Codec(lambda first: 1 << (first >> 6), lambda _: 0x3F, _quic)
"""RFC 9000 section 16: moq-lite, and lengths in the bundle."""
VI64 = Codec(lambda first: 9 - (0xFF ^ first).bit_length(), lambda size: 0xFF >> size, _vi64)
"""draft-ietf-moq-transport-18 section 1.4.1: leading ones."""


class Reader:
    """Reads a message from its first byte on; [Short] where it ends too early."""

    def __init__(self, data: bytes, codec: Codec) -> None:
        self.data = data
        self.at = 0
        self.codec = codec

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.data):
            raise Short
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        if self.at >= len(self.data):
            raise Short
        size = self.codec.size(self.data[self.at])
        whole = self.take(size)
        return int.from_bytes(bytes([whole[0] & self.codec.mask(size)]) + whole[1:], "big")

    def sized(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        return self.sized().decode()

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    @property
    def left(self) -> int:
        return len(self.data) - self.at


# --- the bundle ---


@dataclass(frozen=True, slots=True)
class Entry:
    """One seat's frame."""

    seat: int
    level: int
    voice: bool
    start: bool
    end: bool
    redundant: bool
    opus: bytes


def bundle(payload: bytes) -> Iterator[Entry]:
    """The entries of a `stage` object. Raises [Short] or ValueError where it is none."""
    reader = Reader(payload, QUIC)
    while reader.left:
        head, level = reader.u8(), reader.u8()
        if head & 0x80 or head & 0x0F > 12:
            raise ValueError(f"bundle head {head:#04x}")
        opus = reader.sized()
        if not opus:
            raise ValueError("empty frame")
        yield Entry(
            head & 0x0F, level & 0x7F, bool(level & 0x80), bool(head & 0x10), bool(head & 0x20), bool(head & 0x40), opus
        )


def write_entry(entry: Entry) -> bytes:
    """The inverse."""
    head = entry.seat | entry.start << 4 | entry.end << 5 | entry.redundant << 6
    return bytes([head, entry.level | entry.voice << 7]) + QUIC.encode(len(entry.opus)) + entry.opus


# --- moq-lite-05 ---


def lite_sized(*parts: bytes) -> bytes:
    """`size | body`."""
    body = b"".join(parts)
    return QUIC.encode(len(body)) + body


def lite_text(text: str) -> bytes:
    """A length and UTF-8."""
    return lite_sized(text.encode())


def lite_setup(path: str | None) -> bytes:
    """The whole of the setup stream. Only raw QUIC tells its path (parameter 2)."""
    parameters = b"" if path is None else b"\x02" + lite_text(path)
    return b"\x01" + lite_sized(QUIC.encode(int(path is not None)), parameters)


def lite_subscribe(identifier: int, namespace: list[str], track: str) -> bytes:
    """The request on a subscribe stream, with its stream type."""
    return b"\x02" + lite_sized(
        QUIC.encode(identifier), lite_text("/".join(namespace)), lite_text(track), b"\x80\x00", b"\x00\x00\x00"
    )


# --- moqt-18 ---

SETUP = 0x2F00
SUBSCRIBE, SUBSCRIBE_OK, REQUEST_ERROR, PUBLISH_NAMESPACE, REQUEST_OK = 0x03, 0x04, 0x05, 0x06, 0x07
NAMESPACE, SUBSCRIBE_NAMESPACE = 0x08, 0x50


def moqt_message(kind: int, *parts: bytes) -> bytes:
    """`type | length (16 bit) | body`."""
    body = b"".join(parts)
    return VI64.encode(kind) + len(body).to_bytes(2, "big") + body


def moqt_text(text: str | bytes) -> bytes:
    """A length and bytes."""
    data = text.encode() if isinstance(text, str) else text
    return VI64.encode(len(data)) + data


def moqt_namespace(fields: list[str]) -> bytes:
    """A count and that many fields."""
    return VI64.encode(len(fields)) + b"".join(map(moqt_text, fields))


def moqt_setup(options: dict[int, bytes]) -> bytes:
    """SETUP with these (odd, so bytes) options."""
    body, before = b"", 0
    for kind in sorted(options):
        body += VI64.encode(kind - before) + moqt_text(options[kind])
        before = kind
    return moqt_message(SETUP, body)


def moqt_subscribe(request: int, namespace: list[str], track: str) -> bytes:
    """SUBSCRIBE without parameters: every default."""
    return moqt_message(SUBSCRIBE, VI64.encode(request), moqt_namespace(namespace), moqt_text(track), b"\x00")


def moqt_pairs(data: bytes) -> dict[int, int | bytes]:
    """Properties: delta-coded types, even ones with an integer, odd ones with bytes."""
    reader, kind, pairs = Reader(data, VI64), 0, dict[int, int | bytes]()
    while reader.left:
        kind += reader.number()
        pairs[kind] = reader.sized() if kind % 2 else reader.number()
    return pairs
