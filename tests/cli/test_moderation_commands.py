"""`spaces moderation` against a running server: the queue from a report to its end, bans, appeals, the trail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from spaces_ctl import client as api
from tests.support.commands import Ran, spaces
from tests.support.dev_server import DevServer, dev_server
from tests.support.patience import PATIENCE_S


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with dev_server(tmp_path_factory.mktemp("dev")) as running:
        yield running


@pytest.fixture
def moderation(server: DevServer, tmp_path: Path) -> Callable[..., Ran]:
    def run(*arguments: str, by: str = "mo") -> Ran:
        who = {"SPACES_URL": server.url, "SPACES_TOKEN": server.tokens[by]}
        return spaces("moderation", *arguments, cwd=tmp_path, **who)

    return run


async def reported(server: DevServer, host: str, moderation: Callable[..., Ran]) -> tuple[str, str]:
    """A live Space, and the case about it."""
    async with api.SpacesClient(server.url, token=server.tokens[host]) as client:
        space = client.space((await client.spaces.create(title="Bad")).id)
        await space.start()
        await space.report_space("spam", detail="look")

    def case() -> str | None:
        queue = moderation("queue", "--json").json
        return next((str(one["id"]) for one in queue if one["space"] == space.id), None)

    async with asyncio.timeout(PATIENCE_S):
        # The queue is filled by a reader of the log.
        while (number := await asyncio.to_thread(case)) is None:
            await asyncio.sleep(0.1)
    return space.id, number


async def test_a_case_is_claimed_given_back_and_dismissed(server: DevServer, moderation: Callable[..., Ran]) -> None:
    space, case = await reported(server, "host", moderation)
    assert moderation("claim", case, by="lee").err.startswith("spaces: role.forbidden: ")
    assert moderation("claim", case).out == f"{case}: claimed\n"
    assert case not in moderation("queue").out
    assert moderation("show", case, "--json").json["case"]["moderator"] == server.ids["mo"]
    assert case in moderation("queue", "--state", "claimed").out
    assert moderation("release", case).out == f"{case}: open\n"
    assert case in moderation("queue").out
    dismissed = moderation("dismiss", case, "--why", "harmless", "--json").json
    assert (dismissed["state"], dismissed["outcome"]) == ("resolved", "dismissed")
    again = moderation("claim", case)
    assert (again.code, again.err.split(":")[1]) == (1, " report.not_found")
    trail = moderation("trail", "--space", space, "--json").json
    assert [(line["action"], line["why"]) for line in trail] == [
        ("dismissed", "harmless"),
        ("release", ""),
        ("claim", ""),
    ]


async def test_a_case_is_upheld_and_the_violation_appealed(server: DevServer, moderation: Callable[..., Ran]) -> None:
    space, case = await reported(server, "cohost", moderation)
    assert moderation("end", space, "--why", "spam").out == f"{space}: ended\n"
    assert moderation("end", space, "--why", "again").err.startswith("spaces: state.ended: ")
    assert moderation("resolve", case, "upheld", "--why", "it was").out == f"{case}: upheld\n"
    assert "end" in moderation("trail", "--space", space).out
    host = {"Authorization": f"Bearer {server.tokens['cohost']}"}
    body = {"text": "It was a play.", "space": space}
    assert httpx.post(f"{server.url}/api/v1/appeals", headers=host, json=body).is_success
    (appeal,) = moderation("appeals", "--json").json
    assert (appeal["space"], appeal["text"]) == (space, "It was a play.")
    assert str(appeal["id"]) in moderation("appeals").out
    granted = moderation("resolve-appeal", str(appeal["id"]), "--grant", "--note", "a play")
    assert granted.out == f"{appeal['id']}: granted\n", granted.err
    assert moderation("appeals", "--json").json == []
    (settled,) = moderation("appeals", "--all", "--json").json
    assert settled["granted"]
    actions = [line["action"] for line in moderation("trail", "--space", space, "--json").json]
    assert "appeal_resolved" in actions


async def test_an_appeal_is_denied_and_the_ban_stays(server: DevServer, moderation: Callable[..., Ran]) -> None:
    sue = str(server.ids["sue"])
    assert moderation("ban", sue, "--reason", "spam").code == 0
    own = {"Authorization": f"Bearer {server.tokens['sue']}"}
    assert httpx.post(f"{server.url}/api/v1/appeals", headers=own, json={"text": "Why?"}).is_success
    (appeal,) = moderation("appeals", "--json").json
    assert moderation("resolve-appeal", str(appeal["id"]), "--deny").out == f"{appeal['id']}: denied\n"
    refused = httpx.post(f"{server.url}/api/v1/spaces", headers=own, json={})
    assert refused.json()["code"] == "account.live_banned"
    assert moderation("unban", sue).out == f"{sue}: not banned\n"
    trail = moderation("trail", "--account", sue, "--json").json
    assert [line["action"] for line in trail][-1] == "live_banned"
