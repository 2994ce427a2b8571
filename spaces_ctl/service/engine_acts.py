"""What the engine does once, beside the values that it is told: closing sessions, counting a reaction."""

from __future__ import annotations

from collections.abc import Iterable

from spaces_ctl import events as e
from spaces_ctl.engine import EngineError, Refused, SpaceEnded, UnknownSpace
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import MediaEngine

__all__ = ["put_out", "react"]


async def put_out(engine: MediaEngine, space: SpaceId, events: Iterable[e.SpaceEvent], fence: int | None) -> int | None:
    """Closes the sessions of those whom `events` put out, who may be neither barred nor blocked: no set closes them.

    Answers `fence`, or a later one if somebody was put out. Raises ServiceError (`engine.unavailable`).
    """
    for event in events:
        if isinstance(event, e.Removed) or (isinstance(event, e.Left) and event.how is e.LeftHow.LEFT):
            try:
                applied = await engine.kick(space, event.account)
            except (UnknownSpace, SpaceEnded):
                continue
            except EngineError as error:
                raise ServiceError("engine.unavailable") from error
            fence = max(fence or 0, applied.fence_group)
    return fence


async def react(engine: MediaEngine, limits: Limits, space: SpaceId, account: AccountId, emoji: str) -> None:
    """Counted and told by the engine; no event. Raises ServiceError."""
    try:
        await engine.react(space, account, limits.reactions.index(emoji))
    except Refused as refused:
        raise ServiceError(refused.code) from refused
    except EngineError as error:
        raise ServiceError("engine.unavailable") from error
