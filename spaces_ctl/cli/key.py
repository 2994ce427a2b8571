"""`spaces key`: service keys, with which another product embeds rooms for its own users."""

from typing import Annotated, Any

import typer

from spaces_ctl.cli.configuration import Config
from spaces_ctl.cli.local import Local, locally
from spaces_ctl.cli.output import Json, fields, lines, print_json, table

app = typer.Typer(no_args_is_help=True, help="Service keys for products that embed rooms, on the server's machine.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key: for people.")],
    namespace: Annotated[str, typer.Option(help="Whose users it speaks for; otherwise the name.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="What it may; repeat. Otherwise join_tokens.")] = None,
    per_minute: Annotated[int, typer.Option(min=1, help="Requests a minute.")] = 600,
    config: Config = None,
    json: Json = False,
) -> None:
    """Makes a key and prints its secret, this once."""

    async def work(local: Local) -> dict[str, Any]:
        made = await local.service_keys.create(
            name=name, namespace=namespace or name, scopes_wanted=scope or ["join_tokens"], per_minute=per_minute
        )
        return {"id": made.key.id, "name": made.key.name, "scopes": list(made.key.scopes), "secret": made.secret}

    made = locally(config, work)
    print_json(made) if json else fields(made)


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """Lists all keys, revoked ones too."""
    from spaces_ctl.api.wire import timestamp

    keys = locally(config, lambda local: local.service_keys.listed())
    plain = [
        {
            "id": key.id,
            "name": key.name,
            "namespace": key.namespace,
            "scopes": list(key.scopes),
            "created_at": timestamp(key.created_ms),
            "revoked_at": None if key.revoked_ms is None else timestamp(key.revoked_ms),
        }
        for key in keys
    ]
    if json:
        print_json(plain)
    else:
        columns = ("id", "name", "namespace", "scopes", "created_at", "revoked_at")
        table(columns, ([key[column] for column in columns] for key in plain))


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id.")], config: Config = None, json: Json = False
) -> None:
    """Revokes a key and every token that it made."""
    locally(config, lambda local: local.service_keys.revoke(key))
    print_json({"id": key}) if json else lines(f"{key}: revoked")
