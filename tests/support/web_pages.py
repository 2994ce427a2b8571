"""Pages of the web app in Chromium, signed in as somebody, for tests and pictures that look at whole views."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.peers.browser import CHROMIUM, FLAGS
from tests.support.dev_server import DevServer
from tests.support.patience import PATIENCE_S
from tests.support.web_scene import View

__all__ = ["Look", "chromium", "opened", "signed_in"]


class Look(NamedTuple):
    """How wide, how high, in which colours."""

    width: int
    height: int
    scheme: Literal["light", "dark"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def signed_in(browser: Browser, server: DevServer, who: str | None, **context: Any) -> Iterator[BrowserContext]:
    """A browser of its own for `who`; scripts of tests may run in it (`bypass_csp`). Service workers stay out."""
    options: dict[str, Any] = {"bypass_csp": True, "service_workers": "block"} | context
    made = browser.new_context(**options)
    try:
        if who is not None:
            login = {"name": who, "password": server.report["password"], "session": "cookie"}
            answer = httpx.post(f"{server.url}/api/v1/auth/login", json=login, headers={"origin": server.url})
            answer.raise_for_status()
            made.add_cookies(
                [{"name": name, "value": value, "url": server.url} for name, value in answer.cookies.items()]
            )
        yield made
    finally:
        made.close()


def opened(context: BrowserContext, server: DevServer, view: View, look: Look | None = None) -> Page:
    """The view, when it shows what it loaded; in `look` from its first paint on."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    if look is not None:
        page.set_viewport_size({"width": look.width, "height": look.height})
        page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")
    page.goto(server.url + view.path)
    if view.press is not None:
        page.get_by_role("button", name=view.press).click()
    page.wait_for_selector("main h1, main p")
    page.wait_for_function("() => !document.querySelector('main [role=status] + .visually-hidden, main [class*=dots]')")
    # Names that lists know only by their numbers come a moment later.
    page.wait_for_function("() => !/(^|\\s)…(\\s|$)/.test(document.querySelector('main').innerText)")
    return page
