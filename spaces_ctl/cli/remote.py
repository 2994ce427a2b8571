"""Commands to a running server: where it is, with which token, and how its refusals end."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

from spaces_ctl.cli.exits import Exit, Failure

if TYPE_CHECKING:
    from spaces_ctl.client import SpacesClient

__all__ = ["Login", "Token", "Url", "first", "forget", "remote", "save", "saved"]

T = TypeVar("T")
DEFAULT_URL = "http://127.0.0.1:8420"

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="SPACES_URL", help=f"The server; otherwise that of `spaces login`, or {DEFAULT_URL}."),
]
Token = Annotated[
    str | None,
    typer.Option("--token", envvar="SPACES_TOKEN", help="Whose token; otherwise that of `spaces login`."),
]


class Login(NamedTuple):
    """A saved login."""

    url: str
    token: str
    handle: str


def remote(url: str | None, token: str | None, work: Callable[[SpacesClient], Awaitable[T]]) -> T:
    """Runs `work` with a client. `token`: None takes the saved one, an empty one sends none. Raises Failure."""
    from spaces_ctl.client import Refused, Retries, SpacesClient, UnexpectedAnswer, Unreachable

    login = saved()
    # A saved token goes to its own server only.
    if token is None and login is not None and url in (None, login.url):
        token = login.token
    address = url or (login.url if login else DEFAULT_URL)

    async def main() -> T:
        async with SpacesClient(address, token=token or None, retries=Retries(attempts=2)) as client:
            return await work(client)

    try:
        return asyncio.run(main())
    except Refused as error:
        raise Failure(error.detail, Exit.REFUSED, code=error.code) from error
    except (Unreachable, UnexpectedAnswer) as error:
        raise Failure(str(error), Exit.UNREACHABLE) from error
    except KeyboardInterrupt:
        raise Failure("interrupted", Exit.INTERRUPTED) from None


async def first(found: AsyncIterator[T], limit: int) -> list[T]:
    """The first `limit` of a list."""
    taken: list[T] = []
    async for one in found:
        taken.append(one)
        if len(taken) == limit:
            break
    return taken


def saved() -> Login | None:
    """The login that `spaces login` left; None if there is none that can be read."""
    try:
        values: Any = json.loads(_file().read_text(encoding="utf-8"))
        return Login(str(values["url"]), str(values["token"]), str(values["handle"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(login: Login) -> Path:
    """Keeps a login, readable for this user alone."""
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        json.dump(login._asdict(), handle)
    return file


def forget() -> None:
    """Deletes the saved login."""
    _file().unlink(missing_ok=True)


def _file() -> Path:
    return Path(typer.get_app_dir("spaces")) / "login.json"
