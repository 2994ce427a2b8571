"""Making a Space and coming in."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, post
from litestar.params import JSONBody

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.spaces.commands import refusals
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.api.spaces.views import AdmissionView, SpaceView, admission_view, space_view

__all__ = ["HANDLERS"]


CreateBody: Any = wire.body_type(c.Create)


class JoinBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to come in."""

    anonymous: bool = False
    """Unnamed: counted, in no list, may only listen."""


_PLAIN = CreateBody()
_NAMED = JoinBody()


@post(
    "/spaces",
    operation_id="createSpace",
    summary="Make a Space",
    tags=["Spaces"],
    responses=problems(
        "auth.token_missing",
        *(code for code in refusals(c.Create) if not code.startswith("state.")),
        "store.unavailable",
        "graph.unavailable",
    ),
)
async def create_space(
    principal: Asker, spaces: Injected, reading: Injected, data: JSONBody[CreateBody] = _PLAIN
) -> Response[SpaceView]:
    """A new Space in its lobby, or scheduled if `scheduled_start` is given. Its host is who asks."""
    outcome = await spaces.create(principal.actor(), wire.command_of(c.Create, {}, data))
    view = space_view(await reading.look(principal.actor(), outcome.space.id), principal.account)
    return Response(view, status_code=201, headers={"location": f"/api/v1/spaces/{view.id}"})


@post(
    "/spaces/{space:str}/join",
    status_code=200,
    operation_id="joinSpace",
    summary="Come in",
    tags=["Spaces"],
    opt={"secret": True},
    responses=problems("space.not_found", *refusals(c.Join), "graph.unavailable"),
)
async def join_space(
    space: SpaceParam, principal: Asker, joins: Injected, data: JSONBody[JoinBody] = _NAMED
) -> AdmissionView:
    """Whether one may come in, and where and with what token to connect. Guests may listen, too."""
    actor = principal.actor(anonymous=data.anonymous)
    return admission_view(await joins.join(actor, read_space(space), principal.session))


HANDLERS = [create_space, join_space]
