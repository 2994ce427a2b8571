"""`spaces moderation deletions`, `review`, `reviews` against a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spaces_ctl import client as api
from tests.support.commands import Ran, spaces
from tests.support.dev_server import DevServer, dev_server
from tests.support.patience import PATIENCE_S


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with dev_server(tmp_path_factory.mktemp("dev")) as running:
        yield running


def moderation(server: DevServer, directory: Path, *arguments: str, by: str = "mo") -> Ran:
    who = {"SPACES_URL": server.url, "SPACES_TOKEN": server.tokens[by]}
    return spaces("moderation", *arguments, cwd=directory, **who)


async def until(server: DevServer, directory: Path, *arguments: str) -> list[dict[str, Any]]:
    """What a list answers, as soon as there is anything in it."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := (await asyncio.to_thread(moderation, server, directory, *arguments, "--json")).json):
            await asyncio.sleep(0.2)
    lines: list[dict[str, Any]] = found
    return lines


async def test_deletions_are_listed_and_what_nobody_recorded_cannot_be_heard(server: DevServer, tmp_path: Path) -> None:
    async with api.SpacesClient(server.url, token=server.tokens["host"]) as client:
        space = client.space((await client.spaces.create(title="Tea", record=True)).id)
        await space.start()
        assert (await space.get()).disclosure.recorded
        await space.report_space("spam")
        await space.end()
        await space.delete_replay()
    rows = await until(server, tmp_path, "deletions", "--space", space.id)
    assert {(row["what"], row["why"]) for row in rows} == {("replay", "creator")}
    assert "replay" in moderation(server, tmp_path, "deletions", "--state", rows[0]["state"]).out
    assert moderation(server, tmp_path, "deletions", by="lee").err.startswith("spaces: role.forbidden: ")
    [case] = await until(server, tmp_path, "queue")
    refused = moderation(server, tmp_path, "review", str(case["id"]), "--why", "to hear it")
    assert refused.err.split(":")[1].strip() in ("evidence.none", "evidence.gone")
    assert moderation(server, tmp_path, "reviews").err.startswith("spaces: role.forbidden: ")
    assert "hear" in moderation(server, tmp_path, "trail", "--space", space.id).out
