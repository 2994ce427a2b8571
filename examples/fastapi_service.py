"""The engine inside a FastAPI service: a Space for every request, tokens for its speakers, counts of its audience.

    pip install fastapi uvicorn
    uvicorn examples.fastapi_service:app

`POST /spaces` answers where to connect and the host's token; `GET /spaces/{name}` how many listen; `PUT
/spaces/{name}/muted` mutes the host before it answers; `DELETE /spaces/{name}` ends it. Everything that this service
knows is in memory: a real one keeps its tables in a database and repeats them to a new engine.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request

from spaces_ctl.engine import EndSpace, Engine, EngineConfig, StageRow, TokenSigner, UpsertSpace, space_id, space_name

HOST = 1
"""The account on seat 0. A real service takes it from its own login."""


@dataclass
class Service:
    """The engine, who signs its tokens, and the tables in force."""

    engine: Engine
    signer: TokenSigner
    tables: dict[int, UpsertSpace]

    def table(self, name: str) -> UpsertSpace:
        """The table of a Space. Raises 404."""
        try:
            return self.tables[space_id(name)]
        except (ValueError, KeyError):
            raise HTTPException(404, "no such Space") from None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The engine lives as long as the service."""
    signer = TokenSigner.generate()
    async with Engine(EngineConfig(signers=[signer])) as engine:
        app.state.service = Service(engine, signer, {})
        yield


app = FastAPI(lifespan=lifespan)


def service(request: Request) -> Service:
    """The running service."""
    running: Service = request.app.state.service
    return running


Running = Annotated[Service, Depends(service)]


@app.post("/spaces", status_code=201)
async def create(running: Running) -> dict[str, str]:
    """Opens a Space."""
    space = secrets.randbits(63)
    table = UpsertSpace(space=space, version=1, stage=[StageRow(seat=0, account=HOST, role="host")])
    await running.engine.apply(table)
    running.tables[space] = table
    return {
        "name": space_name(space),
        "url": f"https://127.0.0.1:{running.engine.port}/spaces/{space_name(space)}",
        "certificate_sha256": running.engine.certificate_sha256.hex(),
        "token": running.signer.mint(account=HOST, sid=secrets.randbits(63)),
    }


@app.get("/spaces/{name}")
async def listeners(name: str, running: Running) -> dict[str, int]:
    """Who is there."""
    counts = await running.engine.counts(running.table(name).space)
    return {"listeners": 0 if counts is None else counts.named + counts.anonymous + counts.guests}


@app.put("/spaces/{name}/muted")
async def mute(name: str, muted: bool, running: Running) -> dict[str, int]:
    """Mutes the host: when this answers, no frame of theirs leaves the engine any more."""
    table = running.table(name)
    stage = [replace(row, muted=muted) for row in table.stage]
    changed = replace(table, version=table.version + 1, stage=stage)
    applied = await running.engine.apply(changed)
    running.tables[table.space] = changed
    return {"fence_group": applied.fence_group}


@app.delete("/spaces/{name}", status_code=204)
async def end(name: str, running: Running) -> None:
    """Ends the Space: everybody leaves."""
    table = running.table(name)
    await running.engine.apply(EndSpace(space=table.space, version=table.version + 1))
    del running.tables[table.space]
