"""`spaces account`: on the server's machine, in the database of its settings."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spaces_ctl.cli.configuration import Config
from spaces_ctl.cli.exits import Exit, Failure
from spaces_ctl.cli.local import Local, locally
from spaces_ctl.cli.output import Json, fields, lines, print_json, table

if TYPE_CHECKING:
    from spaces_ctl.service.accounts import Account

app = typer.Typer(no_args_is_help=True, help="Accounts, on the server's own machine.")

Handle = Annotated[str, typer.Argument(metavar="HANDLE", help="The account's name.")]
Password = Annotated[
    bool, typer.Option("--password", help="Read a password from the terminal, or one line from standard input.")
]


class PlatformRole(StrEnum):
    """What an account may do beyond its own Spaces."""

    NONE = "none"
    MODERATOR = "moderator"
    OPERATOR = "operator"


Role = Annotated[PlatformRole, typer.Option("--role", help="Moderators end Spaces and ban; operators may all.")]


@app.command()
def create(
    handle: Handle,
    name: Annotated[str, typer.Option(help="As others see it; otherwise the handle.")] = "",
    email: Annotated[str | None, typer.Option(help="E-mail address.")] = None,
    password: Password = False,
    role: Role = PlatformRole.NONE,
    config: Config = None,
    json: Json = False,
) -> None:
    """Makes an account; without a password it logs in by `spaces token mint` or OpenID Connect only."""
    secret = read_password() if password else None

    async def work(local: Local) -> "Account":
        hashed = await local.passwords.hash(secret) if secret is not None else None
        return await local.accounts.create(
            handle=handle,
            name=name,
            email=email,
            password_hash=hashed,
            moderator=role is PlatformRole.MODERATOR,
            operator=role is PlatformRole.OPERATOR,
        )

    _print(locally(config, work), json)


@app.command()
def show(handle: Handle, config: Config = None, json: Json = False) -> None:
    """Shows one account."""
    _print(locally(config, lambda local: local.accounts.by_handle(handle)), json)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    config: Config = None,
    json: Json = False,
) -> None:
    """Lists accounts, the newest first."""

    async def work(local: Local) -> list["Account"]:
        from spaces_ctl.service.accounts import account_of
        from spaces_ctl.store import accounts as store

        return [account_of(row) for row in await local.db.read(lambda c: store.newest(c, limit))]

    found = locally(config, work)
    if json:
        print_json([_plain(account) for account in found])
    else:
        rows = ((a.id, a.handle, a.name, _role(a).value, a.followers) for a in found)
        table(("id", "handle", "name", "role", "followers"), rows)


@app.command()
def password(handle: Handle, config: Config = None, json: Json = False) -> None:
    """Sets a new password, read from the terminal or from standard input, and ends the account's sessions."""
    secret = read_password()

    async def work(local: Local) -> None:
        account = await local.accounts.by_handle(handle)
        await local.sessions.set_password(account.id, secret)

    locally(config, work)
    if json:
        print_json({"handle": handle})
    else:
        lines(f"{handle}: the password is set, all sessions are ended")


@app.command()
def role(
    handle: Handle,
    role: Annotated[PlatformRole, typer.Argument(help="The new role.")],
    config: Config = None,
    json: Json = False,
) -> None:
    """Makes somebody moderator or operator, or takes it away."""

    async def work(local: Local) -> "Account":
        account = await local.accounts.by_handle(handle)
        return await local.accounts.set_roles(
            account.id, moderator=role is PlatformRole.MODERATOR, operator=role is PlatformRole.OPERATOR
        )

    _print(locally(config, work), json)


def read_password(*, twice: bool = True) -> str:
    """From the terminal, unseen (and twice); otherwise the first line of standard input. Raises Failure."""
    import sys

    if sys.stdin.isatty():
        entered: str = typer.prompt("Password", hide_input=True, confirmation_prompt=twice)
        return entered
    given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise Failure("no password on standard input", Exit.USAGE)
    return given


def _role(account: "Account") -> PlatformRole:
    if account.operator:
        return PlatformRole.OPERATOR
    return PlatformRole.MODERATOR if account.moderator else PlatformRole.NONE


def _plain(account: "Account") -> dict[str, Any]:
    from spaces_ctl.api.wire import timestamp

    return {
        "id": str(account.id),
        "handle": account.handle,
        "name": account.name,
        "role": _role(account).value,
        "email": account.email,
        "has_password": account.has_password,
        "protected": account.protected,
        "followers": account.followers,
        "created_at": timestamp(account.created_ms),
    }


def _print(account: "Account", json: bool) -> None:
    if json:
        print_json(_plain(account))
    else:
        fields(_plain(account))
