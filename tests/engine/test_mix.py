"""The mix, captions and taps through the Python face, under both event loops."""

import asyncio
import json
import time
from array import array

import pytest

from spaces_ctl.engine import (
    CaptionLine,
    EndSpace,
    Listener,
    MixFrame,
    Refused,
    SeatFrame,
    SeatTap,
    Speaker,
    StageRow,
    UpsertSpace,
)
from tests.engine.conftest import SPACE, Run, Stage, a_stage, voice
from tests.support.listening import Spoilt, again_if_spoilt
from tests.support.patience import PATIENCE_S

BEGAN = int(time.time() * 1_000) - 5_000


def rows(*, captioned: int | None = None, muted: int | None = None, generation: int = 1) -> list[StageRow]:
    return [
        StageRow(
            seat=seat,
            account=100 + seat,
            role="speaker",
            muted=seat == muted,
            caption=seat == captioned,
            generation=generation,
        )
        for seat in range(3)
    ]


def table(version: int, stage: list[StageRow], *, guests: bool = True) -> UpsertSpace:
    return UpsertSpace(space=SPACE, version=version, guests=guests, started_at_ms=BEGAN, stage=stage)


def speaker(stage: Stage, seat: int) -> Speaker:
    return Speaker(stage.url, token=stage.token(seat), seat=seat, certificate_sha256=stage.pin, complexity=3)


