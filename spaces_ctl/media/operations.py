"""What the media worker can be asked: one line an operation. Only the worker's process imports this module.

A handler is `async def handler(worker: Worker, request: SomeStruct) -> SomeStruct` (or takes a part of the worker,
`bench`); its annotations are the wire's types. Its structs live apart (`requests`, or a module of their own without
heavy imports), because the server loads them too. It raises `MediaError(code, detail)` for what the server is to know;
anything else is `internal` and logged.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from spaces_ctl.media import clips, exporting, finalizing, following, live, replay_operations, reviewing, upkeep

__all__ = ["OPERATIONS", "Handler"]

Handler = Callable[..., Awaitable[Any]]

OPERATIONS: dict[str, Handler] = {
    "follow": following.follow,
    "finalize": finalizing.finalize,
    "forget": following.forget,
    "complete": replay_operations.complete,
    "trim": replay_operations.trim,
    "cut": clips.cut,
    "film": clips.film,
    "begin_film": clips.begin_film,
    "preview": clips.preview,
    "export": exporting.export,
    "who_speaks": reviewing.who_speaks,
    "review_track": reviewing.review_track,
    "hear": live.hear,
    "piece": live.piece,
    "delete": upkeep.delete,
    "spooled": upkeep.spooled,
    "figures": upkeep.figures,
}
