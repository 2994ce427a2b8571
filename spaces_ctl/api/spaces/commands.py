"""A handler for every command of `routes`, made from the table: path, body, refusals and description are the command's.

`PUT /spaces/{space}/settings/speak` with `{"speak": "everyone"}` is `SetSpeak(speak=EVERYONE)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import Parameter as Slot
from inspect import Signature, cleandoc
from typing import Annotated, Any

from litestar import delete, patch, post, put
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.params import BodyKwarg, PathParameter

from spaces_ctl import commands as c
from spaces_ctl import routes
from spaces_ctl.api import wire
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.spaces.params import Injected, SpaceParam, read_space
from spaces_ctl.api.spaces.views import Done, done
from spaces_ctl.model import Status
from spaces_ctl.policy import RULES
from spaces_ctl.service.errors import ServiceError

__all__ = ["ACCOUNT_HANDLERS", "AFTERWARDS", "SPACE_HANDLERS", "refusals"]

_VERBS = {"POST": post, "PUT": put, "PATCH": patch, "DELETE": delete}
_RATES = {c.React: "reaction", c.ReportSpace: "report", c.ReportAccount: "report", c.ReportClip: "report"}
_MODERATION = (c.BanFromLive, c.LiftBan, c.ResolveAppeal)

AFTERWARDS = ("space.not_found", "version.conflict", "store.unavailable", "engine.unavailable", "graph.unavailable")
_ACCOUNT_REFUSALS: dict[Any, tuple[str, ...]] = {
    c.Block: ("account.not_found", "target.self", "engine.unavailable", "version.conflict"),
    c.Unblock: ("account.not_found", "target.self", "engine.unavailable"),
    c.MuteAccount: ("account.not_found", "target.self"),
    c.UnmuteAccount: ("account.not_found", "target.self"),
    c.Follow: ("account.not_found", "target.self", "role.forbidden"),
    c.Unfollow: ("account.not_found", "target.self"),
    c.BanFromLive: (
        "account.not_found",
        "role.forbidden",
        "setting.invalid",
        "report.reason_required",
        "engine.unavailable",
        "version.conflict",
    ),
    c.LiftBan: ("account.not_found", "role.forbidden"),
    c.Appeal: ("appeal.window_closed", "appeal.exists", "appeal.not_found", "request.invalid"),
    c.ResolveAppeal: ("appeal.not_found", "role.forbidden"),
}


def refusals(command: Any) -> tuple[str, ...]:
    """The codes that the rules can refuse a command of a Space with, in the order in which they are looked at."""
    rule = RULES[command]
    states = [f"state.{status.value}" for status in Status if status not in rule.states and status is not Status.NEW]
    return tuple(dict.fromkeys([*states, "role.forbidden", *(guard.code for guard in rule.guards)]))


def _operation(command: Any) -> str:
    name: str = command.__name__
    return name[0].lower() + name[1:]


def _summary(command: Any) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", command.__name__).capitalize()


def _slots(command: Any, *first: Slot) -> list[Slot]:
    """The handler's parameters: those of the path, then the body."""
    slots = list(first)
    for name in wire.path_fields(command):
        kind = wire.path_type(command, name)
        if kind is wire.Number:
            slots.append(_slot(name, Annotated[int, PathParameter(ge=0, le=2**31 - 1, description="Its number.")]))
        else:
            slots.append(
                _slot(name, Annotated[str, PathParameter(pattern=wire.ACCOUNT_PATTERN, description="Its id.")])
            )
    body: Any = wire.body_type(command)
    if body is not None:
        optional = wire.has_defaults_only(command)
        slots.append(
            _slot(
                "data",
                Annotated[body, BodyKwarg(media_type=RequestEncodingType.JSON)],
                default=body() if optional else Slot.empty,
            )
        )
    return slots


def _slot(name: str, kind: Any, default: Any = Slot.empty) -> Slot:
    return Slot(name, Slot.KEYWORD_ONLY, annotation=kind, default=default)


def _described(function: Callable[..., Any], command: Any, slots: list[Slot], answer: Any) -> Callable[..., Any]:
    """Gives a general function the signature that the framework is to see."""
    function.__name__ = _operation(command)
    function.__doc__ = cleandoc(command.__doc__ or "")
    function.__signature__ = Signature(slots, return_annotation=answer)  # type: ignore[attr-defined]  # PEP 362; typeshed has it not
    function.__annotations__ = {slot.name: slot.annotation for slot in slots} | {"return": answer}
    return function


def _space_handler(command: Any, route: routes.Route) -> HTTPRouteHandler:
    names = wire.path_fields(command)

    async def handle(*, space: str, principal: Any, spaces: Any, data: Any = None, **path: Any) -> Done:
        asked = _read(command, {name: path[name] for name in names}, data)
        return done(await spaces.execute(principal.actor(), read_space(space), asked))

    first = [_slot("space", SpaceParam), _slot("principal", Injected), _slot("spaces", Injected)]
    return _VERBS[route.method](
        "/spaces/{space:str}" + _typed(command, route.path),
        status_code=200,
        operation_id=_operation(command),
        summary=_summary(command),
        tags=["Commands"],
        opt={"rate": _RATES.get(command)},
        responses=problems(*refusals(command), *AFTERWARDS),
    )(_described(handle, command, _slots(command, *first), Done))


def _account_handler(command: Any, route: routes.Route) -> HTTPRouteHandler:
    names = wire.path_fields(command)

    async def handle(*, principal: Any, accounts: Any, data: Any = None, **path: Any) -> Any:
        asked = _read(command, {name: path[name] for name in names}, data)
        await accounts.execute(principal, asked)

    first = [
        _slot("principal", Injected),
        _slot("accounts", Injected),
    ]
    return _VERBS[route.method](
        _typed(command, route.path),
        status_code=204,
        operation_id=_operation(command),
        summary=_summary(command),
        tags=["Moderation" if command in _MODERATION else "Account"],
        responses=problems("auth.token_missing", *_ACCOUNT_REFUSALS.get(command, ()), "graph.unavailable"),
    )(_described(handle, command, _slots(command, *first), None))


def _read(command: Any, path: dict[str, Any], data: Any) -> Any:
    try:
        return wire.command_of(command, path, data)
    except ValueError as error:
        # Within the documented pattern, but above 63 bits: nothing has this id.
        raise ServiceError("resource.not_found", str(error)) from error


def _typed(command: Any, path: str) -> str:
    """The path with Litestar's types."""
    for name in wire.path_fields(command):
        kind = "int" if wire.path_type(command, name) is wire.Number else "str"
        path = path.replace(f"{{{name}}}", f"{{{name}:{kind}}}")
    return path


_COUNTED = (c.PlayReplay,)
"""Have a handler of their own (`api.media.plays`)."""

SPACE_HANDLERS = [
    _space_handler(command, route) for command, route in routes.SPACE_ROUTES.items() if command not in _COUNTED
]
ACCOUNT_HANDLERS = [_account_handler(command, route) for command, route in routes.ACCOUNT_ROUTES.items()]
