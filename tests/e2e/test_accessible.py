"""axe-core on every main view, at both widths, in light and in dark: nothing serious, nothing critical.

What counts is what stays: a view is looked at when nothing on it is busy or moves, and what is found must be found
again, and again. A notice that fades in, or a button between two states, is of no colour in particular.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.dev_server import DevServer, dev_server
from tests.support.patience import PATIENCE_S
from tests.support.web_pages import Look, chromium, opened, signed_in
from tests.support.web_scene import a_scene, views

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
LOOKS = [Look(1280, 800, "light"), Look(390, 844, "dark")]
RUN = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .flatMap((one) => one.nodes.map((node) => `${one.id}: ${one.help}: ${node.target.join(" ")}`))"""
CALM = """() => !document.querySelector("[aria-busy=true]") && document.getAnimations()
    .every((one) => one.playState !== "running" || one.effect.getTiming().iterations === Infinity)"""
LOOKS_AGAIN_MS = (500, 1_500, 3_000)


def stays(page: Page) -> list[str]:
    """What axe finds on the view when it is calm, and each time that it looks again."""
    page.wait_for_function(CALM, timeout=PATIENCE_S * 1000)
    found: list[str] = page.evaluate(RUN)
    for pause_ms in LOOKS_AGAIN_MS:
        if not found:
            break
        page.wait_for_timeout(pause_ms)
        again = page.evaluate(RUN)
        found = [one for one in found if one in again]
    return found


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


def test_what_stays_is_found_and_what_goes_is_not(browser: Browser) -> None:
    page = browser.new_page()
    page.set_content("<html lang=en><title>Two buttons</title><main><h1>Two</h1><button id=stays></button>")
    page.add_script_tag(path=AXE)
    page.evaluate(
        """() => { document.querySelector("main").append(Object.assign(document.createElement("button"), {id: "goes"}));
                   setTimeout(() => document.querySelector("#goes").remove(), 300); }"""
    )
    assert stays(page) == ["button-name: Buttons must have discernible text: #stays"]
    page.close()


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
            found += [f"{view.name}, {look.width} {look.scheme}: {one}" for one in stays(page)]
            page.close()
    assert not found, "\n".join(found)
