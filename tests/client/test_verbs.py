"""The methods are the table: every command with a route has one, of the same fields, documented."""

from __future__ import annotations

import inspect
import re
import typing
from typing import Any

import httpx
import msgspec
import pytest

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.client.account_verbs import AccountVerbs
from spaces_ctl.client.space import Space
from spaces_ctl.model import Speak
from spaces_ctl.routes import ACCOUNT_ROUTES, SPACE_ROUTES

OF_SPACES = [(Space, command) for command in SPACE_ROUTES]
DONE = {"space": "abc", "version": 7, "fence_group": None, "number": None}
OF_ACCOUNTS = [(AccountVerbs, command) for command in ACCOUNT_ROUTES]


def method_of(owner: type, command: type[Any]) -> Any:
    return getattr(owner, re.sub(r"(?<!^)(?=[A-Z])", "_", command.__name__).lower())


@pytest.mark.parametrize(("owner", "command"), [*OF_SPACES, *OF_ACCOUNTS])
def test_each_command_has_a_method_of_its_fields(owner: type, command: type[Any]) -> None:
    method = method_of(owner, command)
    assert inspect.getdoc(method)
    hints = typing.get_type_hints(command)
    parameters = dict(inspect.signature(method, eval_str=True).parameters)
    del parameters["self"]
    fields = msgspec.structs.fields(command)
    assert list(parameters) == [field.name for field in sorted(fields, key=lambda field: not field.required)]
    for field in fields:
        parameter = parameters[field.name]
        assert parameter.annotation == hints[field.name]
        assert (parameter.default is inspect.Parameter.empty) == field.required
        assert field.required or parameter.default == field.default
        assert (parameter.kind is inspect.Parameter.KEYWORD_ONLY) == (not field.required)


def value_of(kind: Any) -> Any:
    return {int: 5, str: "x", bool: True, Speak: Speak.EVERYONE, tuple[str, ...]: ("a", "b")}[kind]


@pytest.mark.parametrize(("owner", "command"), [*OF_SPACES, *OF_ACCOUNTS])
async def test_each_method_sends_its_command(script: Any, owner: type, command: Any) -> None:
    hints = typing.get_type_hints(command)
    required = {field.name: value_of(hints[field.name]) for field in msgspec.structs.fields(command) if field.required}
    script.answers = [httpx.Response(200, json=DONE) if owner is Space else httpx.Response(204)]
    async with script.client() as client:
        target = client.space("abc") if owner is Space else client.me
        await getattr(target, method_of(owner, command).__name__)(**required)
    (request,) = script.asked
    route = (SPACE_ROUTES if owner is Space else ACCOUNT_ROUTES)[command]
    base = "/api/v1/spaces/abc" if owner is Space else "/api/v1"
    path = re.fullmatch(base + re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route.path), request.url.path)
    assert request.method == route.method
    assert path is not None
    body_type: type[msgspec.Struct] | None = wire.body_type(command)
    body = None if body_type is None else msgspec.json.decode(request.content, type=body_type)
    assert body is not None or request.content == b""
    assert wire.command_of(command, path.groupdict(), body) == command(**required)


def test_no_method_is_without_a_command() -> None:
    known = {method_of(owner, command).__name__ for owner, command in (*OF_SPACES, *OF_ACCOUNTS)}
    for owner in (Space, AccountVerbs):
        sent = {
            name
            for name, method in inspect.getmembers(owner, inspect.iscoroutinefunction)
            if "self.execute(" in inspect.getsource(method)
        }
        assert sent <= known


async def test_timers_commands_are_not_given_over_the_api(script: Any) -> None:
    async with script.client() as client:
        with pytest.raises(TypeError, match="HostlessExpired is not given over the API"):
            await client.space("abc").execute(c.HostlessExpired())
