"""Implementations that share no code with ours, against a running server: what goes in at the seats comes out."""

import asyncio
import hashlib
import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peers import moq_rs_listener, wire
from tests.peers.aioquic_listener import Heard, Refused, Way, listen
from tests.peers.aioquic_speaker import speak
from tests.peers.fake_server import hum, opus_frames
from tests.peers.room import SEATS, STATE, Room

pytestmark = pytest.mark.alone

WAYS: list[tuple[Way, str]] = [
    ("webtransport", wire.LITE),
    ("webtransport", wire.MOQT),
    ("quic", wire.LITE),
    ("quic", wire.MOQT),
]
SECONDS = 2
CARGO = shutil.which("cargo")
Voices = dict[int, list[bytes]]
"""Opus packets by seat."""
firsts = itertools.count(step=100_000)
"""Each speaker counts its frames from elsewhere, as people who connect again do."""


@pytest.fixture(scope="module")
def voices() -> Voices:
    return {seat: opus_frames(hum(SECONDS, 140 + 50 * seat)) for seat in (0, 5, 12)}


async def talk(room: Room, voices: Voices, way: Way = "webtransport", protocol: str = wire.LITE) -> None:
    """All of them at once, each over a connection of its own."""

    async def one(seat: int, opus: list[bytes]) -> None:
        where = (room.host, room.port, room.space, seat)
        token = room.tokens[seat]
        async with speak(*where, token=token, way=way, protocol=protocol, first=next(firsts)) as speaking:
            await speaking.talk(opus)
            await asyncio.sleep(0.3)

    await asyncio.gather(*(one(seat, opus) for seat, opus in voices.items()))


def digests(frames: list[Heard], seat: int) -> list[str]:
    """Of one seat's packets, each group once, in order of media time."""
    return [digest for _, digest in sorted({(frame.group, frame.sha256) for frame in frames if frame.seat == seat})]


def packets(payloads: list[bytes]) -> list[str]:
    """The digests in these bundles, each packet once."""
    return [
        hashlib.sha256(entry.opus).hexdigest()
        for payload in payloads
        for entry in wire.bundle(payload)
        if not entry.redundant
    ]


class Ledger:
    """Compares what was heard with what was spoken, and what is missing with what the server says it left out.

    On a machine that is busy with other things a speaker's packet may come too late for its tick, or a listener may be
    skipped ahead: such a packet is counted by the server, and nothing else may be missing.
    """

    def __init__(self, room: Room) -> None:
        self.room = room
        self.before = self._left_out()
        self.missing = 0

    def _left_out(self) -> int:
        stats = self.room.stats()
        return stats.verdicts["late"] + stats.skipped

    def compare(self, heard: list[str], opus: list[bytes], *, all_of_it: bool = True) -> None:
        """`heard` are the spoken packets, in order, but for what is missing (and the end, unless `all_of_it`)."""
        spoken = [hashlib.sha256(packet).hexdigest() for packet in opus]
        if not all_of_it:
            spoken = spoken[: spoken.index(heard[-1]) + 1]
        rest = iter(spoken)
        assert all(digest in rest for digest in heard), "a packet that was not spoken, or not in this order"
        assert len(heard) >= 0.8 * len(spoken)
        self.missing += len(spoken) - len(heard)

    def close(self) -> None:
        """Call it last."""
        assert self.missing <= self._left_out() - self.before, (
            "packets are missing that the server does not account for"
        )


@pytest.mark.parametrize(("way", "protocol"), WAYS)
def test_aioquic_hears_the_very_packets_that_were_spoken(room: Room, voices: Voices, way: Way, protocol: str) -> None:
    async def run() -> None:
        tracks = ("stage", "stage.1", "state", "catalog")
        where = (room.host, room.port, room.space)
        async with listen(*where, way=way, protocol=protocol, tracks=tracks) as listening:
            await listening.until(lambda it: "state" in it.objects and "catalog" in it.objects)
            ledger = Ledger(room)
            await talk(room, voices, way, protocol)
        for seat, opus in voices.items():
            ledger.compare(digests(listening.heard, seat), opus)
            spurts = [(frame.start, frame.end) for frame in listening.heard if frame.seat == seat]
            assert spurts[0] == (True, False), "what comes first begins the talkspurt"
        snapshot, *counts = listening.objects["state"]
        assert (snapshot.object, snapshot.payload) == (0, STATE)
        assert counts, "behind the snapshot, in its group, comes how many people there are"
        assert all(got.group == snapshot.group and got.object > 0 for got in counts)
        assert all("counts" in json.loads(got.payload) for got in counts)
        assert {track["name"] for track in json.loads(listening.objects["catalog"][-1].payload)["tracks"]} >= {"stage"}
        assert all(got.datagram and got.timestamp == 960 * got.group for got in listening.objects["stage"])
        assert not listening.refused
        ledger.close()

    asyncio.run(run())


