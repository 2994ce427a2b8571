"""How everything comes back: the process, the control loop. Outcomes of each are tabled in docs/recovery.md.

Boot is database, fold live Spaces, engine, HTTP, in this order: an engine that knows no Space refuses whoever comes
(`space.not_found`), and clients that were in a Space before take that as "try again" for a minute.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from spaces_ctl.engine import EndSpace, Engine, EngineConfig, EngineError, UnknownSpace
from spaces_ctl.model import SpaceId
from spaces_ctl.service.ports import MediaEngine
from spaces_ctl.service.spaces import Spaces
from spaces_ctl.service.tables import Tables
from spaces_ctl.service.upkeep import Watchdog

__all__ = ["BOOT_GRACE_MS", "attach_or_make", "boot", "supervise"]

logger = logging.getLogger(__name__)

BOOT_GRACE_MS = 60_000
"""Resume windows begin no earlier than this after a boot: a restart demotes nobody."""

_LONGEST_PAUSE_S = 5.0


async def boot(spaces: Spaces, engine: MediaEngine, *, attached: bool = False, grace_ms: int = BOOT_GRACE_MS) -> int:
    """Folds the live Spaces and tells the engine everything; answers how many they are.

    `attached`: the engine has outlived its control loop, and its people must not be put out. Raises ServiceError
    (`store.unavailable`), EngineError.
    """
    await spaces.settle_log()
    spaces.log.resume_not_before_ms = spaces.clock.now_ms() + grace_ms + spaces.limits.resume_window_ms
    known: dict[SpaceId, Tables] = {}
    for space in await spaces.live_in_log():
        tables = await spaces.adopt(space, attached=attached)
        if tables is not None:
            known[space] = tables
    ended = await spaces.ended_lately() if attached else []
    commands = spaces.programmer.boot(known, attached=attached, ended=ended)
    answers = await engine.apply_all([command for _, command in commands])
    doubtful = {
        space
        for (space, command), answer in zip(commands, answers, strict=True)
        if isinstance(answer, EngineError) and not (isinstance(command, EndSpace) and isinstance(answer, UnknownSpace))
    }
    for space in doubtful:
        spaces.programmer.doubt(space)
        await spaces.refresh(space)
    for space in known:
        await spaces.finish_removals(space)
    spaces.wakes_timers()
    return len(known)


def attach_or_make(config: EngineConfig, name: str) -> tuple[Engine, bool]:
    """The engine of that name: the one that runs in this process, or a new one. The second: it ran already."""
    try:
        return Engine.attach(name), True
    except EngineError:
        return Engine(config, name=name), False


def supervise(
    main: Callable[[], Coroutine[Any, Any, None]],
    watchdog: Watchdog,
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    pause_s: float = 0.1,
) -> None:
    """Runs `main` in a loop of its own until it returns; if it dies, a new loop runs it anew.

    `main` attaches to the engine (`attach_or_make`), which serves on meanwhile. KeyboardInterrupt and SystemExit are
    no deaths and pass.
    """
    while True:
        try:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(main())
        except Exception:
            watchdog.restarts += 1
            logger.exception("the control loop died (%d); a new one takes over", watchdog.restarts)
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        else:
            return
