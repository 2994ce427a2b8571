"""Reactions: sent by every kind of session, counted, refused to whom they are not for."""

import asyncio
import time
from typing import Any

import pytest

from spaces_ctl.engine import (
    Engine,
    EngineConfig,
    Listener,
    Reactions,
    Refused,
    Speaker,
    StageRow,
    TokenSigner,
    UpsertSpace,
    space_name,
)
from tests.engine.conftest import SPACE, Run, a_stage
from tests.support.patience import PATIENCE_S


async def counted(engine: Engine, total: int) -> tuple[int, ...]:
    """The sum of the events until they are `total` reactions."""
    sums: tuple[int, ...] = ()
    async with asyncio.timeout(PATIENCE_S):
        async for batch in engine.events():
            for event in batch:
                if isinstance(event, Reactions):
                    assert event.space == SPACE
                    sums = tuple(map(sum, zip(sums, event.counts, strict=True))) if sums else event.counts
            if sum(sums) >= total:
                return sums
    raise AssertionError(sums)


def test_everybody_with_a_name_reacts_over_every_transport(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            for index, (transport, protocol) in enumerate(
                [("quic", "moqt-18"), ("webtransport", "moqt-18"), ("webtransport", "moq-lite-05")]
            ):
                way: dict[str, Any] = {"transport": transport, "protocol": protocol, "certificate_sha256": stage.pin}
                token = stage.signer.mint(account=7, sid=index)
                async with Listener(stage.url, token=token, **way) as listener:
                    listener.react(index)
                    listener.react(4)
                    expected = [0, 0, 0, 0, 1]
                    expected[index] += 1
                    assert await counted(stage.engine, 2) == tuple(expected)
                async with Speaker(stage.url, token=stage.token(index), seat=index, **way) as speaker:
                    speaker.react(3)
                    assert await counted(stage.engine, 1) == (0, 0, 0, 1, 0)
            stats = await stage.engine.stats()
            assert sum(shard["reactions"] for shard in stats.shards) == 9

    run(main())


def test_anonymous_people_and_guests_do_not_react_and_nobody_floods(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            unnamed = stage.signer.mint(account=8, sid=8, anonymous=True)
            named = stage.signer.mint(account=9, sid=9)
            pin = stage.pin
            async with (
                Listener(stage.url, certificate_sha256=pin) as guest,
                Listener(stage.url, token=unnamed, certificate_sha256=pin) as anonymous,
                Listener(stage.url, token=named, certificate_sha256=pin) as flooding,
            ):
                reacted = 0
                async with asyncio.timeout(PATIENCE_S):
                    while (refusals := (await stage.engine.stats()).refusals).get("rate.limited", 0) < 4:
                        for listener in (guest, anonymous, flooding):
                            listener.react(0)
                        reacted += 1
                        await asyncio.sleep(0.01)
                assert refusals["role.forbidden"] > reacted, "those of two of three"
                counts = await counted(stage.engine, 10)
                assert 10 <= counts[0] < reacted, "10 at once and 5 a second"

    run(main())


@pytest.mark.alone
def test_reacting_over_http_has_the_same_rules(run: Run[None]) -> None:
    async def main() -> None:
        signer = TokenSigner.generate()
        config = EngineConfig(signers=[signer], shards=2, reactions=3, reaction_rate=1)
        async with Engine(config) as engine:
            await engine.apply(UpsertSpace(space=SPACE, version=1, stage=[StageRow(seat=0, account=1, role="host")]))
            url = f"https://127.0.0.1:{engine.port}/spaces/{space_name(SPACE)}"

            async def refusal(account: int, index: int) -> str:
                with pytest.raises(Refused) as refused:
                    await engine.react(SPACE, account, index)
                return refused.value.code

            assert await refusal(7, 0) == "participant.not_in_space"
            token = signer.mint(account=7, sid=1)
            async with Listener(url, token=token, certificate_sha256=engine.certificate_sha256):
                accepted, began = 1, time.monotonic()
                await engine.react(SPACE, 7, 2)
                assert await refusal(7, 3) == "reaction.unknown"
                assert await refusal(8, 2) == "participant.not_in_space"
                code = ""
                while not code:
                    # Two at once and one a second: on a slow machine more are let through before one is too many.
                    try:
                        await engine.react(SPACE, 7, 2)
                        accepted += 1
                    except Refused as refused:
                        code = refused.code
                assert code == "rate.limited"
                assert 2 <= accepted <= 2 + time.monotonic() - began
                assert await counted(engine, accepted) == (0, 0, accepted)

    run(main())
