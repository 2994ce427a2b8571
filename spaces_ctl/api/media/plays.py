"""Somebody begins to play a replay: the one command of a Space that is counted and leaves no event."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, post

from spaces_ctl import commands as c
from spaces_ctl import routes
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.spaces.commands import AFTERWARDS, refusals
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.api.spaces.views import Done, done

__all__ = ["router"]


@post(
    "/spaces/{space:str}" + routes.SPACE_ROUTES[c.PlayReplay].path,
    status_code=200,
    operation_id="playReplay",
    summary="Play replay",
    tags=["Commands"],
    responses=problems(*refusals(c.PlayReplay), *AFTERWARDS),
)
async def play_replay(space: SpaceParam, request: Request[Any, Any, Any], principal: Asker, plays: Injected) -> Done:
    """Whether it may be played. Counted once a viewer (an account, or a guest's address) and half an hour."""
    address = request.client.host if request.client else ""
    return done(await plays.play(principal, address, read_space(space)))


router = Router(path="", route_handlers=[play_replay])
