"""`spaces serve --dev`: a deployment that is ready at once, with people in it whose password everybody knows."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from json import dump, dumps, loads
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from spaces_ctl import commands as c
from spaces_ctl.captions import moonshine
from spaces_ctl.serve.composition import compose, database_refusals
from spaces_ctl.serve.logs import configure
from spaces_ctl.serve.run import Composed, Place, Running, serve
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.services import Services
from spaces_ctl.service.sessions import SessionKind
from spaces_ctl.settings import Settings
from spaces_ctl.store.migrate import upgrade

__all__ = ["DIRECTORY", "PASSWORD", "Seeded", "banner", "development", "report", "seed", "serve_development"]

DIRECTORY = Path(".spaces-dev")
PASSWORD = "spaces-dev"
_TOKENS = "tokens.json"
_PEOPLE = (
    ("host", "Hana Host", False),
    ("cohost", "Cora Cohost", False),
    ("sam", "Sam Speaker", False),
    ("sue", "Sue Speaker", False),
    ("lee", "Lee Listener", False),
    ("mo", "Mo Moderator", True),
)


class Seeded(NamedTuple):
    """An account of the development deployment."""

    id: int
    handle: str
    name: str
    token: str
    """A bearer token, good for everything that the account may do."""


def development(settings: Settings, directory: Path) -> Settings:
    """The settings with database, keys and recordings below `directory`, and tickets that nobody pays for; captions if
    there is something to make them with.
    """
    replace = msgspec.structs.replace
    captions = settings.captions
    if captions.recogniser == "moonshine":
        captions = replace(captions, enabled=captions.enabled or moonshine.installed())
    return replace(
        settings,
        database=replace(settings.database, url=f"sqlite:///{directory / 'spaces.db'}", password=""),
        recordings=replace(settings.recordings, directory=directory / "recordings"),
        captions=captions,
        payments=replace(settings.payments, provider="sandbox"),
        node=replace(settings.node, data_directory=directory / "data", drain_seconds=1),
    )


def serve_development(settings: Settings, directory: Path, *, json: bool) -> None:
    """Serves below `directory` until told to stop. Raises CannotStart."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = development(settings, directory)
    configure(settings.logging, node=settings.node.name)
    people: list[Seeded] = []

    @asynccontextmanager
    async def seeded(settings: Settings, running: Running) -> AsyncIterator[Composed]:
        with database_refusals():
            await upgrade(settings.database.full_url)
        async with compose(settings, running) as composed:
            people[:] = await seed(composed.services, directory)
            yield composed

    def announce(place: Place) -> None:
        values = (place, people, directory, since_start())
        sys.stdout.write(f"{dumps(report(*values))}\n" if json else banner(*values))
        sys.stdout.flush()

    serve(settings, seeded, announce=announce)


def since_start() -> float:
    """Seconds since this process began, its interpreter's start and our imports included."""
    with Path("/proc/self/stat").open(encoding="ascii") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


async def seed(services: Services, directory: Path) -> list[Seeded]:
    """The people, made at the first time; their tokens are the same at every start."""
    file = directory / _TOKENS
    kept = _kept(file)
    hashed: str | None = None
    people: list[Seeded] = []
    for handle, name, moderator in _PEOPLE:
        try:
            account = await services.accounts.by_handle(handle)
        except ServiceError:
            hashed = hashed or await services.passwords.hash(PASSWORD)
            account = await services.accounts.create(
                handle=handle, name=name, password_hash=hashed, moderator=moderator
            )
        token = kept.get(handle, "")
        try:
            await services.sessions.authenticate(token, SessionKind.BEARER)
        except ServiceError:
            login = await services.sessions.open(account.id, device="spaces serve --dev", kind=SessionKind.BEARER)
            token = login.secret
        people.append(Seeded(account.id, handle, name, token))
    await _acquaint(services, people)
    _keep(file, {one.handle: one.token for one in people})
    return people


async def _acquaint(services: Services, people: Sequence[Seeded]) -> None:
    """Everybody follows the host, so that there is something in everybody's bar."""
    host = people[0]
    for one in people[1:]:
        await services.accounts.execute(Principal(account=one.id), c.Follow(account=host.id))


def report(place: Place, people: Sequence[Seeded], directory: Path, seconds: float) -> dict[str, Any]:
    """What `--json` prints: one line, when the first request can be answered."""
    return {
        "ready": True,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(time.process_time(), 3),
        "directory": str(directory),
        "url": place.public_url,
        "media": list(place.media_urls),
        "certificate_sha256": place.certificate_sha256,
        "password": PASSWORD,
        "accounts": [{"id": str(one.id), "handle": one.handle, "token": one.token} for one in people],
        "pid": os.getpid(),
    }


def banner(place: Place, people: Sequence[Seeded], directory: Path, seconds: float) -> str:
    """What people read: links, tokens, and lines to copy."""
    url, host, guest = place.public_url, people[0], people[4]
    accounts = "\n".join(f"  {one.handle:<8}{one.id:<21}{one.token}" for one in people)
    return f"""
Spaces for development, ready after {seconds:.1f} s. State is kept in {directory}; delete it to begin anew.

  API      {url}/api/v1, described at {url}/reference/
  audio    {place.media_urls[0]}, certificate {place.certificate_sha256 or "from your files"}

Accounts (password: {PASSWORD}), ids and tokens:
{accounts}

Try:
  HOST={host.token}
  LISTENER={guest.token}
  curl -s {url}/api/v1/me -H "Authorization: Bearer $HOST"
  SPACE=$(curl -s {url}/api/v1/spaces -H "Authorization: Bearer $HOST" --json '{{"title": "Tea"}}' | jq -r .id)
  curl -s {url}/api/v1/spaces/$SPACE/start -X POST -H "Authorization: Bearer $HOST"
  curl -s {url}/api/v1/spaces/$SPACE/join -X POST -H "Authorization: Bearer $LISTENER"
  curl -sN {url}/api/v1/spaces/$SPACE/events -H "Authorization: Bearer $LISTENER"
  echo "in a browser: {url}/s/$SPACE (sign in at {url}/sign-in to speak)"

Ctrl-C ends it.
"""


def _kept(file: Path) -> dict[str, str]:
    try:
        values = loads(file.read_text(encoding="utf-8"))
        return {str(handle): str(token) for handle, token in values.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _keep(file: Path, tokens: dict[str, str]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        dump(tokens, handle)
