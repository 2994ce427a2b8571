"""Live segments of the mix: whole, on a grid, whatever the mix leaves out; made while somebody asks, and no longer."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import av
import pytest

from spaces_ctl.clock import ManualClock
from spaces_ctl.engine import ConnectionFailed, MixFrame
from spaces_ctl.media import fragments
from spaces_ctl.media.aac import FRAME
from spaces_ctl.media.errors import MediaError
from spaces_ctl.media.fragments import Codec
from spaces_ctl.media.live import Broadcast, LiveMaker
from spaces_ctl.media.live_playlist import live_main_playlist, live_playlist
from spaces_ctl.media.live_requests import LIVE_MS, Hear, Heard, LiveSegment
from spaces_ctl.segments import silence

ASKED = Hear(space=7, url="https://e/spaces/7", token="t", certificate_sha256=b"", started_at_ms=1_000)


def packet(group: int) -> MixFrame:
    return MixFrame(group=group, ticks=3, start=False, end=False, levels={0: 20}, opus=silence(3), received_at_us=0)


def decoded(segments: list[bytes]) -> int:
    """Samples that a player gets of them."""
    data = fragments.initialisation(Codec.AAC) + b"".join(segments)
    with av.open(io.BytesIO(data), "r") as container:
        return sum(int(frame.samples) for frame in container.decode(audio=0))


def test_segments_begin_on_a_grid_and_lack_nothing() -> None:
    maker = LiveMaker(130)
    made = []
    # From the middle of a segment on, with a pause and a stray that comes too late.
    for group in [*range(200, 320, 3), *range(500, 803, 3), 500]:
        made += maker.take(group, 3, silence(3))
    numbers = [segment.number for segment, _ in made]
    assert numbers == [2, 3, 4, 5, 6, 7]
    assert all(abs(segment.samples - 96_000) < FRAME for segment, _ in made)
    frames = sum(segment.samples for segment, _ in made)
    assert abs(frames - 6 * 96_000) < FRAME, "no frame is missing between two segments"
    assert decoded([data for _, data in made]) == frames


def test_the_same_segment_is_made_whoever_begins_when() -> None:
    early, late = LiveMaker(0), LiveMaker(190)
    tail = [packet for group in range(200, 460, 3) for packet in late.take(group, 3, silence(3))]
    whole = [packet for group in range(0, 460, 3) for packet in early.take(group, 3, silence(3))]
    assert [segment for segment, _ in tail] == [segment for segment, _ in whole if segment.number >= 2]


def test_a_playlist_says_where_it_stands() -> None:
    heard = Heard(segments=tuple(LiveSegment(number=n, samples=96_256) for n in (41, 42, 43)), over=False)
    text = live_playlist(heard, initialisation="init.mp4", uri=lambda n: f"{n}.m4s", began_ms=1_700_000_000_000)
    assert text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-MEDIA-SEQUENCE:41",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000+00:00",
        "#EXTINF:2.005333,",
        "41.m4s",
        "#EXTINF:2.005333,",
        "42.m4s",
        "#EXTINF:2.005333,",
        "43.m4s",
    ]
    assert live_main_playlist("aac.m3u8").endswith('CODECS="mp4a.40.2"\naac.m3u8\n')


class Engine:
    """What a broadcast hears."""

    def __init__(self) -> None:
        self.packets: asyncio.Queue[list[MixFrame] | Exception] = asyncio.Queue()
        self.listening = 0

    @asynccontextmanager
    async def dial(self, asked: Hear) -> AsyncIterator[Engine]:
        self.listening += 1
        try:
            yield self
        finally:
            self.listening -= 1

    async def mix(self) -> AsyncIterator[list[MixFrame]]:
        while True:
            batch = await self.packets.get()
            if isinstance(batch, Exception):
                raise batch
            yield batch


async def test_a_broadcast_begins_with_who_asks_first_and_keeps_a_minute_at_most() -> None:
    clock, engine = ManualClock(1_000), Engine()
    broadcast = Broadcast(ASKED, clock, dial=engine.dial)
    engine.packets.put_nowait([packet(group) for group in range(0, 4_500, 3)])
    heard = await broadcast.heard()
    numbers = [segment.number for segment in heard.segments]
    assert numbers == list(range(numbers[-1] - 5, numbers[-1] + 1))
    assert not heard.over
    assert broadcast.piece(numbers[-1])[4:8] == b"styp"
    with pytest.raises(MediaError, match="live segment 0"):
        broadcast.piece(0)
    await broadcast.stop()
    assert engine.listening == 0


async def test_a_broadcast_ends_when_nobody_has_asked_for_a_minute() -> None:
    clock, engine = ManualClock(1_000), Engine()
    broadcast = Broadcast(ASKED, clock, dial=engine.dial)
    engine.packets.put_nowait([packet(group) for group in range(0, 450, 3)])
    await broadcast.heard()
    assert engine.listening == 1
    clock.advance(ms=61_000)
    while not broadcast.done:
        await asyncio.sleep(0.01)
    assert engine.listening == 0
    assert not broadcast.over


async def test_a_pause_is_silence_and_the_end_of_the_space_ends_the_playlist() -> None:
    clock, engine = ManualClock(1_000), Engine()
    broadcast = Broadcast(ASKED, clock, dial=engine.dial)
    engine.packets.put_nowait([packet(0)])
    clock.advance(ms=4 * LIVE_MS + 2_000)
    heard = await broadcast.heard()
    assert [segment.number for segment in heard.segments][:3] == [0, 1, 2]
    engine.packets.put_nowait(ConnectionFailed("the Space has ended"))
    while not broadcast.done:
        await asyncio.sleep(0.01)
    heard = await broadcast.heard()
    assert heard.over


async def test_who_asks_for_what_never_comes_is_told() -> None:
    clock, engine = ManualClock(1_000), Engine()
    broadcast = Broadcast(ASKED, clock, dial=engine.dial)
    with pytest.raises(MediaError, match="nothing"):
        await broadcast.heard(patience_s=0.05)
    await broadcast.stop()
