"""`spaces moderation`: reports, bans and appeals, as a moderator of a running server."""

from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from spaces_ctl.cli.output import Json, fields, lines, milliseconds, print_json, table
from spaces_ctl.cli.remote import Token, Url, first, remote

app = typer.Typer(no_args_is_help=True, help="Reports, bans and appeals, as a moderator of a running server.")


class State(StrEnum):
    """Where a case is."""

    OPEN = "open"
    CLAIMED = "claimed"
    RESOLVED = "resolved"


class Outcome(StrEnum):
    """How a case ends."""

    DISMISSED = "dismissed"
    UPHELD = "upheld"


Limit = Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")]
Why = Annotated[str, typer.Option(help="For the trail.")]
CaseId = Annotated[int, typer.Argument(metavar="CASE", min=1, help="The case's id.")]
AccountId = Annotated[int, typer.Argument(metavar="ACCOUNT", min=1, help="The account's id.")]


@app.command()
def queue(
    state: Annotated[State, typer.Option(help="Which cases.")] = State.OPEN,
    limit: Limit = 50,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Lists what was reported, the oldest first."""
    cases = remote(url, token, lambda client: first(client.moderation.cases(state.value), limit))
    if json:
        print_json(cases)
    else:
        rows = ((c.id, c.kind, c.subject, c.space, c.state, c.reporters, c.opened) for c in cases)
        table(("case", "kind", "subject", "space", "state", "reports", "opened"), rows)


@app.command()
def show(case: CaseId, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Shows a case and its reports."""
    whole = remote(url, token, lambda client: client.moderation.case(case))
    if json:
        print_json(whole)
    else:
        fields(msgspec.to_builtins(whole.case))
        lines("")
        table(("by", "reason", "detail", "at"), ((r.by, r.reason, r.detail, r.at) for r in whole.reports))


@app.command()
def claim(case: CaseId, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Takes a case, so that others see that somebody is at it."""
    taken = remote(url, token, lambda client: client.moderation.claim(case))
    print_json(taken) if json else lines(f"{case}: claimed")


@app.command()
def release(case: CaseId, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Gives a case back to the queue."""
    given = remote(url, token, lambda client: client.moderation.release(case))
    print_json(given) if json else lines(f"{case}: open")


@app.command()
def dismiss(case: CaseId, why: Why, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Ends a case in which nothing was wrong: `resolve CASE dismissed`."""
    resolve(case, Outcome.DISMISSED, why, url, token, json)


@app.command()
def resolve(
    case: CaseId,
    outcome: Annotated[Outcome, typer.Argument(help="Whether something was wrong.")],
    why: Why,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Ends a case; what was held for it is free."""
    settled = remote(url, token, lambda client: client.moderation.resolve(case, outcome.value, why))
    print_json(settled) if json else lines(f"{case}: {settled.outcome}")


@app.command()
def end(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="The Space's id.")],
    why: Why,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Ends a live Space for breaking the rules."""
    remote(url, token, lambda client: client.moderation.end(space, why))
    print_json({"space": space, "status": "ended"}) if json else lines(f"{space}: ended")


@app.command()
def trail(
    space: Annotated[str | None, typer.Option(help="About this Space only.")] = None,
    account: Annotated[int | None, typer.Option(min=1, help="About this account only.")] = None,
    limit: Limit = 50,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Lists what moderators did, the latest first."""
    found = remote(url, token, lambda client: first(client.moderation.trail(space=space, account=account), limit))
    if json:
        print_json(found)
    else:
        rows = ((a.at, a.moderator, a.action, a.outcome, a.space, a.account, a.why) for a in found)
        table(("at", "moderator", "action", "outcome", "space", "account", "why"), rows)


class Progress(StrEnum):
    """How far a deletion is."""

    PENDING = "pending"
    DONE = "done"
    WITHDRAWN = "withdrawn"


OfSpace = Annotated[str | None, typer.Option(help="Of this Space only.")]


@app.command()
def deletions(
    space: OfSpace = None,
    state: Annotated[Progress | None, typer.Option(help="Only those that are so far.")] = None,
    limit: Limit = 50,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Lists what was deleted of recordings, and what is still to be, the latest first."""
    progress = None if state is None else state.value
    found = remote(url, token, lambda client: first(client.moderation.deletions(space=space, state=progress), limit))
    if json:
        print_json(found)
    else:
        rows = (
            (d.asked, d.space, d.what, d.number, d.why, d.state, d.done, d.objects, d.bytes, d.tries, d.error)
            for d in found
        )
        names = ("asked", "space", "what", "number", "why", "state", "done", "objects", "bytes", "tries", "error")
        table(names, rows)


@app.command()
def review(
    case: CaseId,
    why: Why,
    from_ms: Annotated[int | None, typer.Option(min=0, help="Since the Space's start; else what was reported.")] = None,
    to_ms: Annotated[int | None, typer.Option(min=0, help="At most 15 minutes later.")] = None,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Prints links to what was reported, good for ten minutes; who listens, and why, is kept."""
    opened = remote(url, token, lambda client: client.moderation.review(case, why, from_ms=from_ms, to_ms=to_ms))
    if json:
        print_json(opened)
    else:
        rows = ((t.account or "mix", t.spoke_ms, t.url) for t in opened.tracks)
        table(("who", "spoke ms", "link"), rows)


@app.command()
def reviews(space: OfSpace = None, limit: Limit = 50, url: Url = None, token: Token = None, json: Json = False) -> None:
    """Lists who listened to what was kept, the latest first. For operators."""
    found = remote(url, token, lambda client: first(client.moderation.reviews(space=space), limit))
    if json:
        print_json(found)
    else:
        rows = (
            (r.at, r.moderator, r.case, r.space, r.stretch.from_ms, r.stretch.to_ms, r.fetched, r.why) for r in found
        )
        table(("at", "moderator", "case", "space", "from ms", "to ms", "tracks", "why"), rows)


@app.command()
def appeals(
    every: Annotated[bool, typer.Option("--all", help="Also those that are settled.")] = False,
    limit: Limit = 50,
    url: Url = None,
    token: Token = None,
    json: Json = False,
) -> None:
    """Lists appeals, the oldest first."""
    found = remote(url, token, lambda client: first(client.moderation.appeals(unresolved=not every), limit))
    if json:
        print_json(found)
    else:
        rows = ((a.id, a.account, a.space, a.filed, a.granted, a.text) for a in found)
        table(("appeal", "account", "space", "filed", "granted", "text"), rows)


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
