#!/usr/bin/env python3
"""Writes the hand-made seeds of the corpus: recorded sessions, whole files, a short life of a Space.

Run it when a target's input layout changes. What the fuzzer found since lies beside them, named by its hash.
"""

import re
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
VECTORS = HERE.parent / "moqt" / "tests" / "vectors"
VOICE = HERE.parent / "core" / "tests" / "data" / "voice.opus"
SEGMENT = HERE.parent / "core" / "tests" / "data" / "segment.hex"


def seed(target: str, name: str, data: bytes) -> None:
    """Writes one seed of a target."""
    directory = HERE / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"seed-{name}").write_bytes(data)


def session(text: str, server: bool) -> bytes:
    """What the peer of a recorded session said, as steps of `session::run`."""
    steps = bytearray([0b10 if server else 0b11])
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words[:1] == ["peer"] and (stream := re.fullmatch(r"(uni|bi)(\d+)", words[1])):
            data = bytes.fromhex("".join(words[2:]))
            for at in range(0, len(data), 200):
                piece = data[at : at + 200]
                steps += bytes([0, int(stream[2]) & 0xFF, len(piece)]) + piece
        elif words == ["accepted"]:
            # An object on a stream and as a datagram, of each of the first subscriptions.
            for subscription in range(3):
                steps += bytes([subscription << 4 | 15, 0x01, 9, 3]) + b"abc"
    for stream in (0, 4, 8, 12):
        steps += bytes([6, stream])
    return bytes(steps)


def sessions() -> None:
    """Real clients and relays, as they were recorded."""
    for path in sorted(VECTORS.glob("*.txt")):
        text = path.read_text()
        target = "lite_session" if "lite" in path.name else "moqt_session"
        seed(target, path.stem.replace(".", "-"), session(text, server="We are the server" in text))


def engine() -> None:
    """A short life of a Space: people join, speak, are muted, moved, barred; it ends."""

    def table(*rows: tuple[int, int], flags: int = 0x79) -> bytes:
        return bytes([0, 0, flags, len(rows)]) + b"".join(bytes(row) for row in rows)

    host, speaker, muted, moved = (0x00, 0x10), (0x11, 0x12), (0x11, 0x16), (0x21, 0x22)
    stage = bytes([1, 0x08, 0x20, 1, 0x10, 0x43])  # host on shard 0 (key 0), speaker on shard 1 (key 1)
    joined = stage + bytes([1, 0x00, 0x04, 1, 0x04, 0x20, 1, 0x14, 0x43])  # a guest (key 2); both publish
    wanted = b"".join(bytes([1, track << 3 | 2, who]) for who in (0x04, 0x20, 0x43) for track in range(4))
    tick = bytes([2, 0x00, 0x10, 2, 0x03, 0x20, 5, 5, 0xA6, 5, 5, 0x27, 5, 6])
    life = table(host, speaker) + joined + wanted + tick * 6
    seed("engine", "talk", b"\x0c" + life)
    seed("engine", "mute", b"\x0c" + life + table(host, muted) + tick * 3 + table(host, speaker) + tick * 3)
    seed("engine", "seat-changes-hands", b"\x0c" + life + table(host, moved) + tick * 3)
    seed("engine", "mic-closed", b"\x00" + life + table(host, speaker, flags=0x59) + tick * 3)
    seed("engine", "ends", b"\x0c" + life + bytes([0, 14, 0x40]) + tick)
    seed("engine", "bars", b"\x0c" + life + bytes([0, 10, 0x42]) + tick + bytes([1, 7, 0x43]) + tick)


def web() -> None:
    """HTTP/3 as browsers and servers begin it."""

    def on(stream: int, data: str, fin: bool = False) -> bytes:
        raw = bytes.fromhex(data)
        return bytes([6 if fin else 0, stream, len(raw)]) + raw

    # SETTINGS that Chromium sends, a CONNECT (QPACK static table and literals), a stream and a datagramless close.
    settings = on(2, "00 04 0e 01 00 06 80 00 40 00 07 40 64 33 01 08 01") + on(6, "02") + on(10, "03")
    fields = "0000 cf d7 50 04 68 6f 73 74 51 09 2f 73 70 61 63 65 73 2f 31"
    fields += "27 02 3a70726f746f636f6c 0c 776562 7472616e73706f7274"
    connect = on(0, f"01 {len(bytes.fromhex(fields)):02x} {fields}")
    seed("webtransport", "settings", b"\x00" + settings + connect)
    seed("webtransport", "streams", b"\x00" + connect + on(4, "4041 00 6162") + on(14, "4054 00 7879", fin=True))
    seed("webtransport", "early", b"\x00" + on(14, "4054 00 7879") + on(14, "7a") + connect + on(14, "7b", fin=True))
    seed("webtransport", "close", b"\x00" + connect + on(0, "00 08 6843 05 00000001 78"))
    server = on(3, "00 04 18 80ff d277 01 ab60 3742 01 08 01 33 01 94e9cd29 01 ac7cf000 01")
    seed("webtransport", "client", b"\x01" + server + on(0, "01 03 0000 d9") + on(15, "4054 00 61"))


def lane() -> None:
    """Datagrams and a packet of quinn-proto's leave; the peer acknowledges them, or what never left."""
    sealed = b"\x00" * 4 + b"\x02" + b"\x00" * 2
    seed("lane", "acknowledged", sealed + b"\x06\x05" + bytes.fromhex("0203000003"))
    seed("lane", "quinn", sealed + b"\x04\x08" + bytes.fromhex("01 0206000006 3161"))
    seed("lane", "never", sealed + b"\x0e\x05" + bytes.fromhex("0237000000") + b"\x04\x05" + bytes.fromhex("0237000000"))


