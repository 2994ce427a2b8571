"""How values look on our HTTP API: ids and times as strings, commands as paths and JSON bodies.

Space ids are base62, account ids decimal, times RFC 3339 in UTC with milliseconds. Durations and positions within a
recording stay integers whose names end with their unit. Used by the server's handlers and by the typed client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from inspect import cleandoc
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from spaces_ctl import base62, commands, routes
from spaces_ctl.clock import timestamp
from spaces_ctl.model import Ticketing

__all__ = [
    "AccountIdText",
    "Number",
    "Page",
    "SpaceIdText",
    "Text",
    "TicketingBody",
    "Timestamp",
    "account_id",
    "account_text",
    "body_of",
    "body_type",
    "command_of",
    "milliseconds",
    "path_fields",
    "space_id",
    "space_text",
    "timestamp",
]

_ROUTES: dict[Any, routes.Route] = {**routes.SPACE_ROUTES, **routes.ACCOUNT_ROUTES}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_ID = (1 << 63) - 1

SPACE_PATTERN = "^[0-9A-Za-z]{1,11}$"
ACCOUNT_PATTERN = "^[1-9][0-9]{0,18}$"

SpaceIdText = Annotated[str, Meta(pattern=SPACE_PATTERN, description="A Space's id, base62.", examples=["9JqkZbCx3Gq"])]
AccountIdText = Annotated[str, Meta(pattern=ACCOUNT_PATTERN, description="An id, decimal.", examples=["7302984120"])]
Timestamp = Annotated[datetime, Meta(tz=True, description="RFC 3339, UTC.")]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53 - 1, description="Milliseconds.")]
# PostgreSQL's text holds no U+0000. The rules know shorter bounds for some.
Text = Annotated[str, Meta(max_length=4000, pattern=r"^[^\x00]*$")]
Word = Annotated[str, Meta(max_length=100, pattern=r"^[^\x00]*$")]

T = TypeVar("T")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, as every list is answered."""

    data: list[Any]
    next: str | None = None


class TicketingBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Price and number of a Space's tickets."""

    price_minor: Annotated[int, Meta(ge=1, le=100_000_000, description="In the currency's minor unit (cents).")]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.")]
    quantity: Annotated[int, Meta(ge=1, le=10_000_000)]


def space_text(space: int) -> str:
    """A Space's id as base62, without leading zeros."""
    return base62.encode(space)


def space_id(text: str) -> int:
    """Reads base62. Raises ValueError for what is none, or above 63 bits."""
    value = base62.decode(text)
    if value > _MOST_ID:
        raise ValueError("the id is above 63 bits")
    return value


def account_text(account: int) -> str:
    """An account's (or post's, community's, appeal's) id in decimal."""
    return str(account)


def account_id(text: str) -> int:
    """Reads a decimal id. Raises ValueError for what is none, or above 63 bits."""
    if not re.fullmatch(ACCOUNT_PATTERN, text):
        raise ValueError("expected a decimal id")
    value = int(text)
    if value > _MOST_ID:
        raise ValueError("the id is above 63 bits")
    return value


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970 of an aware time, rounded down."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


class _Field(NamedTuple):
    """A command's field on the wire."""

    name: str
    kind: Any
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]


def _same(value: T) -> T:
    return value


def _ticketing(body: TicketingBody) -> Ticketing:
    return Ticketing(price_minor=body.price_minor, currency=body.currency, quantity=body.quantity)


def _ticketing_body(value: Ticketing) -> TicketingBody:
    return TicketingBody(price_minor=value.price_minor, currency=value.currency, quantity=value.quantity)


