"""For every operation of the API: a Space in the state in which somebody may do it, and who that is.

`SCENARIOS[operation id]` is awaited with the world and answers a `Ready`. Who tries the same in another role is refused
or not, as the rules say: that is for the rules' own tests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.media.layout import replay_prefix
from spaces_ctl.media.replay_files import MANIFEST, Manifest
from spaces_ctl.model import SpaceId
from spaces_ctl.service.ports import Principal
from spaces_ctl.store import posts as post_store
from spaces_ctl.store.tables.accounts import accounts, live_bans
from spaces_ctl.store.tables.graph import blocks, mutes
from spaces_ctl.store.tables.posts import posts
from tests.support.api_world import ANN, BEN, CID, DAN, EVE, HOST, MODERATOR, ApiWorld
from tests.support.replay_objects import put_replay

__all__ = [
    "GONE",
    "PINNED",
    "ROLES",
    "SCENARIOS",
    "Ready",
    "Scenario",
    "end_all",
    "replay_of",
    "scheduled",
    "standing",
    "stored_replay",
]

GONE = 30
"""Was removed from the standing Space."""
PINNED = 77
"""A post of the host's."""
ROLES: dict[str, int | None] = {
    "host": HOST,
    "cohost": BEN,
    "speaker": ANN,
    "listener": DAN,
    "outsider": EVE,
    "moderator": MODERATOR,
    "guest": None,
}
"""Who is what in the standing Space."""


class Ready(NamedTuple):
    """Who may do it, where, to whom."""

    who: int | None
    path: dict[str, str]
    body: Any = None
    """None: any valid body will do."""
    query: Mapping[str, Any] = MappingProxyType({})
    headers: dict[str, str] | None = None
    """Instead of `who`'s."""


Scenario = Callable[[ApiWorld], Awaitable[Ready]]


async def standing(world: ApiWorld, **create: Any) -> SpaceId:
    """A live Space with somebody in every role, a request, an invitation, a poll, a clip and somebody removed."""
    world.clock.advance(seconds=60)
    await end_all(world)
    await world.db.write(_forgive)
    await world.db.write(_posted)
    space = await world.live(**({"record": True} | create))
    await world.cohost(space, BEN)
    await world.speaks(space, ANN)
    await world.enter(space, CID, DAN, GONE)
    await world.do(CID, space, c.Request())
    await world.do(HOST, space, c.Invite(account=EVE))
    await world.do(HOST, space, c.Remove(account=GONE))
    await world.do(HOST, space, c.CreatePoll(question="?", options=("a", "b")))
    world.clock.advance(seconds=30)
    await world.do(ANN, space, c.Clip(end_ms=20_000, length_ms=5_000))
    return space


def _forgive(c_: sa.Connection) -> None:
    """What earlier requests have done to accounts: blocks, mutes, bans, protection."""
    c_.execute(sa.delete(blocks))
    c_.execute(sa.delete(mutes))
    c_.execute(sa.delete(live_bans))
    c_.execute(sa.update(accounts).values(protected=False))


def _posted(c_: sa.Connection) -> None:
    c_.execute(sa.delete(posts).where(posts.c.id == PINNED))
    post_store.insert(c_, post_store.Post(id=PINNED, author=HOST, text="Hear, hear", created_ms=1))


async def end_all(world: ApiWorld) -> None:
    """A host has one live Space at a time."""
    for space in list(world.spaces.live):
        await world.spaces.execute(Principal(moderator=True, account=MODERATOR).actor(), space, c.End())


async def _lobby(world: ApiWorld, **create: Any) -> SpaceId:
    await end_all(world)
    return (await world.spaces.create(Principal(account=HOST).actor(), c.Create(**create))).space.id


async def scheduled(world: ApiWorld) -> SpaceId:
    start = world.clock.now_ms() + 3_600_000
    return await _lobby(world, scheduled_start_ms=start)


async def _captioned_replay(world: ApiWorld) -> SpaceId:
    space = await replay_of(world)
    await stored_replay(world, space, 0, 60_000)
    return space


async def stored_replay(world: ApiWorld, space: SpaceId, begin_ms: int, end_ms: int) -> None:
    """What the media worker says of a replay, in place of it."""
    manifest = Manifest(
        started_at_ms=(await world.state(space)).started_ms or 0,
        first_group=0,
        end_group=end_ms // 20,
        start_group=begin_ms // 20,
        duration_ms=end_ms - begin_ms,
        loudness_lufs=None,
        gain_db=0.0,
        gain_steps=0,
        segments=0,
        opus_bytes=0,
    )
    await world.more.objects.put(f"{replay_prefix(space)}/{MANIFEST}", msgspec.json.encode(manifest))


