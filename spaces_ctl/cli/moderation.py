"""`spaces moderation`: bans and appeals, as a moderator of a running server."""

from typing import Annotated

import typer

from spaces_ctl.cli.output import Json, lines, milliseconds, print_json
from spaces_ctl.cli.remote import Token, Url, remote

app = typer.Typer(no_args_is_help=True, help="Reports, bans and appeals, as a moderator of a running server.")

AccountId = Annotated[int, typer.Argument(metavar="ACCOUNT", min=1, help="The account's id.")]


@app.command()
def ban(
    account: AccountId,
    reason: Annotated[str, typer.Option(help="Told to the account.")],
    until: Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339; otherwise for good.")] = None,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Bans an account from live features; it leaves every stage when this returns."""
    until_ms = None if until is None else milliseconds("--until", until)
    remote(url, token, lambda client: client.me.ban_from_live(account, reason, until_ms=until_ms))
    print_json({"account": str(account), "banned": True}) if json else lines(f"{account}: banned")


@app.command()
def unban(account: AccountId, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Lifts a ban."""
    remote(url, token, lambda client: client.me.lift_ban(account))
    print_json({"account": str(account), "banned": False}) if json else lines(f"{account}: not banned")


@app.command("resolve-appeal")
def resolve_appeal(
    appeal: Annotated[int, typer.Argument(metavar="APPEAL", min=1, help="The appeal's id.")],
    grant: Annotated[bool, typer.Option("--grant/--deny", help="Whether they were right.")],
    note: Annotated[str, typer.Option(help="Told to the account.")] = "",
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Grants an appeal (which lifts what it was against) or denies it."""
    remote(url, token, lambda client: client.me.resolve_appeal(appeal, grant, note=note))
    print_json({"appeal": str(appeal), "granted": grant}) if json else lines(
        f"{appeal}: {'granted' if grant else 'denied'}"
    )
