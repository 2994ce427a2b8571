"""`spaces space`: make, find, start and end Spaces of a running server."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spaces_ctl.cli.exits import Exit, Failure
from spaces_ctl.cli.output import Json, fields, lines, milliseconds, print_json, table
from spaces_ctl.cli.remote import Token, Url, first, remote
from spaces_ctl.model import Speak

if TYPE_CHECKING:
    from spaces_ctl.client import SpacesClient
    from spaces_ctl.client.views import SpaceInfo, SpaceLine

app = typer.Typer(no_args_is_help=True, help="Spaces of a running server, as the account of the token.")


class Tab(StrEnum):
    """Lists of Spaces."""

    LIVE = "live"
    UPCOMING = "upcoming"
    TRENDING = "trending"


Id = Annotated[str, typer.Argument(metavar="ID", help="As in its link.")]


@app.command()
def create(
    title: Annotated[str, typer.Argument(help="What it is about.")] = "",
    description: Annotated[str, typer.Option(help="More about it.")] = "",
    topic: Annotated[list[str] | None, typer.Option(help="A topic; repeat.")] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="Scheduled: RFC 3339, local without a zone.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Record it.")] = False,
    speak: Annotated[Speak, typer.Option(help="Who may take the mic without asking.")] = Speak.INVITED,
    start: Annotated[bool, typer.Option("--start", help="Go live at once.")] = False,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Makes a Space in its lobby, or scheduled, or (--start) live."""
    at_ms = None if at is None else milliseconds("--at", at)
    if start and at_ms is not None:
        raise Failure("--at and --start exclude each other", Exit.USAGE)

    async def work(client: "SpacesClient") -> "SpaceInfo":
        made = await client.spaces.create(
            title=title,
            description=description,
            topics=tuple(topic or ()),
            record=record,
            speak=speak,
            scheduled_start_ms=at_ms,
        )
        if not start:
            return made
        await client.space(made.id).start()
        return await client.space(made.id).get()

    _print(remote(url, token, work), json)


@app.command("list")
def list_(
    tab: Annotated[Tab, typer.Option(help="Which.")] = Tab.LIVE,
    search: Annotated[str | None, typer.Option(metavar="WORDS", help="Those with these words, of any tab.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Lists Spaces: live, upcoming or trending, or by words."""

    async def work(client: "SpacesClient") -> list["SpaceLine"]:
        found = client.spaces.search(search) if search is not None else client.spaces.listed(tab.value)
        return await first(found, limit)

    found = remote(url, token, work)
    if json:
        print_json(found)
    else:
        rows = ((s.id, s.status, s.title, s.creator, s.participants, s.scheduled_start or s.started) for s in found)
        table(("id", "status", "title", "creator", "people", "start"), rows)


@app.command()
def show(space: Id, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Shows a Space and its stage."""
    found = remote(url, token, lambda client: client.space(space).get())
    _print(found, json)
    if not json and found.stage:
        lines("")
        table(
            ("seat", "account", "role", "muted", "away"),
            ((s.seat, s.account, s.role, s.muted, s.away) for s in found.stage),
        )


@app.command()
def start(space: Id, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Goes live."""
    done = remote(url, token, lambda client: client.space(space).start())
    print_json(done) if json else lines(f"{space}: live")


@app.command()
def end(space: Id, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Ends a live Space; everybody is out when this returns."""
    done = remote(url, token, lambda client: client.space(space).end())
    print_json(done) if json else lines(f"{space}: ended")


def _print(space: "SpaceInfo", json: bool) -> None:
    if json:
        print_json(space)
        return
    shown: dict[str, Any] = {
        "id": space.id,
        "title": space.title,
        "status": space.status,
        "creator": space.creator,
        "speak": space.speak,
        "record": space.record,
        "scheduled": space.scheduled_start,
        "started": space.started,
        "ended": space.ended,
    }
    fields(shown)