@pytest.mark.alone
@again_if_spoilt
def test_a_listener_of_the_mix_gets_one_stream_of_all_and_its_sound(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage(mix=True) as stage, asyncio.TaskGroup() as tasks:
            mix = Listener(stage.url, certificate_sha256=stage.pin, track="mix")
            async with speaker(stage, 0) as one, speaker(stage, 1) as two, mix:
                packets: list[MixFrame] = []

                async def collect() -> None:
                    async for batch in mix.mix():
                        packets.extend(batch)

                heard = array("h")

                async def listen() -> None:
                    async for block in mix.pcm():
                        heard.frombytes(block)

                collecting = [tasks.create_task(collect()), tasks.create_task(listen())]
                await asyncio.sleep(0)
                await asyncio.gather(one.speak_pcm(voice(2)), two.speak_pcm(voice(2)))
                await asyncio.gather(one.flush(), two.flush())
                async with asyncio.timeout(PATIENCE_S):
                    while not (packets and packets[-1].end and len(heard) >= 2.2 * 48_000):
                        await asyncio.sleep(0.05)
                for task in collecting:
                    task.cancel()
                await asyncio.gather(*collecting, return_exceptions=True)
                both = sum(packet.ticks for packet in packets if packet.levels.keys() == {0, 1})
                if both < 90:
                    raise Spoilt(f"{both} ticks of 100 have both")
                assert packets[0].start
                assert packets[-1].end
                assert {packet.ticks for packet in packets} <= {1, 2, 3}
                assert all(0 < len(packet.opus) < 1_100 for packet in packets)
                said = sum(sample * sample for sample in voice(2))
                energy = sum(sample * sample for sample in heard) / said
                # Two tones of the same pitch, at some phase to one another.
                if not 0.5 < energy < 4.5:
                    raise Spoilt(f"energy {energy:.2f}")
                stats = mix.stats()
                assert stats.frames == len(packets)
                assert stats.refused == stats.duplicates == stats.overflowed == 0
                mixer = (await stage.engine.stats()).mixer
                assert mixer.packets >= len(packets) - 5
                assert mixer.dropped == 0
                assert 0 < mixer.cpu_seconds < 1

    run(main())


def test_a_space_is_mixed_only_if_told_to(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            with pytest.raises(Refused) as refused:
                async with Listener(stage.url, certificate_sha256=stage.pin, track="mix"):
                    pass
            assert refused.value.code == "track.not_found"
            with pytest.raises(ValueError, match="'stage', 'mix'"):
                async with Listener(stage.url, certificate_sha256=stage.pin, track="choir"):  # type: ignore[arg-type]  # that is what is refused
                    pass

    run(main())


def test_captions_need_the_consent_of_who_sits_there_now(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage(started_at_ms=BEGAN) as stage:
            await stage.engine.apply(table(2, rows(captioned=1)))
            line = json.dumps({"seat": 1, "text": "Guten Tag!"}).encode()
            await stage.engine.caption(SPACE, 1, 1, b"before")
            async with Listener(stage.url, certificate_sha256=stage.pin, captions=True) as listener:
                await stage.engine.caption(SPACE, 1, 1, line)
                read: list[CaptionLine] = []
                async with asyncio.timeout(PATIENCE_S):
                    async for caption in listener.captions():
                        read.append(caption)
                        if len(read) == 2:
                            break
                assert [caption.payload for caption in read] == [b"before", line]
                assert read[0].group < read[1].group
            for seat, generation in ((0, 1), (1, 0), (1, 2), (12, 1)):
                with pytest.raises(Refused) as refused:
                    await stage.engine.caption(SPACE, seat, generation, line)
                assert refused.value.code == "captions.no_consent"
            with pytest.raises(ValueError, match="4097 bytes"):
                await stage.engine.caption(SPACE, 1, 1, b"x" * 4_097)
            with pytest.raises(ValueError, match="seat 13"):
                await stage.engine.caption(SPACE, 13, 1, line)
            await stage.engine.apply(table(3, rows()))
            with pytest.raises(Refused):
                await stage.engine.caption(SPACE, 1, 1, line)
            with pytest.raises(Refused) as refused:
                await stage.engine.caption(SPACE + 1, 1, 1, line)
            assert refused.value.code == "space.not_found"
            await stage.engine.apply(EndSpace(space=SPACE, version=9))
            with pytest.raises(Refused) as refused:
                await stage.engine.caption(SPACE, 1, 1, line)
            assert refused.value.code == "state.ended"

    run(main())


def test_a_tap_hears_who_consents_as_long_as_that_is_so(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage(started_at_ms=BEGAN) as stage, asyncio.TaskGroup() as tasks:
            await stage.engine.apply(table(2, rows(captioned=1), guests=False))
            token = stage.signer.mint(account=None, sid=77, service=True)
            tap = SeatTap(stage.url, token=token, certificate_sha256=stage.pin)
            async with tap, speaker(stage, 0) as one, speaker(stage, 1) as two:
                counts = await stage.engine.counts(SPACE)
                assert counts is not None
                assert (counts.named, counts.anonymous, counts.guests) == (2, 0, 0)
                heard: list[SeatFrame] = []

                async def collect() -> None:
                    async for frames in tap:
                        heard.extend(frames)

                async def heard_of(seat: int, generation: int) -> None:
                    async with asyncio.timeout(PATIENCE_S):
                        while sum((frame.seat, frame.generation) == (seat, generation) for frame in heard) < 10:
                            await asyncio.sleep(0.01)

                collecting = tasks.create_task(collect())
                talking = [tasks.create_task(one.speak_pcm(voice(20))), tasks.create_task(two.speak_pcm(voice(20)))]
                await heard_of(1, 1)
                assert {frame.seat for frame in heard} == {1}
                assert heard[0].start
                changed = await stage.engine.apply(table(3, rows(captioned=0), guests=False))
                await heard_of(0, 1)
                assert all(frame.group <= changed.fence_group for frame in heard if frame.seat == 1)
                # The seat changes hands: what comes is the new generation's.
                changed = await stage.engine.apply(table(4, rows(captioned=0, generation=2), guests=False))
                await heard_of(0, 2)
                assert all(frame.generation == 2 for frame in heard if frame.group > changed.fence_group)
                stats = tap.stats()
                assert stats.frames >= len(heard)
                assert stats.refused == stats.overflowed == 0
                for task in (collecting, *talking):
                    task.cancel()
                await asyncio.gather(collecting, *talking, return_exceptions=True)

    run(main())


def test_a_tap_is_for_services_and_a_service_for_nothing_else(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage(mix=True) as stage:
            service = stage.signer.mint(account=100, sid=77, service=True)
            for client in (
                Listener(stage.url, token=service, certificate_sha256=stage.pin),
                Listener(stage.url, token=service, certificate_sha256=stage.pin, track="mix"),
                Speaker(stage.url, token=service, seat=0, certificate_sha256=stage.pin),
            ):
                with pytest.raises(Refused) as refused:
                    async with client:
                        pass
                assert refused.value.code == "role.forbidden"

    run(main())


def test_a_listener_who_is_told_takes_the_mix_to_save_data_and_gives_it_back(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage(mix=True) as stage, asyncio.timeout(PATIENCE_S):
            told = Listener(stage.url, certificate_sha256=stage.pin, track="told")
            async with speaker(stage, 0) as one, told:
                assert told.stats().tier == "stage"
                talk = asyncio.create_task(one.speak_pcm(voice(10)))
                for save, tier in ((True, "mix"), (False, "stage")):
                    told.save_data(save)
                    while told.stats().tier != tier:
                        await asyncio.sleep(0.02)
                assert told.stats().changes == 2
                talk.cancel()
                await asyncio.gather(talk, return_exceptions=True)

    run(main())
