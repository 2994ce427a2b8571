"""Lines of text: whose may be shown and kept, at which moment, and what becomes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from spaces_ctl import commands as c
from spaces_ctl.captions.messages import Allow, Follow, FromServer, Heard, Leave, Lost
from spaces_ctl.model import SpaceId
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service import captioning
from spaces_ctl.service.captioning import Captioning, Door
from spaces_ctl.service.captions import CaptionLine, Captions
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.store import captions as store
from spaces_ctl.store.bus import LocalBus
from spaces_ctl.store.database import Database
from tests.support.worlds import ANN, BEN, CID, HOST, Flaky, World


def captions_of(world: World, *, languages: tuple[str, ...] = ("en",)) -> Captions:
    return Captions(db=world.db, spaces=world.spaces, engine=world.engine, clock=world.clock, languages=languages)


async def captioned(world: World, *accounts: int, **create: Any) -> SpaceId:
    """A live Space in which HOST, ANN and BEN may speak, and `accounts` consent."""
    space = await world.live(**create)
    await world.speaks(space, ANN, BEN)
    for account in accounts:
        await world.do(account, space, c.CaptionConsent(on=True))
    return space


async def heard(world: World, space: SpaceId, account: int, text: str, **more: Any) -> Heard:
    seat = (await world.state(space)).seat_of(account)
    assert seat is not None
    fields = {"line": 0, "start_ms": 1_000, "end_ms": 2_000, "final": True} | more
    return Heard(space=space, seat=seat.seat, generation=seat.generation, text=text, **fields)


async def rows(world: World, captions: Captions, space: SpaceId) -> list[tuple[int, str]]:
    await captions.flush()
    return [(account, text) for _, account, _, _, text in await world.db.read(lambda c: store.of_space(c, space))]


async def test_a_line_is_shown_on_the_track_and_to_watchers_and_kept_when_it_is_final(world: World) -> None:
    space, captions, seen = await captioned(world, ANN), captions_of(world), list[CaptionLine]()
    end = captions.watch(space, seen.append)
    await captions.take(await heard(world, space, ANN, "good", final=False))
    await captions.take(await heard(world, space, ANN, "good morning"))
    await captions.take(await heard(world, space, ANN, "everybody", line=1, start_ms=2_000, end_ms=3_000))
    assert [(line.n, line.text, line.final) for line in seen] == [
        (1, "good", False),
        (1, "good morning", True),
        (2, "everybody", True),
    ]
    assert [json.loads(payload)["text"] for _, payload in world.engine.captions] == [line.text for line in seen]
    assert json.loads(world.engine.captions[0][1]) == {
        "n": 1,
        "account": str(ANN),
        "start_ms": 1_000,
        "end_ms": 2_000,
        "text": "good",
        "final": False,
    }
    assert await rows(world, captions, space) == [(ANN, "good morning"), (ANN, "everybody")]
    end()
    await captions.take(await heard(world, space, ANN, "unseen", line=2))
    assert len(seen) == 3


async def _withdrawn(world: World, space: SpaceId) -> None:
    await world.do(ANN, space, c.CaptionConsent(on=False))


async def _switched_off(world: World, space: SpaceId) -> None:
    await world.do(HOST, space, c.SetCaptions(on=False))


async def _revoked(world: World, space: SpaceId) -> None:
    await world.do(HOST, space, c.Revoke(account=ANN))


async def _removed(world: World, space: SpaceId) -> None:
    await world.do(HOST, space, c.Remove(account=ANN))


async def _seat_of_another(world: World, space: SpaceId) -> None:
    """The next holder consents, too: the text is still not theirs."""
    await world.do(HOST, space, c.Revoke(account=ANN))
    await world.speaks(space, CID)
    await world.do(CID, space, c.CaptionConsent(on=True))


@pytest.mark.parametrize("change", [_withdrawn, _switched_off, _revoked, _removed, _seat_of_another])
async def test_from_the_answer_on_no_line_of_theirs_is_shown_or_kept(world: World, change: Callable[..., Any]) -> None:
    space, captions, seen = await captioned(world, ANN), captions_of(world), list[CaptionLine]()
    captions.watch(space, seen.append)
    await captions.take(await heard(world, space, ANN, "before"))
    late = await heard(world, space, ANN, "after", line=1)
    await change(world, space)
    told = len(world.engine.captions)
    await captions.take(late)
    assert [line.text for line in seen] == ["before"]
    assert len(world.engine.captions) == told
    assert await rows(world, captions, space) == [(ANN, "before")], (
        "what was said with consent stays, as the audio does"
    )
    assert captions.refused == 1


async def test_nobody_else_is_ever_captioned(world: World) -> None:
    space, captions, seen = await captioned(world, ANN), captions_of(world), list[CaptionLine]()
    captions.watch(space, seen.append)
    for account in (HOST, BEN):
        await captions.take(await heard(world, space, account, "secret"))
    mine = await heard(world, space, ANN, "mine")
    for wrong in ({"generation": mine.generation + 1}, {"seat": 12}, {"space": 99}):
        fields = {name: getattr(mine, name) for name in mine.__struct_fields__} | wrong
        await captions.take(Heard(**fields))
    assert seen == []
    assert world.engine.captions == []
    assert await rows(world, captions, space) == []


async def test_consent_is_asked_for_after_everything_that_is_waited_for(world: World) -> None:
    """The line waits for the database to learn its number; meanwhile consent is withdrawn."""
    space, captions, seen = await captioned(world, ANN), captions_of(world), list[CaptionLine]()
    captions.watch(space, seen.append)
    late, read, reading = await heard(world, space, ANN, "late"), world.db.read, asyncio.Event()

    async def slow(unit: Any) -> Any:
        answer = await read(unit)
        reading.set()
        await withdrawn.wait()
        return answer

    withdrawn = asyncio.Event()
    world.db.read = slow
    taking = asyncio.create_task(captions.take(late))
    await reading.wait()
    world.db.read = read
    await world.do(ANN, space, c.CaptionConsent(on=False))
    withdrawn.set()
    await taking
    assert seen == []
    assert await rows(world, captions, space) == []


async def test_the_engine_is_told_who_may_be_captioned(world: World) -> None:
    space = await captioned(world, ANN, HOST)

    def flags() -> dict[int, bool]:
        return {row.account: row.caption for row in world.engine.spaces[space].stage}

    assert flags() == {HOST: True, ANN: True, BEN: False}
    await world.do(ANN, space, c.CaptionConsent(on=False))
    assert flags() == {HOST: True, ANN: False, BEN: False}
    await world.do(HOST, space, c.SetCaptions(on=False))
    assert not any(flags().values())


async def test_the_last_words_of_a_space_are_kept_and_not_shown(world: World) -> None:
    space, captions, seen = await captioned(world, ANN, BEN, record=True), captions_of(world), list[CaptionLine]()
    captions.watch(space, seen.append)
    goodbye, silent = await heard(world, space, ANN, "goodbye"), await heard(world, space, BEN, "withdrawn")
    await world.do(BEN, space, c.CaptionConsent(on=False))
    await world.do(HOST, space, c.End())
    world.clock.advance(seconds=5)
    await captions.take(goodbye)
    await captions.take(silent)
    world.clock.advance(seconds=20)
    await captions.take(goodbye)
    assert seen == []
    assert await rows(world, captions, space) == [(ANN, "goodbye")]


async def test_of_a_space_that_is_not_kept_no_captions_are(database: Database) -> None:
    world = World(database, limits=Limits(audit_copy=False))
    space, captions = await captioned(world, ANN), captions_of(world)
    await captions.take(await heard(world, space, ANN, "said"))
    assert await rows(world, captions, space) == [(ANN, "said")]
    late = await heard(world, space, ANN, "late", line=1)
    await world.do(HOST, space, c.End())
    await captions.ended(await world.state(space))
    await captions.take(late)
    assert await rows(world, captions, space) == []


async def test_live_captions_go_on_without_the_database_and_are_kept_later(database: Database) -> None:
    db = Flaky(database)
    world = World(db)
    space, captions, seen = await captioned(world, ANN), captions_of(world), list[CaptionLine]()
    captions.watch(space, seen.append)
    await captions.take(await heard(world, space, ANN, "one"))
    running = asyncio.create_task(captions.run())
    db.down = True
    await captions.take(await heard(world, space, ANN, "two", line=1))
    assert [line.text for line in seen] == ["one", "two"]
    db.down = False
    assert await rows(world, captions, space) == [(ANN, "one"), (ANN, "two")]
    running.cancel()


async def test_numbers_go_on_after_a_restart(world: World) -> None:
    space, captions = await captioned(world, ANN), captions_of(world)
    for line in range(3):
        await captions.take(await heard(world, space, ANN, f"{line}", line=line))
    await captions.flush()
    again, seen = captions_of(world), list[CaptionLine]()
    again.watch(space, seen.append)
    await again.take(await heard(world, space, ANN, "more", line=0))
    assert [line.n for line in seen] == [4]


async def test_deleting_takes_every_line_of_the_space_and_no_other(world: World) -> None:
    space, captions = await captioned(world, ANN), captions_of(world)
    await captions.take(await heard(world, space, ANN, "said"))
    await captions.flush()
    await world.db.write(lambda c: store.insert(c, space + 1, [(1, ANN, 0, 1, "other")]))
    assert await world.db.write(lambda c: store.delete(c, space)) == 1
    assert await rows(world, captions, space) == []
    assert len(await rows(world, captions, space + 1)) == 1


@pytest.mark.parametrize(
    ("lang", "languages", "spoken"),
    [
        ("", ("en",), "en"),
        ("en-GB", ("de", "en"), "en"),
        ("fr", ("en",), None),
        ("", (), None),
        ("pt", ("pt-BR",), "pt-BR"),
    ],
)
async def test_the_language(world: World, lang: str, languages: tuple[str, ...], spoken: str | None) -> None:
    space = await captioned(world, ANN, lang=lang)
    captions = captions_of(world, languages=languages)
    assert captions.language(await world.state(space)) == spoken
    if spoken is None:
        with pytest.raises(ServiceError) as refused:
            await captions.recent(await world.state(space), None, 10)
        assert refused.value.code == "captions.unavailable"


# What the process is told


class Recorder:
    def __init__(self) -> None:
        self.sent: list[FromServer] = []

    def send(self, message: FromServer) -> None:
        self.sent.append(message)

    def taken(self) -> list[FromServer]:
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
async def followed(world: World) -> Any:
    bus, process = LocalBus(), Recorder()
    world.spaces._bus = bus
    captions = captions_of(world)
    follower = Captioning(
        captions=captions,
        spaces=world.spaces,
        bus=bus,
        process=process,
        door=lambda: Door("127.0.0.1:4433", b"\1" * 32, "token"),
    )
    running = asyncio.create_task(follower.run())
    await asyncio.sleep(0)

    async def settle() -> list[FromServer]:
        for _ in range(100):
            await asyncio.sleep(0.001)
            if process.sent:
                break
        return process.taken()

    yield follower, settle
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_process_follows_who_consents(world: World, followed: Any) -> None:
    follower, settle = followed
    space = await captioned(world)
    assert await settle() == [], "nobody consents"
    await world.do(ANN, space, c.CaptionConsent(on=True))
    (follow,) = await settle()
    assert isinstance(follow, Follow)
    seat = (await world.state(space)).seat_of(ANN)
    assert seat is not None
    assert follow.seats == {seat.seat: seat.generation}
    assert follow.url.startswith("https://127.0.0.1:4433/spaces/")
    assert follow.language == "en"
    await world.do(BEN, space, c.CaptionConsent(on=True))
    (more,) = await settle()
    assert isinstance(more, Allow)
    assert len(more.seats) == 2
    await world.do(ANN, space, c.CaptionConsent(on=False))
    (less,) = await settle()
    assert isinstance(less, Allow)
    assert seat.seat not in less.seats
    await world.do(HOST, space, c.SetCaptions(on=False))
    assert await settle() == [Leave(space=space, finish=False)]
    await world.do(HOST, space, c.SetCaptions(on=True))
    assert isinstance((await settle())[0], Follow)
    follower.resume()
    assert isinstance((await settle())[0], Follow), "a new process is told everything"
    await world.do(HOST, space, c.End())
    assert await settle() == [Leave(space=space, finish=True)]


async def test_a_connection_that_was_lost_is_made_again(
    world: World, followed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower, settle = followed
    monkeypatch.setattr(captioning, "_AGAIN_S", 0.001)
    space = await captioned(world, ANN)
    await settle()
    await follower.hear(Lost(space=space, why="node.capacity"))
    assert isinstance((await settle())[0], Follow)
    await world.do(HOST, space, c.End())
    await settle()
    await follower.hear(Lost(space=space, why="state.ended"))
    await asyncio.sleep(0.02)
    assert await settle() == []
