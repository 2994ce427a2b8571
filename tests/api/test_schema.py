"""schemathesis over our own OpenAPI document, as everybody: no 5xx, no undocumented answer; 90 % of operations succeed.

The document is that of every router that `serve.composition` mounts. Per operation: requests that fit the document and
requests that do not, each asked by everybody, in a Space where somebody in every role is present. Path parameters are
mostly of what is there. The share of operations with a 2xx is measured and asserted.
"""

from __future__ import annotations

import asyncio
import threading
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
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as openapi_checks

from spaces_ctl.api import openapi, wire
from tests.support.api_every_scenario import EVERY, STREAMS, places
from tests.support.api_scenarios import ROLES, Ready, Scenario, standing
from tests.support.api_server import serving
from tests.support.api_world import ApiWorld, bearer
from tests.support.patience import PATIENCE_S

CHECKS = [
    not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.negative_data_rejection,
]
EXAMPLES = 2
"""Requests for each operation and kind (fitting, not fitting), each asked in all roles."""
SHARES = 4
"""Tests into which the operations are divided, so that a failure hides few others."""


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
        self.standing = ""
        """The Space in which everything is tried; empty when it has to be made anew."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Deployment:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)

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
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE_S)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("schema")) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def operations(deployment: Deployment) -> dict[str, Any]:
    schema = schemathesis.openapi.from_dict(openapi.document(deployment.world.app))
    found: list[Any] = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return {operation.definition.raw["operationId"]: operation for operation in found}


def some_place(data: st.DataObject, case: Case[Any], there: dict[str, list[str]]) -> None:
    """Mostly what is there: ids that nobody has lead to 404 only."""
    path: Any = case.path_parameters or {}
    for name in path.keys() & there.keys():
        if data.draw(st.integers(0, 9)):
            path[name] = data.draw(st.sampled_from(there[name]))


def ask(deployment: Deployment, case: Case[Any], headers: dict[str, str]) -> int:
    """The answer's status; fails for what the document does not say."""
    session = requests.Session()
    try:
        response = case.call(base_url=deployment.url, headers=headers, session=session, allow_redirects=False)
        case.validate_response(response, checks=CHECKS)
    finally:
        session.close()
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


def test_no_two_schemas_share_a_name(deployment: Deployment) -> None:
    """Two structs of one name get names with their modules', and one of them a schema that msgspec did not make."""
    names = openapi.document(deployment.world.app)["components"]["schemas"]
    assert [name for name in names if not name.isalnum()] == []


def test_every_operation_has_a_scenario(operations: dict[str, Any]) -> None:
    assert set(operations) - STREAMS == set(EVERY)


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_no_undocumented_answer(
    deployment: Deployment, operations: dict[str, Any], mode: GenerationMode, share: int
) -> None:
    there = deployment.do(places(deployment.world))
    for name in sorted(operations.keys() - STREAMS)[share::SHARES]:
        if mode is GenerationMode.POSITIVE or _can_be_wrong(operations[name]):
            _try(deployment, operations[name], mode, there)


def _can_be_wrong(operation: Any) -> bool:
    return bool(operation.definition.raw.get("parameters") or operation.definition.raw.get("requestBody"))


def _try(deployment: Deployment, operation: Any, mode: GenerationMode, there: dict[str, list[str]]) -> None:
    changing = operation.method.upper() != "GET"

    @search(EXAMPLES)
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        there["space"] = [_stand(deployment)]
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if mode is GenerationMode.POSITIVE:
            some_place(data, case, there)
        for role, who in ROLES.items():
            hypothesis.note(f"as {role}")
            status = ask(deployment, case, bearer(who))
            if changing and status < 400:
                deployment.standing = ""
                if (case.path_parameters or {}).get("space") == there["space"][0]:
                    # The next one finds the Space as this one did.
                    there["space"] = [_stand(deployment)]
                    case.path_parameters["space"] = there["space"][0]

    run()


def _stand(deployment: Deployment) -> str:
    """The Space, as it is before anybody changed something."""
    if not deployment.standing:
        deployment.standing = wire.space_text(deployment.do(standing(deployment.world)))
    return deployment.standing


def test_nine_in_ten_operations_reach_success(deployment: Deployment, operations: dict[str, Any]) -> None:
    answers = {name: _reach(deployment, operations[name], scenario) for name, scenario in EVERY.items()}
    missed = {name: seen for name, seen in answers.items() if not any(200 <= status < 300 for status in seen)}
    # The two streams count as not reached: they are read elsewhere.
    share = (len(EVERY) - len(missed)) / len(operations)
    print(f"\n{len(EVERY) - len(missed)} of {len(operations)} operations reached 2xx ({share:.1%}); not: {missed}")
    assert share >= 0.9, missed


def _reach(deployment: Deployment, operation: Any, scenario: Scenario) -> set[int]:
    seen: set[int] = set()

    @search(4)
    @given(case=operation.as_strategy())
    def run(case: Case[Any]) -> None:
        if any(200 <= status < 300 for status in seen):
            return
        ready: Ready = deployment.do(scenario(deployment.world))
        case.path_parameters = {
            name: ready.path.get(name, value) for name, value in (case.path_parameters or {}).items()
        }
        case.query = dict(ready.query)
        if ready.body is not None:
            case.body = ready.body
        seen.add(ask(deployment, case, bearer(ready.who) if ready.headers is None else ready.headers))

    run()
    return seen
