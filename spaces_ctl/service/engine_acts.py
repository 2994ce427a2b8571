"""What the engine does once, beside the values that it is told: closing sessions, counting a reaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spaces_ctl import events as e
from spaces_ctl.engine import EngineError, Refused, SpaceEnded, UnknownSpace
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import MediaEngine

__all__ = ["PutOut", "leaving", "react", "removed_lately"]


_LATELY_MS = 120_000


def leaving(events: Iterable[e.SpaceEvent]) -> frozenset[AccountId]:
    """Whose sessions end by `events`; they may be neither barred nor blocked, so that no set closes them."""
    return frozenset(
        event.account
        for event in events
        if isinstance(event, e.Removed) or (isinstance(event, e.Left) and event.how is e.LeftHow.LEFT)
    )


def removed_lately(log: Sequence[e.Recorded]) -> frozenset[AccountId]:
    """Who was removed in a Space's last two minutes and has not come back by way of the log since.

    An engine that outlived its control loop may still have them. Counted from the log's end and not from now: nothing
    was decided while the loop was dead, however long that was.
    """
    found: set[AccountId] = set()
    for entry in log:
        match entry.event:
            case e.Removed(account=account) if entry.at_ms >= log[-1].at_ms - _LATELY_MS:
                found.add(account)
            case e.Readmitted() | e.Joined() | e.Back() | e.Requested() | e.SpeakerAdded() | e.CohostAdded():
                found.discard(entry.event.account)
            case _:
                pass
    return frozenset(found)


class PutOut:
    """Closes sessions, until the engine has confirmed it."""

    def __init__(self, engine: MediaEngine) -> None:
        """Nobody is to be put out."""
        self._engine = engine
        self._waiting: dict[SpaceId, set[AccountId]] = {}

    def note(self, space: SpaceId, accounts: Iterable[AccountId]) -> None:
        """These are to be put out, by the next `carry_out`."""
        if accounts := set(accounts):
            self._waiting.setdefault(space, set()).update(accounts)

    async def carry_out(self, space: SpaceId, fence: int | None) -> int | None:
        """Answers `fence`, or a later one if somebody was put out.

        Raises ServiceError (`engine.unavailable`): who is not out yet is tried again by the next call.
        """
        waiting = self._waiting.get(space, set())
        for account in sorted(waiting):
            try:
                applied = await self._engine.kick(space, account)
                fence = max(fence or 0, applied.fence_group)
            except (UnknownSpace, SpaceEnded):
                pass  # everybody is out
            except EngineError as error:
                raise ServiceError("engine.unavailable") from error
            waiting.discard(account)
        self._waiting.pop(space, None)
        return fence


async def react(engine: MediaEngine, limits: Limits, space: SpaceId, account: AccountId, emoji: str) -> None:
    """Counted and told by the engine; no event. Raises ServiceError."""
    try:
        await engine.react(space, account, limits.reactions.index(emoji))
    except Refused as refused:
        raise ServiceError(refused.code) from refused
    except EngineError as error:
        raise ServiceError("engine.unavailable") from error
