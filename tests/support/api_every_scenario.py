"""Scenarios of every operation of the API's document, and ids of what is there for those that have none."""

from __future__ import annotations

from tests.support import (
    api_scenarios,
    api_scenarios_around,
    api_scenarios_clips,
    api_scenarios_identity,
    api_scenarios_retention,
)
from tests.support.api_scenarios import PINNED, Scenario
from tests.support.api_services import PROVIDER
from tests.support.api_world import ANN, BEN, CID, DAN, EVE, HOST, ApiWorld

__all__ = ["EVERY", "STREAMS", "places"]

EVERY: dict[str, Scenario] = {
    **api_scenarios.SCENARIOS,
    **api_scenarios_identity.SCENARIOS,
    **api_scenarios_around.SCENARIOS,
    **api_scenarios_clips.SCENARIOS,
    **api_scenarios_retention.SCENARIOS,
}
STREAMS = {"streamSpaceEvents", "streamOwnEvents"}
"""They do not end: `test_event_streams` reads them."""


async def places(world: ApiWorld) -> dict[str, list[str]]:
    """Path parameters, by name, of what is there beside the standing Space."""
    people = [str(account) for account in (HOST, ANN, BEN, CID, DAN, EVE, 30)]
    made = await api_scenarios_around.community(world)
    order = await api_scenarios_around.order_of(world, await api_scenarios_around.ticketed(world), EVE)
    hook = await api_scenarios_around.webhook_of(world)
    case = await api_scenarios_around.case_of(world, await api_scenarios.standing(world))
    return {
        "account": people,
        "handle": [f"user{account}" for account in people],
        "clip": ["1", "2"],
        "file": ["audio.opus", "video.mp4"],
        "poll": ["1", "2"],
        "appeal": ["1", "2"],
        "post": [str(PINNED), "1"],
        "community": [str(made.id)],
        "id": [str(case), str(order.id), str(hook)],
        "number": ["1", "2"],
        "track": ["mix", str(HOST)],
        "topic": [api_scenarios_around.TOPIC],
        "provider": [PROVIDER],
        "session": [await api_scenarios_identity.session_of(world, ANN)],
    }
