"""Who is there, who is told of, who must go, and many commands at once: what a control plane needs of the engine."""

import asyncio
import time

import pytest

from spaces_ctl.engine import (
    Applied,
    Engine,
    Event,
    Joined,
    Left,
    Listener,
    Refused,
    Roster,
    SetAcl,
    SetState,
    Speaker,
    StaleVersion,
    UnknownSpace,
    UpsertSpace,
)
from tests.engine.conftest import SPACE, Run, Stage, a_stage
from tests.support.patience import PATIENCE_S


async def told(engine: Engine, kind: type[Event], account: int) -> Event:
    """The next event of the kind about the account; nobody else's may come before it."""
    async with asyncio.timeout(PATIENCE_S):
        async for batch in engine.events():
            people = [event for event in batch if isinstance(event, Joined | Left)]
            assert all(event.account == account for event in people), people
            if found := [event for event in people if isinstance(event, kind)]:
                return found[0]
    raise AssertionError(kind)


def listener(stage: Stage, account: int, sid: int, *, anonymous: bool = False) -> Listener:
    token = stage.signer.mint(account=account, sid=sid, anonymous=anonymous)
    return Listener(stage.url, token=token, certificate_sha256=stage.pin)


def test_watched_people_are_told_of_and_the_roster_names_everybody(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            engine = stage.engine
            await engine.apply(SetAcl(space=SPACE, version=1, kind="watch", accounts=[8]))
            async with listener(stage, 7, 1), listener(stage, 6, 2, anonymous=True), listener(stage, 8, 3):
                assert isinstance(await told(engine, Joined, 8), Joined)
                await engine.apply(SetAcl(space=SPACE, version=2, kind="watch", accounts=[8, 7, 6]))
                joined = await told(engine, Joined, 7)
                assert isinstance(joined, Joined)
                assert joined.sid == 1
                assert await engine.present(SPACE, [6, 7, 8, 9, 7]) == {7, 8}
                assert await engine.roster(SPACE) == Roster([(7, 1), (8, 3)], None)
                assert await engine.roster(SPACE, limit=1) == Roster([(7, 1)], 7)
                assert await engine.roster(SPACE, after=7, limit=1) == Roster([(8, 3)], None)
                with pytest.raises(ValueError, match="limit"):
                    await engine.roster(SPACE, limit=0)
            assert await engine.present(4711, [7]) == set()
            assert await engine.roster(4711) == Roster([], None)

    run(main())


def test_who_is_kicked_is_gone_when_the_call_returns_and_may_come_again(run: Run[None]) -> None:
    async def main() -> None:
        async with a_stage() as stage:
            engine, token = stage.engine, stage.token(1)
            async with Speaker(stage.url, token=token, seat=1, certificate_sha256=stage.pin) as speaker:
                await told(engine, Joined, 101)
                with pytest.raises(ValueError, match="REFUSALS"):
                    await engine.kick(SPACE, 101, code="because")
                await engine.kick(SPACE, 101, sid=999)
                assert await engine.present(SPACE, [101]) == {101}, "that was another session's id"
                assert isinstance(await engine.kick(SPACE, 101, code="auth.session_revoked"), Applied)
                assert await engine.present(SPACE, [101]) == set()
                left = await told(engine, Left, 101)
                assert isinstance(left, Left)
                assert not left.lost

                async def babble() -> None:
                    while True:
                        await speaker.send_silence()
                        await asyncio.sleep(0.01)

                with pytest.raises(Refused) as removed:
                    await asyncio.wait_for(babble(), PATIENCE_S)
                assert removed.value.code == "auth.session_revoked"
            async with Speaker(stage.url, token=token, seat=1, certificate_sha256=stage.pin):
                await told(engine, Joined, 101)
            await engine.kick(SPACE, 4711)
            with pytest.raises(UnknownSpace):
                await engine.kick(4711, 101)

    run(main())


def test_thousands_of_spaces_start_in_one_call(run: Run[None]) -> None:
    async def main() -> None:
        async with Engine() as engine:
            began = int(time.time() * 1000)
            commands = [
                command
                for space in range(1, 2_001)
                for command in (
                    UpsertSpace(space=space, version=2, started_at_ms=began),
                    SetState(space=space, version=1, snapshot=b"{}"),
                )
            ]
            commands[10] = UpsertSpace(space=3, version=1, started_at_ms=began)
            commands[11] = SetState(space=9_999, version=1, snapshot=b"{}")
            answers = await engine.apply_all(commands)
            assert len(answers) == 4_000
            assert [type(answer) for answer in answers[8:14]] == [
                Applied, Applied, StaleVersion, UnknownSpace, Applied, Applied
            ]  # fmt: skip
            assert isinstance(answers[10], StaleVersion)
            assert (answers[10].have, answers[10].got) == (2, 1)
            assert sum(isinstance(answer, Applied) for answer in answers) == 3_998
            assert await engine.apply_all([]) == []
            bad = SetAcl(space=1, version=1, kind="maybe", accounts=[])  # type: ignore[arg-type]  # that is what is refused
            with pytest.raises(ValueError, match="maybe"):
                await engine.apply_all([UpsertSpace(space=1, version=3, started_at_ms=began), bad])
            answer = await engine.apply(UpsertSpace(space=1, version=2, started_at_ms=began))
            assert isinstance(answer, Applied), "nothing of the call with the bad value was carried out"

    run(main())
