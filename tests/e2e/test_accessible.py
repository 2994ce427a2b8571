"""axe-core on every main view, at both widths, in light and in dark: nothing serious, nothing critical."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.dev_server import DevServer, dev_server
from tests.support.web_pages import Look, chromium, opened, signed_in
from tests.support.web_scene import a_scene, views

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
LOOKS = [Look(1280, 800, "light"), Look(390, 844, "dark")]
RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`)"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with dev_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def scene(server: DevServer) -> Iterator[dict[str, str]]:
    with a_scene(server) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.mark.parametrize("who", [None, "host", "cohost", "sam", "sue", "lee", "mo"])
def test_axe_finds_nothing_serious(browser: Browser, server: DevServer, scene: dict[str, str], who: str | None) -> None:
    shown = [view for view in views(scene) if view.who == who]
    assert shown
    found = []
    with signed_in(browser, server, who) as context:
        # Loaded anew for each look: while colours change, there are some that are of neither.
        for view, look in product(shown, LOOKS):
            page = opened(context, server, view, look)
            page.add_script_tag(path=AXE)
            found += [f"{view.name}, {look.width} {look.scheme}: {one}" for one in page.evaluate(RUN)]
            page.close()
    assert not found, "\n".join(found)
