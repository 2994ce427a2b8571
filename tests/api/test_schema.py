"""schemathesis over our own OpenAPI document, as everybody: no 5xx, no undocumented answer; 90 % of operations succeed.

Per operation and role: requests that fit the document and requests that do not, in a Space where somebody in every role
is present. Path parameters are mostly of what is there. The share of operations with a 2xx is measured and asserted.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks as openapi_checks

from spaces_ctl.api import openapi, wire
from tests.support.api_scenarios import ROLES, SCENARIOS, Ready, standing
from tests.support.api_server import serving
from tests.support.api_world import ANN, BEN, CID, DAN, EVE, ApiWorld, bearer

CHECKS = [
    not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.negative_data_rejection,
]
STREAMS = {"streamSpaceEvents", "streamOwnEvents"}
"""They do not end: `test_event_streams` reads them."""
EXAMPLES = 3
"""Requests for each operation, role and kind (fitting, not fitting)."""
PLACES = ("account", "clip", "poll", "post", "appeal")


class Deployment:
    """A world and its server in a thread of their own: schemathesis asks from outside."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._failure: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop
        self.world: ApiWorld
        self.url = ""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Deployment:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.world = await ApiWorld.open(self._directory)
        try:
            async with serving(self.world.app) as self.url:
                self._ready.set()
                await self._stop.wait()
        finally:
            await self.world.aclose()

    def do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("schema")) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def operations(deployment: Deployment) -> dict[str, Any]:
    schema = schemathesis.openapi.from_dict(openapi.document(deployment.world.app))
    found = [result.ok() for result in schema.get_all_operations()]  # type: ignore[union-attr]
    return {operation.definition.raw["operationId"]: operation for operation in found}


def some_place(data: st.DataObject, case: Case[Any], space: str) -> None:
    """Mostly what is there: ids that nobody has lead to 404 only."""
    if data.draw(st.integers(0, 9)) == 0:
        return
    path: Any = case.path_parameters or {}
    if "space" in path:
        path["space"] = space
    for name in PLACES:
        if name in path:
            path[name] = str(data.draw(st.sampled_from([1, ANN, BEN, CID, DAN, EVE, 30])))


def ask(deployment: Deployment, case: Case[Any], who: int | None, reached: dict[str, int] | None = None) -> int:
    session = requests.Session()
    try:
        response = case.call(base_url=deployment.url, headers=bearer(who), session=session)
        case.validate_response(response, checks=CHECKS)
    finally:
        session.close()
    if reached is not None and 200 <= response.status_code < 300:
        reached[case.operation.definition.raw["operationId"]] += 1
    return response.status_code


def search(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def test_every_operation_has_a_scenario(operations: dict[str, Any]) -> None:
    assert set(operations) - STREAMS == set(SCENARIOS)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_no_undocumented_answer(
    deployment: Deployment, operations: dict[str, Any], role: str, mode: GenerationMode
) -> None:
    space = wire.space_text(deployment.do(standing(deployment.world)))
    for name, operation in operations.items():
        if name in STREAMS or (mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation)):
            continue
        _try(deployment, operation, ROLES[role], mode, space)
        if mode is GenerationMode.POSITIVE and operation.method.upper() != "GET":
            space = wire.space_text(deployment.do(standing(deployment.world)))


def _can_be_wrong(operation: Any) -> bool:
    return bool(operation.definition.raw.get("parameters") or operation.definition.raw.get("requestBody"))


def _try(deployment: Deployment, operation: Any, who: int | None, mode: GenerationMode, space: str) -> None:
    @search(EXAMPLES)
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if mode is GenerationMode.POSITIVE:
            some_place(data, case, space)
        ask(deployment, case, who)

    run()


def test_nine_in_ten_operations_reach_success(deployment: Deployment, operations: dict[str, Any]) -> None:
    reached: dict[str, int] = defaultdict(int)
    answers: dict[str, set[int]] = defaultdict(set)
    for name, scenario in SCENARIOS.items():
        _reach(deployment, operations[name], scenario, reached, answers[name])
    missed = {name: answers[name] for name in SCENARIOS if name not in reached}
    share = (len(SCENARIOS) - len(missed)) / len(SCENARIOS)
    print(f"\n{len(SCENARIOS) - len(missed)} of {len(SCENARIOS)} operations reached 2xx ({share:.1%}); not: {missed}")
    assert share >= 0.9, missed


def _reach(deployment: Deployment, operation: Any, scenario: Any, reached: dict[str, int], answers: set[int]) -> None:
    @search(4)
    @given(case=operation.as_strategy())
    def run(case: Case[Any]) -> None:
        ready: Ready = deployment.do(scenario(deployment.world))
        case.path_parameters = {**(case.path_parameters or {}), **ready.path}
        case.query = {}
        if ready.body is not None:
            case.body = ready.body
        answers.add(ask(deployment, case, ready.who, reached))

    run()
