"""A service in a process of its own, to be killed: `python -m tests.support.child_service DIRECTORY PORT`.

Prints `ready PORT CERTIFICATE` and then takes one command a line: `ACCOUNT SPACE JSON`; answers with the Space as JSON,
or `refused CODE`. `0 0 create` makes a live Space of account 1. The certificate and the key are those of the directory.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from spaces_ctl import commands as c
from spaces_ctl.engine import Engine, EngineConfig, TokenSigner
from spaces_ctl.model import Actor
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.fake_graph import FakeGraph
from spaces_ctl.service.services import Services, open_services
from spaces_ctl.store.database import Database

SEED = bytes(range(32))


def signer() -> TokenSigner:
    return TokenSigner.from_seed("test", SEED)


async def main(directory: Path, port: int) -> None:
    url = f"sqlite:///{directory / 'spaces.db'}"
    if not (directory / "spaces.db").exists():
        db = await Database.open(url)
        await db.create_tables()
        await db.aclose()
    async with (
        Engine(EngineConfig(bind=("127.0.0.1", port), signers=[signer()])) as engine,
        open_services(
            database_url=url,
            engine=engine,
            attached=False,
            signer=signer(),
            media_urls=[f"https://127.0.0.1:{engine.port}"],
            certificate_sha256=lambda: engine.certificate_sha256,
            directory=directory,
            public_url="https://spaces.test",
            graph=lambda db: FakeGraph(),
        ) as services,
    ):
        say(f"ready {engine.port} {engine.certificate_sha256.hex()}")
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                say(msgspec.json.encode(await answer(services, *line.split(" ", 2))).decode())
            except ServiceError as refused:
                say(f"refused {refused.code}")


async def answer(services: Services, account: str, space: str, command: str) -> Space:
    host = Actor(account=1)
    if command.strip() == "create":
        made = (await services.spaces.create(host, c.Create())).space.id
        await services.spaces.execute(host, made, c.Start())
        return (await services.spaces.execute(host, made, c.SetMicAccess(open=True))).space
    if command.strip() == "show":
        return await services.spaces.get(int(space))
    wanted = msgspec.json.decode(command, type=c.SpaceCommand)
    return (await services.spaces.execute(Actor(account=int(account)), int(space), wanted)).space


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
