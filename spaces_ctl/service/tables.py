"""What the engine has to know of a Space, as a function of what the log says. Pure.

`tables` answers whole values with version 0; `service.programming` gives them versions and sends those that changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Literal

import msgspec

from spaces_ctl.engine import SetAcl, SetState, StageRow, UpsertSpace
from spaces_ctl.model import AccountId, Seat, SpaceId, Status
from spaces_ctl.policy.crowds import Crowd, mix_for
from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.seats import deny_exempt, watched
from spaces_ctl.policy.state import Space
from spaces_ctl.service.ports import Profile

__all__ = [
    "MOST_STATE_BYTES",
    "AclKey",
    "Audience",
    "People",
    "Tables",
    "set_acl",
    "set_state",
    "tables",
]

MOST_STATE_BYTES = 64 * 1024
"""The engine takes no larger snapshot."""
# Newest first to stay: so that the snapshot keeps its bound whatever people write.
_MOST_POSTS = 100
_MOST_POLLS = 5
_MOST_PICTURE = 256
_MOST_NAME = 64
_SMALL = Crowd()

AclKey = tuple[Literal["bar", "deny", "allow", "watch"], AccountId]
"""Kind (`bar`, `deny`, `allow`, `watch`) and owner (0 but for `deny`)."""


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """People connected, as the engine counts them."""

    named: int = 0
    anonymous: int = 0
    guests: int = 0


class People(msgspec.Struct, frozen=True, kw_only=True):
    """What the tables say of people and the log does not know."""

    blocks: Mapping[AccountId, frozenset[AccountId]] = {}
    """Whom each of `Space.deny_owners` blocks."""
    tickets: frozenset[AccountId] = frozenset()
    """Who holds a ticket, if the Space is ticketed."""
    profiles: Mapping[AccountId, Profile] = {}
    """Of those on stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """All values of one live Space, without versions (0)."""

    space: UpsertSpace
    acls: Mapping[AclKey, frozenset[AccountId]]
    """Only sets that have members."""
    essence: bytes
    """Of the snapshot, what everybody has to see at once. Votes and people's counts change too often for that."""
    snapshot: bytes
    """JSON of the `state` track, at most `MOST_STATE_BYTES`."""


def tables(space: Space, people: People, audience: Audience, limits: Limits, crowd: Crowd = _SMALL) -> Tables | None:
    """What the engine has to be told; None for a Space that is not live: nobody may be there."""
    if space.status is not Status.LIVE or space.started_ms is None:
        return None
    acls: dict[AclKey, frozenset[AccountId]] = {
        ("bar", 0): space.removed,
        ("allow", 0): people.tickets if space.ticketing is not None else frozenset(),
        ("watch", 0): _without(watched(space), {seat.account for seat in space.stage}),
    }
    for owner in space.deny_owners:
        acls["deny", owner] = _without(people.blocks.get(owner, frozenset()), _spared(space, owner))
    essence, snapshot = _snapshots(space, people, audience)
    return Tables(
        space=UpsertSpace(
            space=space.id,
            version=0,
            live=True,
            record=_logged(space, limits),
            guests=True,
            ticketed=space.ticketing is not None,
            mic_open=space.mic_open,
            mix=True,
            mix_for=mix_for(crowd, limits),
            started_at_ms=space.started_ms,
            stage=tuple(_row(space, seat) for seat in sorted(space.stage, key=lambda seat: seat.seat)),
        ),
        acls={key: members for key, members in acls.items() if members},
        essence=essence,
        snapshot=snapshot,
    )


def set_acl(space: SpaceId, key: AclKey, members: frozenset[AccountId], version: int) -> SetAcl:
    """The command for one set."""
    kind, owner = key
    return SetAcl(space=space, version=version, kind=kind, owner=owner, accounts=members)


def set_state(space: SpaceId, snapshot: bytes, version: int) -> SetState:
    """The command for the snapshot."""
    return SetState(space=space, version=version, snapshot=snapshot)


def _spared(space: Space, owner: AccountId) -> Set[AccountId]:
    """Whom a block list does not keep out: see `policy.leaving.purge`."""
    return {space.creator} if owner == space.admin else deny_exempt(space)


def _without(members: frozenset[AccountId], spared: Set[AccountId]) -> frozenset[AccountId]:
    # The same object as far as possible: lists are long, and compared with what the engine was told before.
    return members if members.isdisjoint(spared) else members - spared


def _row(space: Space, seat: Seat) -> StageRow:
    # The engine lets the words of nobody else become captions, nor their sound reach a recogniser.
    return StageRow(
        seat=seat.seat,
        account=seat.account,
        role=seat.role.value,
        muted=seat.muted,
        generation=seat.generation,
        caption=space.captions_on and seat.account in space.consented,
    )


def _recording(space: Space) -> bool:
    """What people are told."""
    return space.record and not space.recording_stopped


def _logged(space: Space, limits: Limits) -> bool:
    """Whether the engine writes anything: for a replay, for review, or the last minutes for clips."""
    reviewed = limits.audit_copy or space.reported
    clipped = space.clips_on and not limits.clip_requires_recording
    return _recording(space) or reviewed or clipped


def _snapshots(space: Space, people: People, audience: Audience) -> tuple[bytes, bytes]:
    """Without and with what changes often."""
    polls = dict(list(space.polls.items())[-_MOST_POLLS:])
    essence: dict[str, object] = {
        # Ids are strings: JavaScript's numbers have 53 bits.
        "space": str(space.id),
        "status": space.status,
        "started_ms": space.started_ms,
        "title": space.title,
        "description": space.description,
        "topics": space.topics,
        "lang": space.lang,
        "recording": _recording(space),
        "mic_open": space.mic_open,
        "speak": space.speak,
        "requests_open": space.requests_open,
        "clips": space.clips_on,
        "captions": space.captions_on,
        "stage": [_person(seat, people.profiles.get(seat.account)) for seat in space.stage],
        "posts": [{"post": str(post), "by": str(by)} for post, by in list(space.posts.items())[-_MOST_POSTS:]],
        "polls": [
            {"poll": number, "question": poll.question, "options": poll.options, "closed": poll.closed}
            for number, poll in polls.items()
        ],
    }
    whole = essence | {
        "votes": {str(number): poll.votes for number, poll in polls.items()},
        "audience": audience,
    }
    return msgspec.json.encode(essence), msgspec.json.encode(whole)


def _person(seat: Seat, profile: Profile | None) -> dict[str, object]:
    return {
        "seat": seat.seat,
        "account": str(seat.account),
        "handle": profile.handle if profile else "",
        "name": profile.name[:_MOST_NAME] if profile else "",
        "picture": profile.picture if profile and len(profile.picture) <= _MOST_PICTURE else "",
        "role": seat.role,
        "muted": seat.muted,
        "away": seat.away,
    }
