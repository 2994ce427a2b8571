"""The engine's Python face: commands, events, life and errors, under both event loops."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spaces_ctl.engine import (
    AddressInUse,
    Applied,
    Counts,
    EndSpace,
    Engine,
    EngineConfig,
    EngineError,
    Event,
    InvalidTable,
    Joined,
    Left,
    Listener,
    Refused,
    Resync,
    SeatSpeaking,
    SetAcl,
    SetRevoked,
    SetState,
    SpaceEnded,
    Speaker,
    StageRow,
    StaleVersion,
    StartFailed,
    TokenSigner,
    UnknownSpace,
    UpsertSpace,
    space_id,
    space_name,
)
from tests.engine.conftest import SPACE, Run, a_stage, voice
from tests.support.patience import PATIENCE_S


async def until(engine: Engine, found: Callable[[Event], bool]) -> list[Event]:
    """Events up to the batch with the first that is meant."""
    seen: list[Event] = []
    async with asyncio.timeout(PATIENCE_S):
        async for batch in engine.events():
            seen += batch
            if any(found(event) for event in batch):
                return seen
    raise AssertionError(seen)


def test_commands_are_versioned_whole_values(run: Run[None]) -> None:
    async def main() -> None:
        async with Engine() as engine:
            began = int(time.time() * 1000) - 10_000
            table = UpsertSpace(space=5, version=3, started_at_ms=began)
            first = await engine.apply(table)
            assert isinstance(first, Applied)
            assert first.fence_group >= 450
            assert (await engine.apply(table)).fence_group >= first.fence_group, "a repetition is harmless"
            with pytest.raises(StaleVersion) as stale:
                await engine.apply(UpsertSpace(space=5, version=2, started_at_ms=began))
            assert (stale.value.have, stale.value.got) == (3, 2)
            with pytest.raises(UnknownSpace):
                await engine.apply(SetState(space=6, version=1, snapshot=b"{}"))
            twice = [StageRow(seat=seat, account=1, role="speaker") for seat in range(2)]
            with pytest.raises(InvalidTable):
                await engine.apply(UpsertSpace(space=5, version=4, started_at_ms=began, stage=twice))
            row = StageRow(seat=13, account=1, role="host")
            with pytest.raises(ValueError, match="seat 13"):
                await engine.apply(UpsertSpace(space=5, version=4, started_at_ms=began, stage=[row]))
            await engine.apply(SetAcl(space=5, version=1, kind="bar", accounts=[9, 7, 9]))
            await engine.apply(SetState(space=5, version=1, snapshot=json.dumps({"title": "x"}).encode()))
            await engine.apply(EndSpace(space=5, version=5))
            with pytest.raises(SpaceEnded):
                await engine.apply(UpsertSpace(space=5, version=6, started_at_ms=began))
            assert await engine.counts(99) is None

    run(main())


@pytest.mark.alone
def test_what_happens_on_stage_is_told_in_batches(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            speaker = Speaker(stage.url, token=stage.token(1), seat=1, certificate_sha256=stage.pin, complexity=2)
            async with speaker, Listener(stage.url, certificate_sha256=stage.pin):
                speaking = asyncio.create_task(speaker.speak_pcm(voice(0.2)))
                seen = await until(stage.engine, lambda event: isinstance(event, SeatSpeaking))
                await speaking
            joined = next(event for event in seen if isinstance(event, Joined))
            assert (joined.space, joined.account, joined.sid) == (SPACE, 101, 1_001)
            assert any(isinstance(event, SeatSpeaking) and (event.space, event.seat) == (SPACE, 1) for event in seen)
            assert not any(isinstance(event, Resync) for event in seen)
            if not any(isinstance(event, Left) for event in seen):
                seen += await until(stage.engine, lambda event: isinstance(event, Left))
            left = next(event for event in seen if isinstance(event, Left))
            assert left == Left(left.at_us, SPACE, 101, 1_001, False)
            assert left.at_us > joined.at_us
            assert any(isinstance(event, Counts) and event.named == 1 for event in seen)
            stats = await stage.engine.stats()
            assert stats.verdicts["accepted"] >= 5
            assert stats.datagrams_sent >= 5
            assert stats.admitted == 2
            assert stats.cpu_seconds > 0

    run(main())


def test_events_end_with_the_engine_and_one_iterator_follows_another(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:

            async def listen() -> int:
                return len([batch async for batch in stage.engine.events()])

            # The first is left behind in the middle; the second must hear what comes then.
            async with Listener(stage.url, certificate_sha256=stage.pin):
                await until(stage.engine, lambda event: isinstance(event, Counts))
            await until(stage.engine, lambda event: isinstance(event, Counts))
            listening = asyncio.create_task(listen())
            await asyncio.sleep(0.05)
            await stage.engine.aclose()
            assert await listening == 0

    run(main())


def test_a_slow_reader_of_events_does_not_keep_the_loop_busy(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage, Listener(stage.url, certificate_sha256=stage.pin):
            events = stage.engine.events()
            await anext(events)
            async with Listener(stage.url, certificate_sha256=stage.pin):
                began = time.thread_time()
                await asyncio.sleep(1.5)
                assert time.thread_time() - began < 0.5, "events wait, nobody fetches them, and the loop sleeps"
            assert await anext(events)

    run(main())


def test_who_is_barred_revoked_or_moved_off_the_stage_is_out_when_the_call_returns(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:

            async def verdict(seat: int) -> str:
                try:
                    async with Speaker(stage.url, token=stage.token(seat), seat=seat, certificate_sha256=stage.pin):
                        return "in"
                except Refused as refused:
                    return refused.code

            assert [await verdict(seat) for seat in range(3)] == ["in"] * 3
            async with Speaker(stage.url, token=stage.token(0), seat=0, certificate_sha256=stage.pin) as speaker:
                await stage.engine.apply(SetAcl(space=SPACE, version=1, kind="bar", accounts=[100]))

                async def babble() -> None:
                    while True:
                        await speaker.send_silence()
                        await asyncio.sleep(0.01)

                with pytest.raises(Refused) as removed:
                    await asyncio.wait_for(babble(), PATIENCE_S)
                assert removed.value.code == "participant.removed"
            await stage.engine.apply(SetRevoked(version=1, sids=[1_001]))
            verdicts = [await verdict(seat) for seat in range(3)]
            assert verdicts == ["participant.removed", "auth.session_revoked", "in"]

    run(main())


def test_the_loop_goes_on_while_the_engine_answers(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage, Listener(stage.url, certificate_sha256=stage.pin):
            # Somebody is there, so draining takes all of its patience.
            draining = asyncio.create_task(stage.engine.drain(patience_ms=400))
            turns = 0
            while not draining.done():
                turns += 1
                await asyncio.sleep(0.001)
            assert turns > 10
            assert await draining == 1

    run(main())


def test_a_command_whose_caller_is_cancelled_happens_all_the_same(run: Run[None]) -> None:
    async def main() -> None:
        async with Engine() as engine:
            began = int(time.time() * 1000)
            asking = asyncio.create_task(engine.apply(UpsertSpace(space=5, version=7, started_at_ms=began)))
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            with pytest.raises(StaleVersion) as stale:
                await engine.apply(UpsertSpace(space=5, version=6, started_at_ms=began))
            assert stale.value.have == 7

    run(main())


def test_starting_fails_with_a_reason(run: Run[None], tmp_path: Path) -> None:
    async def main() -> None:
        async with Engine() as engine:
            with pytest.raises(AddressInUse):
                async with Engine(EngineConfig(bind=("127.0.0.1", engine.port))):
                    pass
        with pytest.raises(StartFailed):
            async with Engine(EngineConfig(shards=0)):
                pass
        bad = tmp_path / "bad.pem"
        bad.write_text("no certificate")
        with pytest.raises(StartFailed):
            async with Engine(EngineConfig(tls=(bad, bad))):
                pass
        with pytest.raises(ValueError, match="IP address"):
            async with Engine(EngineConfig(bind=("nowhere", 0))):
                pass
        with pytest.raises(EngineError, match="not started"):
            _ = Engine().address
        ours, theirs = TokenSigner.generate(issuer="a"), TokenSigner.generate(issuer="b")
        with pytest.raises(ValueError, match="one issuer"):
            async with Engine(EngineConfig(signers=[ours, theirs])):
                pass

    run(main())


def test_a_named_engine_outlives_its_event_loop() -> None:
    """Fail-static: the loop dies without a word, the engine serves on, the next loop finds it and misses nothing."""
    name, signer, port = "outlives", TokenSigner.generate(), 0
    stage = [StageRow(seat=0, account=100, role="host")]

    class Dies(BaseException):
        pass

    async def first() -> None:
        nonlocal port
        async with Engine(EngineConfig(signers=[signer]), name=name) as engine:
            port = engine.port
            await engine.apply(UpsertSpace(space=SPACE, version=1, stage=stage))
            with pytest.raises(EngineError, match="runs already"):
                async with Engine(name=name):
                    pass
            raise Dies

    async def meanwhile() -> None:
        # Nobody's event loop holds the engine; people come and speak all the same.
        url = f"https://127.0.0.1:{port}/spaces/{space_name(SPACE)}"
        pin = Engine.attach(name).certificate_sha256
        token = signer.mint(account=100, sid=1)
        async with (
            Speaker(url, token=token, seat=0, certificate_sha256=pin) as speaker,
            Listener(url, certificate_sha256=pin) as listener,
        ):
            hearing = asyncio.ensure_future(anext(aiter(listener.frames())))
            await asyncio.sleep(0)
            await speaker.send_opus(b"\xf8abc")
            assert (await hearing)[0].opus == b"\xf8abc"

    async def second() -> None:
        async with Engine.attach(name) as engine:
            assert engine.port == port
            seen = await until(engine, lambda event: isinstance(event, Left))
            assert any(isinstance(event, Joined) for event in seen), "what happened in between is not lost"
            with pytest.raises(StaleVersion):
                await engine.apply(UpsertSpace(space=SPACE, version=0, stage=stage))
            await engine.aclose()
        with pytest.raises(EngineError, match="no engine"):
            Engine.attach(name)

    with pytest.raises(Dies):
        asyncio.run(first())
    thread = threading.Thread(target=lambda: asyncio.run(meanwhile()))
    thread.start()
    thread.join()
    asyncio.run(second())


@pytest.mark.alone
def test_recordings_are_whole_when_the_block_is_left(run: Run[None], tmp_path: Path) -> None:
    async def main() -> None:
        signer = TokenSigner.generate()
        async with Engine(EngineConfig(signers=[signer], recordings=tmp_path)) as engine:
            rows = [StageRow(seat=0, account=100, role="host")]
            await engine.apply(UpsertSpace(space=SPACE, version=1, record=True, stage=rows))
            url = f"https://127.0.0.1:{engine.port}/spaces/{space_name(SPACE)}"
            token, pin = signer.mint(account=100, sid=1), engine.certificate_sha256
            async with Speaker(url, token=token, seat=0, certificate_sha256=pin, complexity=2) as speaker:
                await speaker.speak_pcm(voice(0.5))
                await speaker.flush()
            await engine.apply(EndSpace(space=SPACE, version=2))
            async with asyncio.timeout(PATIENCE_S):
                while not (files := await engine.recordings(SPACE)) or not all(file.finished for file in files):
                    await asyncio.sleep(0.02)
            track = next(file for file in files if file.kind == "track")
            assert (track.seat, track.account) == (0, 100)
            assert 480 <= track.duration_ms <= 2_000
            assert track.path.read_bytes()[:4] == b"OggS"

    run(main())


def test_names_of_spaces_are_base62() -> None:
    for space, name in [(0, "0"), (61, "z"), (62, "10"), (2**64 - 1, "LygHa16AHYF")]:
        assert (space_name(space), space_id(name)) == (name, space)
    for bad in ("", "01", "a-b", "zzzzzzzzzzz"):
        with pytest.raises(ValueError, match="names no Space"):
            space_id(bad)


def test_a_shard_is_added_to_a_running_engine_and_takes_part_in_everything(run: Run[None]) -> None:
    async def main() -> None:
        async with Engine() as engine:
            began = int(time.time() * 1000)
            await engine.apply(UpsertSpace(space=SPACE, version=1, started_at_ms=began))
            assert await engine.add_shard() == 1
            assert await engine.add_shard(core=min(os.sched_getaffinity(0))) == 2
            await engine.apply(UpsertSpace(space=SPACE, version=2, started_at_ms=began))
            await engine.inject(SPACE, named=6, joins_per_second=10_000)
            while (counts := await engine.counts(SPACE)) is None or counts.named < 6:
                await asyncio.sleep(0.01)
            stats = await engine.stats()
            assert [shard["shard"] for shard in stats.shards] == [0, 1, 2]
            assert [shard["pinned"] for shard in stats.shards] == [False, False, True]
            assert all(shard["packets_forwarded"] == shard["mail_stale"] == 0 for shard in stats.shards)
            with pytest.raises(StaleVersion):
                await engine.apply(UpsertSpace(space=SPACE, version=1, started_at_ms=began))

    run(main())
