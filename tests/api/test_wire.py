"""Ids, times and commands survive the way over the wire and back."""

import random
from typing import Any

import msgspec
import pytest

from spaces_ctl import commands as c
from spaces_ctl import routes
from spaces_ctl.api import wire
from spaces_ctl.engine import space_name
from spaces_ctl.model import Speak, Ticketing

EXAMPLES: dict[str, Any] = {
    "account": 7302984120,
    "appeal": 12,
    "community": 5,
    "post": 88,
    "space": 2**62,
    "scheduled_start_ms": 1_700_000_000_123,
    "until_ms": 1_700_000_000_000,
    "ticketing": Ticketing(price_minor=500, currency="EUR", quantity=3),
    "topics": ("music", "books"),
    "options": ("yes", "no"),
    "speak": Speak.FOLLOWED,
}


def example(command: Any) -> Any:
    values = {}
    for field in msgspec.structs.fields(command):
        kind = str(field.type)
        values[field.name] = EXAMPLES.get(field.name, "text" if "str" in kind else True if "bool" in kind else 3)
    return command(**values)


@pytest.mark.parametrize("command", [c.Create, *routes.SPACE_ROUTES, *routes.ACCOUNT_ROUTES], ids=lambda k: k.__name__)
def test_every_command_comes_back_as_it_was(command: Any) -> None:
    sent = example(command)
    body_type = wire.body_type(command)
    body = None if body_type is None else msgspec.json.decode(msgspec.json.encode(wire.body_of(sent)), type=body_type)
    path = {
        name: value if isinstance(value := getattr(sent, name), int) and name in ("clip", "poll") else str(value)
        for name in wire.path_fields(command)
    }
    assert wire.command_of(command, path, body) == sent
    if command is not c.Create:
        assert "{" not in wire.path_of(sent)


def test_space_ids_are_the_engines_names() -> None:
    numbers = [0, 1, 61, 62, 2**63 - 1, *(random.Random(4).getrandbits(63) for _ in range(200))]
    assert [wire.space_text(n) for n in numbers] == [space_name(n) for n in numbers]
    assert [wire.space_id(wire.space_text(n)) for n in numbers] == numbers


@pytest.mark.parametrize("text", ["", "a-b", "zzzzzzzzzzzz", "zzzzzzzzzzz", "ä"])
def test_what_is_no_space_id(text: str) -> None:
    with pytest.raises(ValueError, match=r"base62|63 bits|characters"):
        wire.space_id(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.0", "٣", "01", "9223372036854775808", "7\n"])
def test_what_is_no_account_id(text: str) -> None:
    with pytest.raises(ValueError, match="id"):
        wire.account_id(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000_007, "2023-11-14T22:13:20.007Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_times(ms: int, text: str) -> None:
    assert wire.timestamp(ms) == text
    assert wire.milliseconds(msgspec.json.decode(f'"{text}"', type=wire.Timestamp)) == ms


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode('"2023-11-14T22:13:20"', type=wire.Timestamp)
