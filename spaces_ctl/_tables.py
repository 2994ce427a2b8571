"""What goes into the engine and what comes out: the tables of `spaces_ctl.engine`. Import that instead."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """One seat of the stage."""

    seat: int
    """0 to 12."""
    account: int
    """Who sits there."""
    role: Literal["host", "cohost", "speaker"]
    """As what."""
    muted: bool = False
    """A muted seat is not heard."""
    generation: int = 1
    """Grows when the seat is given (again): frames of an older generation are dropped."""
    caption: bool = False
    """Captions of this person may be made and shown: services hear the seat (`SeatTap`), and `Engine.caption` takes its
    words.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertSpace:
    """The Space and its stage, whole."""

    space: int
    version: int
    live: bool = True
    """People may join, and the stage is heard."""
    record: bool = False
    """Write a recording (needs `EngineConfig.recordings`)."""
    guests: bool = True
    """Logged-out listeners may join."""
    ticketed: bool = False
    """Only the `allow` set and the stage may join."""
    mic_open: bool = True
    """Speakers are heard; host and co-hosts always are."""
    mix: bool = False
    """Make the mix: the tracks `mix` (`Listener(track="mix")`) and `mix.groups`, and the recording's."""
    mix_for: Literal["nobody", "weak", "everybody"] = "weak"
    """Who is told, on the `state` track (behind a snapshot), to hear the mix instead of the stage, if there is a mix.

    Those whose own connection loses or refuses more than a tenth for five seconds, until it has been calm for long; or
    everybody. Those on stage never are. Clients follow (`Listener(track="told")`, the web app) or do not.
    """
    started_at_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    """When group 0 began, in milliseconds since 1970. Fixed by the first table of a Space."""
    stage: Sequence[StageRow] = ()
    """At most 13 rows; no seat and no account twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAcl:
    """One set of accounts of one owner, whole. An empty one drops it."""

    space: int
    version: int
    kind: Literal["bar", "deny", "allow", "watch"]
    """Removed from the Space; blocked by a host or co-host (`owner`); ticket holders; watched: no rule, but told of by
    `Joined` and `Left` as the stage is (creator, invited people, requesters)."""
    owner: int = 0
    """Whose block list, for `deny`; 0 otherwise."""
    accounts: Iterable[int] = ()
    """Members, in any order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetState:
    """What the `state` track says from now on."""

    space: int
    version: int
    snapshot: bytes
    """JSON, at most 64 KiB; the engine does not look into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRevoked:
    """Sessions that may not connect any more, in any Space. Whole."""

    version: int
    sids: Iterable[int] = ()
    """Session ids."""
    min_epoch: int = 0
    """Tokens of an older epoch are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSpace:
    """The Space is over: everybody leaves, the recording is finished. Its id is not used again."""

    space: int
    version: int


Command = UpsertSpace | SetAcl | SetState | SetRevoked | EndSpace


@dataclass(frozen=True, slots=True)
class Applied:
    """A command is in force on every shard."""

    fence_group: int
    """No object of a seat that the command silenced lies in a group after this one; none is sent from now on.

    That holds for packets of the mix with the seat in them, too. Of a seat whose `caption` the command withdrew no
    caption is sent from now on, and no sound to services.
    """


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `at_us` (microseconds on the engine's clock) in `space`."""

    at_us: int
    space: int


@dataclass(frozen=True, slots=True)
class Joined(Event):
    """Somebody of the stage or a watch set connected, or came on one of them while being connected.

    Told once a connection: a person may be there twice. Anonymous connections are never told.
    """

    account: int
    sid: int


@dataclass(frozen=True, slots=True)
class Left(Event):
    """A connection of somebody of the stage or a watch set ended; `lost` if the peer did not close it.

    The person may be there by another one, or by a newer one of the same `sid`: `Engine.present` knows.
    """

    account: int
    sid: int
    lost: bool


@dataclass(frozen=True, slots=True)
class SeatSpeaking(Event):
    """A seat's first frame since it was given, unmuted or silent for long."""

    seat: int


@dataclass(frozen=True, slots=True)
class SeatOverBudget(Event):
    """A seat sent `dropped` frames over its rate since the last such event."""

    seat: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Counts(Event):
    """People connected, told once a second while it changes."""

    named: int
    anonymous: int
    guests: int
    peak: int


@dataclass(frozen=True, slots=True)
class Reactions(Event):
    """How many of each kind of reaction came since the last such event, once a second at most."""

    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RecordingGap(Event):
    """The recording lacks `groups` ticks of 20 ms from `from_group` on: the disk was full, slow or failing."""

    from_group: int
    groups: int


@dataclass(frozen=True, slots=True)
class Resync(Event):
    """Events were lost because nobody took them: read `counts` and `present` again. `at_us` and `space` are 0."""


EVENTS: Mapping[str, Callable[..., Event]] = {
    "joined": Joined,
    "left": Left,
    "speaking": SeatSpeaking,
    "over_budget": SeatOverBudget,
    "counts": Counts,
    "reactions": Reactions,
    "recording_gap": RecordingGap,
}


def row(command: Command) -> tuple[Any, ...]:
    """A command as the native half takes it: its kind, then its fields."""
    match command:
        case UpsertSpace():
            stage = [(row.seat, row.account, row.role, row.muted, row.generation, row.caption) for row in command.stage]
            flags = (command.live, command.record, command.guests, command.ticketed, command.mic_open, command.mix)
            rest = (command.mix_for, command.started_at_ms, stage)
            return ("upsert_space", command.space, command.version, *flags, *rest)
        case SetAcl():
            accounts = ascending(command.accounts)
            return ("set_acl", command.space, command.version, command.kind, command.owner, accounts)
        case SetState():
            return ("set_state", command.space, command.version, bytes(command.snapshot))
        case SetRevoked():
            return ("set_revoked", command.version, ascending(command.sids), command.min_epoch)
        case EndSpace():
            return ("end_space", command.space, command.version)
        case _:
            assert_never(command)


def ascending(numbers: Iterable[int]) -> bytes:
    """Numbers as the native half takes them: 64 bits each, sorted, once."""
    return array("Q", sorted(set(numbers))).tobytes()
