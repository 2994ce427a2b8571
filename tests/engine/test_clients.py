"""The native clients through their Python face: every transport, both event loops, refusals, cancellation."""

import asyncio
import hashlib
import time
from array import array
from collections import Counter
from typing import Any

import pytest

from spaces_ctl import engine as face
from spaces_ctl.engine import (
    ConnectionClosed,
    ConnectionFailed,
    EndSpace,
    Frame,
    Listener,
    ListenerLoad,
    Refused,
    Speaker,
    frame_hash,
)
from tests.engine.conftest import SPACE, Run, a_stage, voice
from tests.support.listening import Spoilt, again_if_spoilt

WAYS: list[dict[str, Any]] = [
    {"transport": transport, "protocol": protocol}
    for transport in ("quic", "webtransport")
    for protocol in ("moqt-18", "moq-lite-05")
]
SPEAKS: dict[str, Any] = {"complexity": 3}


async def _silence_until_told(speaker: Speaker) -> None:
    while True:
        await speaker.send_silence()
        await asyncio.sleep(0.01)


async def take(listener: Listener, seats: dict[int, int]) -> list[Frame]:
    """Frames until so many of each seat are there. Raises Spoilt if they do not come."""
    frames: list[Frame] = []
    try:
        async with asyncio.timeout(20):
            async for batch in listener.frames():
                frames += batch
                count = Counter(frame.seat for frame in frames)
                if all(count[seat] >= wanted for seat, wanted in seats.items()):
                    break
    except TimeoutError:
        # A frame that a busy machine makes late for its tick is dropped, and does not come any more.
        raise Spoilt(f"{Counter(frame.seat for frame in frames)} of {seats}") from None
    return frames


def test_the_hash_of_a_frame_is_one_that_anybody_can_compute() -> None:
    assert frame_hash(3, b"abc") == int.from_bytes(hashlib.sha256(b"\x03abc").digest()[:8])
    with pytest.raises(ValueError, match="seat 13"):
        frame_hash(13, b"abc")