def test_a_full_stage_talks_at_once_and_every_packet_arrives(room: Room) -> None:
    opus = opus_frames(hum(SECONDS, 220))

    async def run() -> None:
        async with listen(room.host, room.port, room.space) as listening:
            await asyncio.sleep(0.3)
            ledger = Ledger(room)
            await talk(room, dict.fromkeys(range(SEATS), opus))
        for seat in range(SEATS):
            ledger.compare(digests(listening.heard, seat), opus)
        ledger.close()

    asyncio.run(run())


def test_who_is_on_stage_does_not_hear_itself(room: Room, voices: Voices) -> None:
    async def run() -> None:
        async with listen(room.host, room.port, room.space, token=room.tokens[5]) as listening:
            await asyncio.sleep(0.3)
            await talk(room, {seat: opus for seat, opus in voices.items() if seat != 5})
        assert {frame.seat for frame in listening.heard} == {0, 12}

    asyncio.run(run())


@pytest.mark.parametrize(("way", "protocol"), WAYS)
def test_what_is_not_there_is_refused_and_the_rest_goes_on(room: Room, way: Way, protocol: str) -> None:
    async def run() -> None:
        where = (room.host, room.port, room.space)
        async with listen(*where, way=way, protocol=protocol, tracks=("nonsense", "stage", "state")) as listening:
            await listening.until(lambda it: "nonsense" in it.refused and "state" in it.objects)
        assert set(listening.refused) == {"nonsense"}

    asyncio.run(run())


def test_a_wrong_token_is_refused(room: Room) -> None:
    async def run() -> None:
        async with listen(room.host, room.port, room.space, token="e30.e30.AAAA") as listening:
            await listening.until(lambda it: bool(it.objects))

    with pytest.raises(Refused):
        asyncio.run(run())


def test_a_seat_is_not_given_to_whom_it_does_not_belong(room: Room) -> None:
    async def run() -> None:
        async with speak(room.host, room.port, room.space, 3, token=room.tokens[4]):
            pass

    with pytest.raises((Refused, TimeoutError)):
        asyncio.run(run())


@pytest.mark.parametrize("url", ["https", "https moqt-18", "moqt"], ids=["lite over WebTransport", "moqt", "raw QUIC"])
def test_moq_rs_takes_every_packet(room: Room, voices: Voices, url: str) -> None:
    scheme, _, protocol = url.partition(" ")
    address = f"{scheme}://{room.host}:{room.port}/spaces/{room.space}" + (f"?protocol={protocol}" if protocol else "")

    async def run() -> None:
        taking = asyncio.create_task(
            moq_rs_listener.take(
                address, room.space, datagrams=["stage"], groups=["state", "catalog"], count=SECONDS * 40
            )
        )
        await asyncio.sleep(1.0)
        ledger = Ledger(room)
        await talk(room, {0: voices[0]})
        taken = await taking
        assert taken.announced == f"spaces/{room.space}"
        ledger.compare(packets([payload for _, payload in taken.datagrams["stage"]]), voices[0], all_of_it=False)
        ledger.close()
        assert taken.groups["state"][0][1] == [STATE]
        assert b'"stage"' in taken.groups["catalog"][0][1][0]

    asyncio.run(run())


@pytest.mark.heavy
@pytest.mark.skipif(CARGO is None, reason="needs a Rust toolchain")
def test_moqtap_client_takes_every_packet(room: Room, voices: Voices) -> None:
    crate = Path(__file__).parent / "moqtap"
    target = Path(__file__).parents[2] / "target" / "moqtap"
    build = ["cargo", "build", "--quiet", "--locked", "--manifest-path", str(crate / "Cargo.toml")]
    subprocess.run([*build, "--target-dir", str(target)], check=True)

    ledger = Ledger(room)

    async def run() -> bytes:
        program = target / "debug" / "moqtap-listener"
        tracks = ("stage", "state=stream", "catalog=stream")
        listening = await asyncio.create_subprocess_exec(
            program, f"{room.host}:{room.port}", room.space, str(SECONDS * 40), *tracks, stdout=subprocess.PIPE
        )
        await asyncio.sleep(1.0)
        await talk(room, {0: voices[0]})
        output, _ = await listening.communicate()
        assert listening.returncode == 0
        return output

    lines = [line.split() for line in asyncio.run(run()).decode().splitlines()]
    payloads = {track: [bytes.fromhex(line[3]) for line in lines if line[0] == track] for track in ("stage", "state")}
    ledger.compare(packets(payloads["stage"]), voices[0], all_of_it=False)
    ledger.close()
    assert payloads["state"][0] == STATE
    assert all(line[2] == "0" for line in lines if line[0] == "stage"), "one object a group"