def websocket() -> None:
    """QMux: streams and datagrams between two ends, and messages that nobody sends."""
    exchange = bytes([6, 5])
    stream = bytes([1, 3]) + b"abc"
    seed("websocket", "streams", b"\x00" + exchange + stream + bytes([8, 2]) + b"xy" + exchange * 2)
    seed("websocket", "many", b"\x00" + exchange + (stream + exchange) * 40)
    seed("websocket", "stop", b"\x00" + exchange + stream + exchange + bytes([3, 0]) + exchange)
    seed("websocket", "datagram", b"\x00" + exchange + bytes([2, 3]) + b"abc" + exchange)
    parameters = bytes.fromhex("ff5153300d0a0d0a 00")
    for name, frame in (("crypto", "06 00 00"), ("hole", "0e 02 09 01 01"), ("limit", "0a 41 00 00"), ("twice", "")):
        hostile = bytes.fromhex(frame) or parameters
        seed("websocket", name, bytes([1, 4, len(parameters)]) + parameters + bytes([4, len(hostile)]) + hostile)
    fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    fields += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: qmux-02.moqt-18, moq-lite-05\r\n"
    seed("websocket", "upgrade", f"GET /spaces/1?jwt=a HTTP/1.1\r\n{fields}\r\n".encode())


def token() -> None:
    """Join tokens: good, changed, and signed claims of other shapes."""
    claims = b'{"iss":"us","aud":"spaces","sub":"42","sid":"9","exp":1800000060,"epoch":1,"anon":false}'
    seed("token", "good", b"\x01")
    seed("token", "changed", bytes([1, 40, 65]))
    seed("token", "signed", b"\x02\x00" + claims)
    seed("token", "guest", b"\x02\x00" + claims.replace(b'"sub":"42",', b"").replace(b'"spaces"', b'["spaces","x"]'))
    seed("token", "late", b"\x02\x00" + claims.replace(b"1800000060", b"1"))
    seed("token", "header", b'\x02{"alg":"Ed25519","kid":"k","typ":"JWT"}\x00' + claims)
    seed("token", "bytes", b"\x00eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.e30.AAAA")


def pages(data: bytes) -> list[bytes]:
    """The pages of an Ogg file."""
    starts = [match.start() for match in re.finditer(b"OggS", data)] + [len(data)]
    return [data[a:b] for a, b in pairwise(starts)]


def packets(data: bytes) -> list[bytes]:
    """The packets of an Ogg Opus file behind its two headers."""
    found, current = [], b""
    for page in pages(data):
        count = page[26]
        at = 27 + count
        for length in page[27 : 27 + count]:
            current += page[at : at + length]
            at += length
            if length < 255:
                found.append(current)
                current = b""
    return found[2:]


def media() -> None:
    """Frames, bundles, tracks and logs."""
    voice = packets(VOICE.read_bytes())
    loud = [packet for packet in voice if len(packet) < 120][:12]
    seed("uplink", "frame", bytes([0x80 | 30, 1]) + loud[0])
    seed("uplink", "end", bytes([127, 2, 0x78]))
    entries = [bytes([seat | 0x10, 0x80 | 30]) + varint(len(packet)) + packet for seat, packet in enumerate(loud[:5])]
    seed("bundle", "five", b"".join(entries))
    seed("bundle", "redundant", bytes([0x41, 40]) + varint(len(loud[0])) + loud[0] + entries[2])
    seed("receiver", "bundles", bytes([0x21]) + b"".join(bytes([5, len(entry)]) + entry + b"\x00" for entry in entries))
    seed("receiver", "stage", bytes([0x21]) + bytes([0x0D, 2, 77, 66, 0x1D, 1, 5, 0x00]) * 20)
    front = pages(VOICE.read_bytes())[0]
    seed("ogg_end", "page", front + pages(VOICE.read_bytes())[-1])
    seed("ogg_end", "torn", front + VOICE.read_bytes()[-600:] + b"OggS\0\0")
    steps = zip([1, 0, 0, 9, 0, 60] * 2, loud, strict=True)
    track = b"".join(bytes([step << 2, len(packet)]) + packet for step, packet in steps)
    seed("ogg_track", "voice", track)
    seed("ogg_track", "short-frames", bytes([4, 5, 0xF1, 0xFF, 0xFE, 0xFF, 0xFE, 12, 2, 0xE3, 8, 0xFF, 0, 2, 0]))
    whole = b"".join(bytes([step << 3 | 2, len(packet)]) + packet for step, packet in zip([4, 1, 1, 9], loud[:4], strict=True))
    seed("ogg_whole", "voice", bytes([10, 60, 0, 2]) + whole)
    seed("ogg_whole", "across", bytes([11, 7, 5, 0]) + bytes([3 << 3 | 6, 8]) + b"\xfb\x03" + b"\xff\xfe" * 3 + whole)
    log = bytes.fromhex(re.sub(r"\s", "", SEGMENT.read_text()))
    seed("segment", "log", b"\x00" + log)
    seed("segment", "torn", b"\x00" + log[:-3])
    seed("segment", "damaged", b"\x00" + log[:100] + b"\xff" + log[101:])
    seed("segment", "header", b"\x00" + log[:20] + b"\xff" + log[21:])
    seed("segment", "note", b"\x03" + log[48:])
    seed("varint", "sizes", bytes.fromhex("25 7bbd 9d7f3e7d c2197c5eff14e88c"))


def varint(value: int) -> bytes:
    """A QUIC integer below 2^14."""
    return bytes([value]) if value < 64 else (value | 0x4000).to_bytes(2, "big")


if __name__ == "__main__":
    sessions()
    engine()
    media()
    web()
    lane()
    websocket()
    token()
