"""Every code of the catalogue that the API can answer is provoked by a request and carries its code and status.

`CASES` has a request for each; `ELSEWHERE` names the test for those that need a stage of their own, `ENGINE` that for
the few that the engine alone says, as it ends a media connection. A code that is in none of the three fails a test.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from spaces_ctl import commands as c
from spaces_ctl import routes
from spaces_ctl.api import wire
from spaces_ctl.engine import EngineTimeout
from spaces_ctl.model import ClientClass, SpaceId, Speak, Ticketing
from spaces_ctl.policy.codes import CODES
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.space_log import StoreDown, VersionConflict
from tests.support.api_scenarios import world_system
from tests.support.api_scenarios_around import order_of, pay, ticketed
from tests.support.api_scenarios_identity import password_of
from tests.support.api_services import SILENT_PROVIDER
from tests.support.api_world import ANN, BEN, CID, DAN, HOST, MODERATOR, ApiWorld, bearer, path

Response = Any
DAY_MS = 86_400_000


class Room:
    """A world and somebody to ask it."""

    def __init__(self, world: ApiWorld, client: AsyncTestClient[Litestar]) -> None:
        self.world = world
        self.client = client

    async def ask(self, who: int | None, command: Any, space: SpaceId | None = None) -> Response:
        """Gives a command by its route."""
        if type(command) is c.Create:
            return await self.client.post("/api/v1/spaces", json=wire.body_of(command), headers=bearer(who))
        known: dict[Any, routes.Route] = {
            **routes.SPACE_ROUTES,
            **routes.ACCOUNT_ROUTES,
        }
        route = known[type(command)]
        base = "/api/v1" if space is None else path(space)
        return await self.client.request(
            route.method, base + wire.path_of(command), json=wire.body_of(command), headers=bearer(who)
        )

    async def join(self, who: int | None, space: SpaceId, *, anonymous: bool = False) -> Response:
        return await self.client.post(path(space, "/join"), json={"anonymous": anonymous}, headers=bearer(who))

    async def account(self, who: int, command: Any) -> Any:
        principal = Principal(account=who, scopes=frozenset({"*"}), moderator=who == MODERATOR)
        return await self.world.accounts.execute(principal, command)

    async def ban(self, account: int) -> None:
        await self.account(MODERATOR, c.BanFromLive(account=account, reason="spam"))

    async def lobby(self, who: int = HOST, **create: Any) -> SpaceId:
        return (await self.world.spaces.create(Principal(account=who).actor(), c.Create(**create))).space.id

    async def scheduled(self, who: int = HOST) -> SpaceId:
        return await self.lobby(who, scheduled_start_ms=self.world.clock.now_ms() + DAY_MS)

    async def replay(self) -> SpaceId:
        space = await self.world.live(record=True)
        await self.world.do(HOST, space, c.End())
        await self.world.spaces.execute(world_system(), space, c.ReplayReady(duration_ms=60_000))
        return space


Case = Callable[[Room], Awaitable[Response]]
CASES: dict[str, Case] = {}
LIMITS: dict[str, Limits] = {
    "account.followers_required": Limits(min_followers_to_host=1),
    "client.not_allowed": Limits(create_clients=frozenset({ClientClass.IOS})),
    "clips.not_enabled_for_you": Limits(clip_cohort_percent=0),
    "cohosts.full": Limits(max_cohosts=0),
    "stage.full": Limits(max_speakers=1),
}


def case(code: str) -> Callable[[Case], Case]:
    assert code in CODES
    assert code not in CASES

    def add(function: Case) -> Case:
        CASES[code] = function
        return function

    return add


def live(
    code: str, who: int | None, command: Any, *steps: tuple[int, Any], present: tuple[int, ...] = (), **create: Any
) -> None:
    """In a live Space in which `present` listen, after `steps`."""

    @case(code)
    async def ask(room: Room) -> Response:
        space = await room.world.live(**create)
        await room.world.enter(space, *present)
        for account, step in steps:
            await room.world.do(account, space, step)
        return await room.ask(who, command, space)


# Who are you


@case("auth.token_missing")
async def _(room: Room) -> Response:
    return await room.client.get("/api/v1/me")


def credentials(code: str, token: str) -> None:
    @case(code)
    async def ask(room: Room) -> Response:
        return await room.client.get("/api/v1/me", headers={"authorization": f"Bearer {token}"})


credentials("auth.token_invalid", "nonsense")
credentials("auth.token_expired", "expired/")
credentials("auth.session_revoked", "revoked/")


@case("auth.scope")
async def _(room: Room) -> Response:
    return await room.client.post("/api/v1/spaces", json={}, headers=bearer(ANN, scopes="space.read", app="a"))


@case("auth.csrf")
async def _(room: Room) -> Response:
    headers = {"cookie": f"spaces_session={ANN}", "sec-fetch-site": "cross-site"}
    return await room.client.put(f"/api/v1/me/following/{HOST}", headers=headers)


# Who may

live("role.forbidden", ANN, c.End(), present=(ANN,))


@case("account.not_found")
async def _(room: Room) -> Response:
    return await room.ask(ANN, c.Follow(account=999))


@case("account.protected")
async def _(room: Room) -> Response:
    await room.account(HOST, c.SetProtected(on=True))
    return await room.ask(HOST, c.Create())


@case("account.live_banned")
async def _(room: Room) -> Response:
    await room.ban(HOST)
    return await room.ask(HOST, c.Create())


@case("account.followers_required")
async def _(room: Room) -> Response:
    return await room.ask(HOST, c.Create())


@case("community.role_required")
async def _(room: Room) -> Response:
    return await room.ask(HOST, c.Create(community=5))


@case("client.not_allowed")
async def _(room: Room) -> Response:
    return await room.ask(HOST, c.Create())


@case("participant.removed")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.enter(space, ANN)
    await room.world.do(HOST, space, c.Remove(account=ANN))
    return await room.join(ANN, space)


@case("participant.blocked_by_host")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.account(HOST, c.Block(account=ANN))
    return await room.join(ANN, space)


live("participant.not_in_space", HOST, c.AddCohost(account=ANN))


@case("target.outranks")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.cohost(space, BEN, CID)
    return await room.ask(BEN, c.Remove(account=CID), space)


@case("target.is_host")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.cohost(space, BEN)
    return await room.ask(BEN, c.Remove(account=HOST), space)


@case("target.is_creator")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.cohost(space, BEN)
    await room.world.do(HOST, space, c.Transfer(account=BEN))
    return await room.ask(BEN, c.Remove(account=HOST), space)


@case("target.self")
async def _(room: Room) -> Response:
    return await room.ask(ANN, c.Block(account=ANN))


live("clips.not_enabled_for_you", HOST, c.Clip(end_ms=0))
live("captions.no_consent", ANN, c.ShowCaptions(), present=(ANN,))

# Tickets, what is not there


@case("ticket.required")
async def _(room: Room) -> Response:
    space = await room.world.live(ticketing=Ticketing(price_minor=500, currency="EUR", quantity=1))
    return await room.join(ANN, space)


@case("space.not_found")
async def _(room: Room) -> Response:
    return await room.client.get(path(12345))


@case("replay.deleted")
async def _(room: Room) -> Response:
    space = await room.replay()
    await room.world.do(HOST, space, c.DeleteReplay())
    return await room.ask(None, c.PlayReplay(), space)


@case("post.not_found")
async def _(room: Room) -> Response:
    room.world.spaces.log.posts_from(lambda connection, post: post != 404)
    return await room.ask(HOST, c.SharePost(post=404), await room.world.live())


live("clip.not_found", HOST, c.ReportClip(clip=7, reason="spam"))
live("poll.not_found", HOST, c.ClosePoll(poll=7))


@case("appeal.not_found")
async def _(room: Room) -> Response:
    return await room.ask(MODERATOR, c.ResolveAppeal(appeal=7, grant=True))


@case("resource.not_found")
async def _(room: Room) -> Response:
    return await room.client.get("/api/v1/nothing")


# The state that forbids


@case("state.lobby")
async def _(room: Room) -> Response:
    return await room.ask(HOST, c.End(), await room.lobby())


@case("state.scheduled")
async def _(room: Room) -> Response:
    return await room.ask(HOST, c.End(), await room.scheduled())


live("state.live", HOST, c.Start())
live("state.ended", HOST, c.Start(), (HOST, c.End()))


@case("state.canceled")
async def _(room: Room) -> Response:
    space = await room.lobby()
    await room.world.do(HOST, space, c.Cancel())
    return await room.ask(HOST, c.Start(), space)


@case("host.already_live")
async def _(room: Room) -> Response:
    await room.world.live()
    return await room.ask(HOST, c.Start(), await room.scheduled())


# The stage


@case("stage.full")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.speaks(space, ANN)
    await room.world.enter(space, BEN)
    await room.world.do(BEN, space, c.Request())
    return await room.ask(HOST, c.Approve(account=BEN), space)


live("stage.not_invited", ANN, c.TakeMic(), present=(ANN,))
live("cohosts.full", HOST, c.AddCohost(account=ANN), present=(ANN,))


@case("cohost.blocks_host")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.enter(space, ANN)
    await room.account(ANN, c.Block(account=HOST))
    return await room.ask(HOST, c.AddCohost(account=ANN), space)


live("cohost.not_invited", ANN, c.AcceptCohost(), present=(ANN,))
live("requests.closed", ANN, c.Request(), present=(ANN,), requests_open=False)
live("requests.duplicate", ANN, c.Request(), (ANN, c.Request()), present=(ANN,))
live("requests.none", HOST, c.Approve(account=ANN), present=(ANN,))
live("invites.none", HOST, c.WithdrawInvite(account=ANN))
live("target.not_cohost", HOST, c.Transfer(account=ANN), present=(ANN,))
live("target.not_speaker", HOST, c.Revoke(account=ANN), present=(ANN,))
live("target.not_on_stage", HOST, c.Mute(account=ANN), present=(ANN,))
live("target.not_removed", HOST, c.Readmit(account=ANN))


@case("target.already_on_stage")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.speaks(space, ANN)
    return await room.ask(HOST, c.Invite(account=ANN), space)


@case("target.anonymous")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.overhear(space, ANN)
    return await room.ask(HOST, c.Invite(account=ANN), space)


@case("target.already_cohost")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.cohost(space, BEN)
    return await room.ask(HOST, c.AddCohost(account=BEN), space)


@case("target.live_banned")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.ban(ANN)
    return await room.ask(HOST, c.Invite(account=ANN), space)


@case("mic.closed")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.speaks(space, ANN)
    await room.world.do(HOST, space, c.SetMicAccess(open=False))
    return await room.ask(ANN, c.Unmute(), space)


# Recording, talk

live("record.not_recording", HOST, c.StopRecording())
live("clips.off", HOST, c.Clip(end_ms=0), (HOST, c.SetClips(on=False)))
live("replay.unavailable", None, c.PlayReplay(), (HOST, c.End()))
live("record.frozen", HOST, c.SetRecord(on=True))


@case("replay.withheld")
async def _(room: Room) -> Response:
    space = await room.replay()
    await room.world.do(MODERATOR, space, c.MarkViolation(), moderator=True)
    return await room.ask(None, c.PlayReplay(), space)


POLL = (HOST, c.CreatePoll(question="?", options=("a", "b")))
live("poll.open", *POLL, POLL)
live("poll.closed", ANN, c.Vote(poll=1, option=0), POLL, (HOST, c.ClosePoll(poll=1)), present=(ANN,))
live("poll.voted", ANN, c.Vote(poll=1, option=0), POLL, (ANN, c.Vote(poll=1, option=1)), present=(ANN,))


@case("appeal.window_closed")
async def _(room: Room) -> Response:
    await room.ban(ANN)
    room.world.clock.advance(days=40)
    return await room.ask(ANN, c.Appeal(text="late"))


@case("appeal.exists")
async def _(room: Room) -> Response:
    await room.ban(ANN)
    await room.account(ANN, c.Appeal(text="first"))
    return await room.ask(ANN, c.Appeal(text="second"))


@case("version.conflict")
async def _(room: Room) -> Response:
    space = await room.world.live()

    async def beaten(*_: Any, **__: Any) -> Any:
        raise VersionConflict(space, 1, 2)

    room.world.spaces.log.commit = beaten  # type: ignore[method-assign]  # the room is this case's alone
    return await room.ask(HOST, c.Edit(title="x"), space)


@case("idempotency.conflict")
async def _(room: Room) -> Response:
    headers = bearer(HOST) | {"idempotency-key": "k"}
    await room.client.post("/api/v1/spaces", json={}, headers=headers)
    return await room.client.post("/api/v1/spaces", json={"title": "other"}, headers=headers)


# Not so


@case("schedule.out_of_range")
async def _(room: Room) -> Response:
    return await room.ask(HOST, c.Create(scheduled_start_ms=room.world.clock.now_ms() - 1))


@case("schedule.quota")
async def _(room: Room) -> Response:
    for _ in range(10):
        await room.scheduled()
    return await room.ask(HOST, c.Create(scheduled_start_ms=room.world.clock.now_ms() + DAY_MS))


live("schedule.not_scheduled", HOST, c.Edit(scheduled_start_ms=1_800_000_000_000))


@case("topics.too_many")
async def _(room: Room) -> Response:
    return await room.ask(HOST, c.Create(topics=("a", "b", "c", "d")))


@case("setting.invalid")
async def _(room: Room) -> Response:
    return await room.ask(HOST, c.Create(title="x" * 71))


live("reaction.unknown", ANN, c.React(emoji="skull"), present=(ANN,))
live("report.reason_required", ANN, c.ReportSpace(reason=""), present=(ANN,))


@case("request.invalid")
async def _(room: Room) -> Response:
    return await room.client.post("/api/v1/spaces", json={"title": 1}, headers=bearer(HOST))


def body(code: str, content: bytes, kind: str = "application/json") -> None:
    @case(code)
    async def ask(room: Room) -> Response:
        headers = bearer(HOST) | {"content-type": kind}
        return await room.client.post("/api/v1/spaces", content=content, headers=headers)


body("request.malformed", b"{")
body("request.too_large", b" " * 300_000)
body("request.media_type", b"a=1", "text/plain")


@case("request.cursor")
async def _(room: Room) -> Response:
    space = await room.world.live()
    return await room.client.get(path(space, "/people?cursor=abc"))


@case("method.not_allowed")
async def _(room: Room) -> Response:
    return await room.client.delete("/api/v1/spaces", headers=bearer(HOST))


# Too much, too little


@case("store.unavailable")
async def _(room: Room) -> Response:
    space = await room.world.live()

    async def down(*_: Any, **__: Any) -> Any:
        raise StoreDown("down")

    room.world.spaces.log.tail = down  # type: ignore[method-assign]  # the room is this case's alone
    return await room.ask(HOST, c.Edit(title="x"), space)


@case("graph.unavailable")
async def _(room: Room) -> Response:
    async def down(*_: Any, **__: Any) -> Any:
        raise ServiceError("graph.unavailable")

    graph: Any = room.world.graph
    graph.facts = down
    return await room.ask(ANN, c.Follow(account=HOST))


@case("engine.unavailable")
async def _(room: Room) -> Response:
    space = await room.world.live()
    await room.world.speaks(space, ANN)

    def silent(_: Any) -> None:
        raise EngineTimeout("no answer")

    room.world.engine.before = silent
    return await room.ask(HOST, c.Mute(account=ANN), space)


# Identity


@case("auth.credentials")
async def _(room: Room) -> Response:
    await password_of(room.world, ANN)
    return await room.client.post("/api/v1/auth/login", json={"name": f"user{ANN}", "password": "wrong horse"})


@case("account.exists")
async def _(room: Room) -> Response:
    body = {"handle": f"user{ANN}", "password": "correct horse"}
    return await room.client.post("/api/v1/auth/register", json=body)


@case("provider.unavailable")
async def _(room: Room) -> Response:
    return await room.client.get(f"/api/v1/auth/oidc/{SILENT_PROVIDER}/start")


# Around


@case("community.not_found")
async def _(room: Room) -> Response:
    return await room.client.get("/api/v1/communities/404")


@case("report.not_found")
async def _(room: Room) -> Response:
    return await room.client.get("/api/v1/moderation/cases/404", headers=bearer(MODERATOR))


@case("payment.invalid")
async def _(room: Room) -> Response:
    headers, content = pay(room.world, await order_of(room.world, await ticketed(room.world), ANN))
    return await room.client.post("/api/v1/payments/messages", content=content + b" ", headers=headers)


async def checkout(room: Room, space: SpaceId) -> Response:
    return await room.client.post(path(space, "/tickets/checkout"), headers=bearer(ANN))


@case("ticket.not_ticketed")
async def _(room: Room) -> Response:
    return await checkout(room, await room.world.live())


@case("ticket.sold_out")
async def _(room: Room) -> Response:
    space = await ticketed(room.world, quantity=1)
    await order_of(room.world, space, BEN)
    return await checkout(room, space)


@case("ticket.exists")
async def _(room: Room) -> Response:
    space = await ticketed(room.world)
    headers, content = pay(room.world, await order_of(room.world, space, ANN))
    paid = await room.client.post("/api/v1/payments/messages", content=content, headers=headers)
    assert paid.status_code == 204
    return await checkout(room, space)


@case("ticket.not_found")
async def _(room: Room) -> Response:
    order = await order_of(room.world, await ticketed(room.world), BEN)
    return await room.client.get(f"/api/v1/me/orders/{order.id}", headers=bearer(ANN))


_RETENTION = "test_retention_api"
ELSEWHERE = {
    "captions.unavailable": ("test_captions_api.test_a_space_in_a_language_that_nobody_here_writes_has_no_captions"),
    "clip.processing": ("test_clips_api.test_a_clip_is_processing_then_ready_and_says_who_made_it_when_and_of_what"),
    "evidence.gone": f"{_RETENTION}.test_listening_needs_rights_a_reason_and_something_that_is_there",
    "evidence.none": f"{_RETENTION}.test_listening_needs_rights_a_reason_and_something_that_is_there",
    "media.unavailable": f"{_RETENTION}.test_listening_needs_rights_a_reason_and_something_that_is_there",
    "export.gone": f"{_RETENTION}.test_a_link_to_an_export_ends_with_what_it_was_made_of",
    "export.not_found": f"{_RETENTION}.test_a_creator_polls_and_downloads_in_parts",
    "export.not_ready": f"{_RETENTION}.test_a_link_to_what_is_not_ready_says_so",
    "link.expired": f"{_RETENTION}.test_a_creator_polls_and_downloads_in_parts",
    "link.invalid": f"{_RETENTION}.test_a_moderator_gets_links_that_play_by_themselves_for_ten_minutes",
    "request.range": "test_ranges.test_a_range_that_is_not_there",
    "rate.limited": "test_limits.test_limits_are_told_in_headers",
    "node.timeout": "test_operation.test_an_answer_that_takes_too_long_is_refused",
    "request.timeout": "test_operation.test_a_body_that_does_not_arrive_is_refused",
    "internal": "test_problems.test_what_nobody_foresaw_has_an_id_that_is_in_the_log",
    "stream.position": "test_event_streams.test_a_position_too_far_back_is_refused",
    "stream.slow": "test_event_streams.test_a_slow_reader_is_closed_and_told_why",
}
ENGINE = {
    # No HTTP request meets them: they end media connections.
    "auth.origin": (
        "net/tests/adversity.rs",
        "a_path_that_is_no_space_and_an_origin_that_is_none_of_ours_get_a_status",
    ),
    "track.not_found": ("net/tests/adversity.rs", "unknown_tracks_are_refused_one_by_one_and_a_flood_of_requests_too"),
    "session.superseded": ("net/tests/server.rs", "the_newest_connection_of_a_session_wins_across_shards"),
    "node.capacity": ("net/tests/adversity.rs", "beyond_its_capacity_a_server_says_so"),
}
"""The engine's test of it."""
TIMERS = {
    # Said to a timer, which rings again; nobody else may purge.
    "evidence.held": ("tests/service/test_evidence.py", "test_a_purge_waits_until_the_case_is_resolved"),
}
"""The timer's test of it."""