@pytest.mark.alone
@again_if_spoilt
def test_what_is_spoken_is_heard_over_every_transport(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage, asyncio.TaskGroup() as tasks:
            speaker = Speaker(stage.url, token=stage.token(1), seat=1, certificate_sha256=stage.pin, **SPEAKS)
            listeners = [Listener(stage.url, certificate_sha256=stage.pin, **way) for way in WAYS]
            async with speaker, listeners[0], listeners[1], listeners[2], listeners[3]:
                takes = [tasks.create_task(take(listener, {1: 26})) for listener in listeners]
                await asyncio.sleep(0)
                began = time.monotonic()
                await speaker.speak_pcm(voice(0.5))
                await speaker.flush()
                assert time.monotonic() - began >= 0.48, "in real time"
                log = speaker.sent_log()
                assert len(log) == 26
                assert speaker.stats().sent == 26
                assert speaker.sent_log() == []
                for heard in await asyncio.gather(*takes):
                    assert [frame_hash(frame.seat, frame.opus) for frame in heard] == [entry[1] for entry in log]
                    assert [frame.start for frame in heard] == [True] + [False] * 25
                    assert heard[-1].end
                    assert all(frame.received_at_us >= sent for frame, (_, _, sent) in zip(heard, log, strict=True))
                for listener in listeners:
                    assert listener.stats().duplicates == listener.stats().refused == 0

    run(main())


@pytest.mark.parametrize("way", [WAYS[0], WAYS[2], WAYS[3]])
@pytest.mark.alone
@again_if_spoilt
def test_opus_goes_through_untouched(run: Run[None], way: dict[str, Any]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            speaker = Speaker(stage.url, token=stage.token(0), seat=0, certificate_sha256=stage.pin, **way)
            async with speaker, Listener(stage.url, certificate_sha256=stage.pin) as listener:
                heard = asyncio.create_task(take(listener, {0: 10}))
                await asyncio.sleep(0)
                packets = [b"\xf8" + bytes([n, 1, 2, 3]) for n in range(10)]
                for packet in packets:
                    await speaker.send_opus(packet, level=33, end=packet is packets[-1], paced=True)
                assert [(frame.opus, frame.level) for frame in await heard] == [(p, 0x80 | 33) for p in packets]
                with pytest.raises(ValueError, match="20 ms"):
                    await speaker.send_opus(b"\x70")
                with pytest.raises(ValueError, match="level"):
                    await speaker.send_opus(packets[0], level=128)

    run(main())


@pytest.mark.alone
@again_if_spoilt
def test_the_mixed_sound_comes_in_real_time_and_is_the_voice(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            speaker = Speaker(stage.url, token=stage.token(2), seat=2, certificate_sha256=stage.pin, **SPEAKS)
            async with speaker, Listener(stage.url, certificate_sha256=stage.pin) as listener:
                speaking = asyncio.create_task(speaker.speak_pcm(voice(1.0)))
                heard = array("h")
                async for block in listener.pcm():
                    assert len(block) == 1_920
                    heard.frombytes(block)
                    if len(heard) >= 48_000 * 3 // 2:
                        break
                await speaking
                energy = sum(sample * sample for sample in heard) / sum(sample * sample for sample in voice(1.0))
                if not 0.6 < energy < 1.4:
                    raise Spoilt(f"energy {energy:.2f}")
                assert len(listener.pull(480)) == 960

    run(main())


def test_refusals_are_exceptions_with_the_policys_code(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            for way in (WAYS[0], WAYS[2], WAYS[3]):
                clients: list[tuple[Speaker | Listener, str]] = [
                    (
                        Speaker(stage.url, token=stage.token(1), seat=0, certificate_sha256=stage.pin, **way),
                        "role.forbidden",
                    ),
                    (Listener(stage.url, token="a.b.c", certificate_sha256=stage.pin, **way), "auth.token_invalid"),
                    (Listener(stage.url + "x", certificate_sha256=stage.pin, **way), "space.not_found"),
                ]
                for client, code in clients:
                    with pytest.raises(Refused) as raised:
                        async with client:
                            pass
                    assert raised.value.code == code
                    assert code in face.REFUSALS
            with pytest.raises(ConnectionFailed, match="protocol"):
                async with Listener(stage.url, certificate_sha256=bytes(32)):
                    pass
            for url in ("http://127.0.0.1/spaces/1", "nonsense", "https://127.0.0.1/"):
                with pytest.raises(ValueError, match="URL"):
                    async with Listener(url, certificate_sha256=stage.pin):
                        pass

    run(main())


def test_the_end_of_the_space_ends_the_iterators(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            speaker = Speaker(stage.url, token=stage.token(0), seat=0, certificate_sha256=stage.pin)
            async with speaker, Listener(stage.url, certificate_sha256=stage.pin) as listener:
                heard = asyncio.create_task(take(listener, {0: 1}))
                await asyncio.sleep(0)
                await stage.engine.apply(EndSpace(space=SPACE, version=2))
                with pytest.raises(Refused) as raised:
                    await heard
                assert raised.value.code == "state.ended"
                with pytest.raises(Refused, match=r"state\.ended"):
                    await _silence_until_told(speaker)

    run(main())


def test_closing_ends_iterators_quietly_and_calls_loudly(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            listener = Listener(stage.url, certificate_sha256=stage.pin)
            with pytest.raises(ConnectionClosed):
                listener.stats()
            async with listener:
                heard = asyncio.create_task(take(listener, {0: 1}))
                await asyncio.sleep(0.05)
                await listener.aclose()
                assert await heard == []
            with pytest.raises(ConnectionClosed):
                async with listener:
                    pass
            async with Speaker(stage.url, token=stage.token(0), seat=0, certificate_sha256=stage.pin) as speaker:
                await speaker.aclose()
                with pytest.raises(ConnectionClosed):
                    await speaker.send_pcm(voice(0.1))

    run(main())


@pytest.mark.alone
@again_if_spoilt
def test_who_is_cancelled_falls_silent_and_may_go_on(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            speaker = Speaker(stage.url, token=stage.token(0), seat=0, certificate_sha256=stage.pin, **SPEAKS)
            async with speaker, Listener(stage.url, certificate_sha256=stage.pin) as listener:
                speaking = asyncio.create_task(speaker.speak_pcm(voice(5.0)))
                await take(listener, {0: 5})
                speaking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await speaking
                said = len(speaker.sent_log())
                await asyncio.sleep(0.2)
                assert len(speaker.sent_log()) <= 1, "a frame may have been on its way"
                assert said < 200
                # A cancelled iterator loses no frame that another one would get.
                waiting = asyncio.create_task(take(listener, {9: 1}))
                await asyncio.sleep(0.05)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                heard = asyncio.create_task(take(listener, {0: 10}))
                await speaker.speak_pcm(voice(0.3))
                assert len(await heard) >= 10

    run(main())


def test_connecting_can_be_given_up(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            # A port that swallows: nothing answers there.
            loop = asyncio.get_running_loop()
            hole, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
            port = hole.get_extra_info("sockname")[1]
            url = stage.url.replace(str(stage.engine.port), str(port))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2), Listener(url, certificate_sha256=stage.pin):
                    pass
            hole.close()

    run(main())


def test_pcm_of_another_kind_is_a_type_error(run: Run[None]) -> None:
    async def main() -> None:
        async with (
            a_stage() as stage,
            Speaker(stage.url, token=stage.token(0), seat=0, certificate_sha256=stage.pin) as speaker,
        ):
            with pytest.raises(TypeError, match="format"):
                await speaker.send_pcm(array("f", [0.0]))
            with pytest.raises(ValueError, match="16 bits"):
                await speaker.send_pcm(b"\0\0\0")
            await speaker.send_pcm(bytearray(4))

    run(main())


@pytest.mark.alone
@again_if_spoilt
def test_a_load_counts_every_frame_of_every_listener(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            speakers = [
                Speaker(stage.url, token=stage.token(seat), seat=seat, certificate_sha256=stage.pin, **SPEAKS)
                for seat in range(2)
            ]
            load = ListenerLoad(stage.url, listeners=40, certificate_sha256=stage.pin)
            async with load, speakers[0], speakers[1]:
                await load.joined()
                counts = await stage.engine.counts(SPACE)
                assert counts is not None
                assert counts.guests == 40
                await asyncio.gather(*(speaker.speak_pcm(voice(0.5)) for speaker in speakers))
                await asyncio.gather(*(speaker.flush() for speaker in speakers))
                log = [entry for speaker in speakers for entry in speaker.sent_log()]
                assert load.stats().delivered == 0
                load.add_sent(log)
                # Two seconds: what is not there by then was not sent.
                for _ in range(40):
                    if load.received() == [len(log)] * 40:
                        break
                    await asyncio.sleep(0.05)
                stats = load.stats()
                assert stats.joined == stats.began == 40
                # On a machine that is too busy the engine may drop a frame that comes late: then for all.
                each = load.received()[0]
                if each < len(log) - 3:
                    raise Spoilt(f"{each} of {len(log)} frames")
                assert each <= len(log)
                assert load.received() == [each] * 40
                assert stats.expected == stats.delivered == sum(stats.latency.values()) == 40 * each
                assert stats.duplicates == stats.unmatched == stats.corrupt == stats.unheard == stats.failed == 0
                assert 0 < stats.p50_us <= stats.p99_us
                assert 0 < stats.join_p50_us <= stats.join_p99_us

    run(main())


def test_a_load_that_is_refused_says_why(run: Run[None]) -> None:
    async def main() -> None:
        async with (
            a_stage(guests=False) as stage,
            ListenerLoad(stage.url, listeners=3, certificate_sha256=stage.pin) as load,
        ):
            with pytest.raises(ConnectionFailed, match=r"auth\.token_missing"):
                await load.joined()
            assert load.stats().failed == 3

    run(main())