async def _captioned(world: ApiWorld) -> SpaceId:
    space = await standing(world)
    await world.do(ANN, space, c.CaptionConsent(on=True))
    return space


async def replay_of(world: ApiWorld) -> SpaceId:
    space = await standing(world)
    await world.do(HOST, space, c.End())
    await world.spaces.execute(world_system(), space, c.ReplayReady(duration_ms=60_000))
    return space


def _replay(who: int | None, **path: str) -> Scenario:
    """A replay with its files."""

    async def ready(world: ApiWorld) -> Ready:
        space = await replay_of(world)
        started_ms = (await world.spaces.get(space)).started_ms or 0
        await put_replay(world.more.objects, space, started_at_ms=started_ms, accounts=(HOST, ANN))
        return Ready(who, {"space": wire.space_text(space), **path})

    return ready


def world_system() -> Any:
    from spaces_ctl.model import SYSTEM

    return SYSTEM


def _live(who: int | None, path: dict[str, int] | None = None, body: Any = None, *steps: Any) -> Scenario:
    """In the standing Space, after `steps`: (account, command) each."""

    async def ready(world: ApiWorld) -> Ready:
        space = await standing(world)
        for account, command in steps:
            await world.do(account, space, command)
        texts = {name: str(value) for name, value in (path or {}).items()}
        return Ready(who, {"space": wire.space_text(space), **texts}, body)

    return ready


def _in(make: Callable[[ApiWorld], Awaitable[SpaceId]], who: int | None, body: Any = None) -> Scenario:
    async def ready(world: ApiWorld) -> Ready:
        space = await make(world)
        return Ready(who, {"space": wire.space_text(space)}, body)

    return ready


def _account(who: int, path: dict[str, int] | None = None, body: Any = None, *steps: tuple[int, Any]) -> Scenario:
    async def ready(world: ApiWorld) -> Ready:
        for account, command in steps:
            actor = Principal(account=account, scopes=frozenset({"*"}), moderator=account == MODERATOR)
            await world.accounts.execute(actor, command)
        return Ready(who, {name: str(value) for name, value in (path or {}).items()}, body)

    return ready


async def _resolve(world: ApiWorld) -> Ready:
    moderator = Principal(account=MODERATOR, scopes=frozenset({"*"}), moderator=True)
    account = next(world.strangers)
    await world.accounts.execute(moderator, c.BanFromLive(account=account, reason="spam"))
    own = Principal(account=account, scopes=frozenset({"*"}))
    filed: Any = await world.accounts.execute(own, c.Appeal(text="no"))
    return Ready(MODERATOR, {"appeal": str(filed.appeal)})


async def _appeal(world: ApiWorld) -> Ready:
    moderator = Principal(account=MODERATOR, scopes=frozenset({"*"}), moderator=True)
    account = next(world.strangers)
    await world.accounts.execute(moderator, c.BanFromLive(account=account, reason="spam"))
    return Ready(account, {}, {"text": "I did nothing."})


async def _create(world: ApiWorld) -> Ready:
    await end_all(world)
    return Ready(HOST, {}, {"title": "T", "topics": ["a"]})


async def _plain(world: ApiWorld) -> Ready:
    return Ready(HOST, {})


_REPORT = {"reason": "spam", "detail": "Again and again."}