@pytest.fixture
async def room(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Room]:
    world = await ApiWorld.open(tmp_path, limits=LIMITS.get(request.getfixturevalue("code")))
    async with AsyncTestClient(world.app) as client:
        yield Room(world, client)
    await world.aclose()


@pytest.mark.parametrize("code", sorted(CASES))
async def test_it_is_refused_with_its_code(room: Room, code: str) -> None:
    answer = await CASES[code](room)
    problem = answer.json()
    assert (problem.get("code"), answer.status_code) == (code, CODES[code].http), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["type"]) == (answer.status_code, f"/problems/{code}")


def test_no_code_is_missing() -> None:
    assert not set(CASES) & set(ELSEWHERE)
    assert not (set(CASES) | set(ELSEWHERE)) & set(ENGINE)
    assert set(CASES) | set(ELSEWHERE) | set(ENGINE) | set(TIMERS) == set(CODES)


@pytest.mark.parametrize("code", sorted(TIMERS))
def test_what_only_timers_are_told_is_tested_there(code: str) -> None:
    file, name = TIMERS[code]
    assert f"async def {name}(" in (Path(__file__).parents[2] / file).read_text()


@pytest.mark.parametrize("code", sorted(ENGINE))
def test_what_the_engine_alone_says_is_tested_there(code: str) -> None:
    file, name = ENGINE[code]
    assert CODES[code].wire is not None
    assert f"#[test]\nfn {name}()" in (Path(__file__).parents[2] / "engine-rs" / file).read_text()


@pytest.mark.parametrize("code", sorted(ELSEWHERE))
def test_what_is_said_to_be_elsewhere_is_there(code: str) -> None:
    module, _, name = ELSEWHERE[code].partition(".")
    spec = importlib.util.spec_from_file_location(module, Path(__file__).parent / f"{module}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    assert callable(getattr(loaded, name))


async def test_taking_the_mic_is_open_where_the_space_says_so(tmp_path: Path) -> None:
    """What refuses in `stage.not_invited` lets through when it should."""
    world = await ApiWorld.open(tmp_path)
    async with AsyncTestClient(world.app) as client:
        space = await world.live(speak=Speak.EVERYONE)
        await world.enter(space, DAN)
        answer = await Room(world, client).ask(DAN, c.TakeMic(), space)
        assert answer.status_code == 200
    await world.aclose()
