"""`spaces login` and `spaces logout`: the token of a server, kept for later commands."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from spaces_ctl.cli.account import read_password
from spaces_ctl.cli.output import Json, lines, print_json
from spaces_ctl.cli.remote import DEFAULT_URL, Login, Url, forget, remote, save, saved

if TYPE_CHECKING:
    from spaces_ctl.client import SpacesClient


def login(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Handle or e-mail address.")],
    url: Url = None,
    json: Json = False,
) -> None:
    """Logs in to a server; the password is read from the terminal, or one line from standard input."""
    secret = read_password(twice=False)

    async def work(client: "SpacesClient") -> Login:
        begun = await client.login(name, secret)
        return Login(url or DEFAULT_URL, begun.token, begun.account.handle)

    # Not with the token that was kept before: if its session has ended, the server refuses even a login with it.
    begun = remote(url or DEFAULT_URL, "", work)
    file = save(begun)
    if json:
        print_json({"url": begun.url, "handle": begun.handle, "file": file})
    else:
        lines(f"{begun.handle} at {begun.url}, kept in {file}")


def logout(json: Json = False) -> None:
    """Ends the kept session and forgets its token."""
    kept = saved()
    if kept is not None:
        forget()
        remote(kept.url, kept.token, _end)
    print_json({"ended": kept is not None}) if json else lines("logged out" if kept else "was not logged in")


async def _end(client: "SpacesClient") -> None:
    from spaces_ctl.client import Unauthorized

    with suppress(Unauthorized):  # had ended already
        await client.logout()
