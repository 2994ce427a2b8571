"""`spaces token`: tokens for the API, on the server's machine."""

from typing import Annotated

import typer

from spaces_ctl.cli.account import Handle
from spaces_ctl.cli.configuration import Config
from spaces_ctl.cli.local import Local, locally
from spaces_ctl.cli.output import Json, lines, print_json

app = typer.Typer(no_args_is_help=True, help="Tokens for the API, on the server's own machine.")


@app.callback()
def _token() -> None:
    """Tokens for the API, on the server's own machine."""


@app.command()
def mint(
    handle: Handle,
    device: Annotated[str, typer.Option(help="What the account's list of sessions calls it.")] = "spaces token mint",
    config: Config = None,
    json: Json = False,
) -> None:
    """Prints a token that is good for all that the account may do, until it is unused for auth.session_days."""

    async def work(local: Local) -> tuple[str, int]:
        from spaces_ctl.service.sessions import SessionKind

        account = await local.accounts.by_handle(handle)
        login = await local.sessions.open(account.id, device=device, kind=SessionKind.BEARER)
        return login.secret, login.expires_ms

    token, expires_ms = locally(config, work)
    if json:
        from spaces_ctl.api.wire import timestamp

        print_json({"handle": handle, "token": token, "expires": timestamp(expires_ms)})
    else:
        lines(token)