_ACCOUNT = (AccountIdText, account_id, account_text)
_TIME = (Timestamp, milliseconds, timestamp)
_FIELDS: dict[str, tuple[str, Any, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "account": ("account", *_ACCOUNT),
    "appeal": ("appeal", *_ACCOUNT),
    "community": ("community", *_ACCOUNT),
    "post": ("post", *_ACCOUNT),
    "space": ("space", SpaceIdText, space_id, space_text),
    "clip": ("clip", Number, _same, _same),
    "poll": ("poll", Number, _same, _same),
    "option": ("option", Number, _same, _same),
    "end_ms": ("end_ms", Milliseconds, _same, _same),
    "start_ms": ("start_ms", Milliseconds, _same, _same),
    "length_ms": ("length_ms", Milliseconds, _same, _same),
    "scheduled_start_ms": ("scheduled_start", *_TIME),
    "until_ms": ("until", *_TIME),
    "ticketing": ("ticketing", TicketingBody, _ticketing, _ticketing_body),
    "topics": ("topics", tuple[Word, ...], _same, _same),
    "options": ("options", tuple[Word, ...], _same, _same),
    "lang": ("lang", Word, _same, _same),
    "emoji": ("emoji", Word, _same, _same),
    "reason": ("reason", Word, _same, _same),
}
"""What differs on the wire from the command: name, type, and the way there and back. All else is as it is."""


def _wire_field(name: str, kind: Any) -> _Field:
    optional = type(None) in _arguments(kind)
    text = kind is str or str in _arguments(kind)
    wire_name, wire_kind, read, write = _FIELDS.get(name) or (name, Text if text else kind, _same, _same)
    return _Field(wire_name, wire_kind | None if optional else wire_kind, read, write)


def _arguments(kind: Any) -> tuple[Any, ...]:
    return getattr(kind, "__args__", ())


@cache
def path_fields(command: Any) -> tuple[str, ...]:
    """The command's fields that stand in its path, in order."""
    route = _ROUTES.get(command)
    return tuple(re.findall(r"{(\w+)}", route.path)) if route else ()


@cache
def path_type(command: Any, name: str) -> Any:
    """The wire type of a path parameter."""
    return _wire_field(name, get_type_hints(command)[name]).kind


@cache
def _body_fields(command: Any) -> dict[str, _Field]:
    hints = get_type_hints(command, include_extras=True)
    return {
        field.name: _wire_field(field.name, hints[field.name])
        for field in msgspec.structs.fields(command)
        if field.name not in path_fields(command)
    }


@cache
def body_type(command: Any) -> type[msgspec.Struct] | None:
    """The Struct of the command's JSON body; None if it has none."""
    fields = _body_fields(command)
    if not fields:
        return None
    defaults = {field.name: field.default for field in msgspec.structs.fields(command)}
    return msgspec.defstruct(
        f"{command.__name__}Body",
        [
            (wire.name, wire.kind) if defaults[name] is msgspec.NODEFAULT else (wire.name, wire.kind, defaults[name])
            for name, wire in fields.items()
        ],
        namespace={"__doc__": cleandoc(command.__doc__ or "")},
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        module=__name__,
    )


def has_defaults_only(command: Any) -> bool:
    """Whether the body may be left out."""
    body = body_type(command)
    return body is None or all(not field.required for field in msgspec.structs.fields(body))


def command_of(command: Callable[..., T], path: Mapping[str, str | int], body: msgspec.Struct | None) -> T:
    """Puts a command together. Raises ValueError for an id that is none."""
    values: dict[str, Any] = {}
    hints = get_type_hints(command)
    for name in path_fields(command):
        field = _wire_field(name, hints[name])
        values[name] = field.read(int(path[name]) if field.kind is Number else path[name])
    if body is not None:
        for name, field in _body_fields(command).items():
            value = getattr(body, field.name)
            values[name] = None if value is None else field.read(value)
    return command(**values)


def body_of(command: msgspec.Struct) -> dict[str, Any] | None:
    """The JSON body of a command as plain values, for clients; None if its route has none."""
    fields = _body_fields(type(command))
    if not fields:
        return None
    values = {field.name: (getattr(command, name), field) for name, field in fields.items()}
    return {
        name: None if value is None else msgspec.to_builtins(field.write(value))
        for name, (value, field) in values.items()
    }


def path_of(command: commands.SpaceCommand | commands.AccountCommand) -> str:
    """The command's path with its fields filled in, as in `routes`."""
    route = _ROUTES[type(command)]
    hints = get_type_hints(type(command))
    values = {name: _wire_field(name, hints[name]).write(getattr(command, name)) for name in path_fields(type(command))}
    return route.path.format(**values)