SCENARIOS: dict[str, Scenario] = {
    "createSpace": _create,
    "joinSpace": _live(DAN),
    "getSpace": _live(None),
    "peekSpace": _live(EVE),
    "listPeople": _live(DAN),
    "listRequests": _live(HOST),
    "listInvites": _live(BEN),
    "getAttendance": _live(HOST),
    "getHistory": _live(HOST),
    "getMe": _plain,
    "getCsrfToken": _plain,
    "edit": _live(HOST, None, {"title": "Other"}),
    "cancel": _in(_lobby, HOST),
    "start": _in(_lobby, HOST),
    "end": _live(HOST),
    "setSpeak": _live(HOST),
    "setRequests": _live(HOST),
    "setMicAccess": _live(BEN),
    "setClips": _live(HOST),
    "setCaptions": _live(HOST),
    "setRecord": _in(_lobby, HOST),
    "leave": _live(DAN),
    "request": _live(DAN),
    "withdraw": _live(CID),
    "approve": _live(HOST, {"account": CID}),
    "reject": _live(BEN, {"account": CID}),
    "invite": _live(HOST, {"account": DAN}),
    "withdrawInvite": _live(HOST, {"account": EVE}),
    "declineInvite": _live(DAN, None, None, (HOST, c.Invite(account=DAN))),
    "takeMic": _live(DAN, None, None, (HOST, c.Invite(account=DAN))),
    "stepDown": _live(ANN),
    "unmute": _live(ANN),
    "revoke": _live(HOST, {"account": ANN}),
    "mute": _live(BEN, {"account": ANN}),
    "muteAll": _live(HOST),
    "askUnmute": _live(HOST, {"account": ANN}, None, (HOST, c.Mute(account=ANN))),
    "addCohost": _live(HOST, {"account": ANN}),
    "dropCohost": _live(HOST, {"account": BEN}),
    "acceptCohost": _live(ANN, None, None, (HOST, c.AddCohost(account=ANN))),
    "transfer": _live(HOST, None, {"account": str(BEN)}),
    "remove": _live(HOST, {"account": ANN}),
    "readmit": _live(HOST, {"account": GONE}),
    "reportSpace": _live(DAN, None, _REPORT),
    "reportAccount": _live(DAN, {"account": ANN}, _REPORT),
    "reportClip": _live(DAN, {"clip": 1}, _REPORT),
    "markViolation": _live(MODERATOR),
    "react": _live(DAN, None, {"emoji": "wave"}),
    "sharePost": _live(ANN, {"post": PINNED}),
    "unsharePost": _live(HOST, {"post": PINNED}, None, (ANN, c.SharePost(post=PINNED))),
    "createPoll": _live(HOST, None, {"question": "?", "options": ["a", "b"]}, (HOST, c.ClosePoll(poll=1))),
    "vote": _live(DAN, {"poll": 1}, {"option": 1}),
    "closePoll": _live(HOST, {"poll": 1}),
    "captionConsent": _live(ANN),
    "showCaptions": _live(DAN, None, None, (ANN, c.CaptionConsent(on=True))),
    "stopRecording": _live(HOST),
    "trimReplay": _in(replay_of, HOST, {"start_ms": 1000}),
    "publishDetails": _in(replay_of, HOST),
    "deleteReplay": _in(replay_of, HOST),
    "playReplay": _in(replay_of, None),
    "getReplayCaptions": _in(_captioned_replay, None),
    "listCaptions": _in(_captioned, None),
    "getReplay": _replay(None),
    "getReplayTimeline": _replay(DAN),
    "getReplayPeaks": _replay(None),
    "getReplayOpus": _replay(EVE),
    "getReplayM4a": _replay(None),
    "getReplayHls": _replay(None, name="main.m3u8"),
    "export": _in(replay_of, HOST),
    "clip": _live(DAN, None, {"end_ms": 20_000}),
    "deleteClip": _live(ANN, {"clip": 1}),
    "remindMe": _in(scheduled, EVE),
    "block": _account(DAN, {"account": 25}),
    "unblock": _account(DAN, {"account": 25}),
    "muteAccount": _account(DAN, {"account": 25}),
    "unmuteAccount": _account(DAN, {"account": 25}),
    "follow": _account(DAN, {"account": 26}),
    "unfollow": _account(DAN, {"account": 26}),
    "setProtected": _account(DAN),
    "setListeningVisibility": _account(DAN),
    "banFromLive": _account(MODERATOR, {"account": 27}, {"reason": "spam"}),
    "liftBan": _account(MODERATOR, {"account": 27}, None, (MODERATOR, c.BanFromLive(account=27, reason="spam"))),
    "appeal": _appeal,
    "resolveAppeal": _resolve,
}


async def _clear(world: ApiWorld) -> Ready:
    space = await standing(world)
    await world.do(MODERATOR, space, c.MarkViolation(), moderator=True)
    return Ready(MODERATOR, {"space": wire.space_text(space)})


async def _unremind(world: ApiWorld) -> Ready:
    space = await scheduled(world)
    await world.do(EVE, space, c.RemindMe())
    return Ready(EVE, {"space": wire.space_text(space)})


SCENARIOS["clearViolation"] = _clear
SCENARIOS["unremind"] = _unremind
