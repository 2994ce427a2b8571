"""The built web app in Chromium: a page a person, what it shows and what its AudioWorklet plays."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Browser, BrowserContext, Locator, Page, TimeoutError, async_playwright, expect

from spaces_ctl.api.pages import SITE
from spaces_ctl.demo.speech import write_wav
from tests.support.audio import Pcm
from tests.support.dev_server import DevServer
from tests.support.live_harness import CHROMIUM, FLAGS
from tests.support.patience import PATIENCE_S
from tests.support.recognised_voices import closeness

__all__ = ["CLEAR", "People", "Tab", "people"]

PASSWORD = "spaces-dev"
PATIENCE_MS = PATIENCE_S * 1000
expect.set_options(timeout=PATIENCE_MS)
CLEAR = 0.9
"""Speech with this STOI is as good as clean."""
SETTLED_S = 1.0
"""What was sent before a change has been played after so long."""
SILENCE = 33
"""Of 32,767: 60 dB below the loudest, which nobody hears."""
_REMEMBER_NOTICES = """
  globalThis.told = [];
  globalThis.risen = 0;
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) {
        if (node.parentElement?.ariaLive === "polite") told.push(node.textContent);
        if (node.matches?.("[data-kind]") || node.querySelector?.("[data-kind]")) risen += 1;
      }
    }
  }).observe(document, { childList: true, subtree: true });
"""
"""Notices and reactions go by themselves after some seconds, perhaps before a busy test looks."""


class Tab:
    """One person's page."""

    def __init__(self, page: Page, url: str, handle: str | None) -> None:
        self.page, self.url, self.handle = page, url, handle
        self.problems: list[str] = []
        """Errors of scripts, and violations of the content security policy."""
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda said: self.problems.append(said.text) if "Content Security" in said.text else None)

    async def open(self, path: str, *, tap: bool = True) -> None:
        """Goes to an address of the site; what is played there is kept."""
        await self.page.goto(f"{self.url}{path}{'?tap=mix' if tap else ''}")

    # What is on the screen

    def at(
        self, role: Any, name: str | re.Pattern[str], *, within: Locator | None = None, exact: bool = False
    ) -> Locator:
        """By role and accessible name, as who uses a screen reader finds it."""
        return (within or self.page).get_by_role(role, name=name, exact=exact)

    def on_stage(self, name: str) -> Locator:
        """Somebody's tile; its name says role and microphone too."""
        return self.at("button", re.compile(f"^{name}, "), within=self.page.get_by_role("list", name="On stage"))

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def bar(self) -> Locator:
        return self.page.get_by_label("Controls", exact=True)

    async def sees(self, what: Locator | str | re.Pattern[str]) -> None:
        """A part of the page, or a text anywhere in it, within some seconds."""
        found = what if isinstance(what, Locator) else self.page.get_by_text(what)
        await expect(found.first).to_be_visible(timeout=PATIENCE_MS)

    async def sees_not(self, what: Locator | str) -> None:
        """No longer, or never."""
        found = self.page.get_by_text(what) if isinstance(what, str) else what
        await expect(found).to_have_count(0, timeout=PATIENCE_MS)

    async def told(self, text: str) -> None:
        """By a notice, which may be gone again."""
        try:
            await self.page.wait_for_function("(text) => told.includes(text)", arg=text, timeout=PATIENCE_MS)
        except TimeoutError as error:
            raise AssertionError(f"never told {text!r}: {await self.page.evaluate('() => told')}") from error

    async def saw_a_reaction(self) -> None:
        """Some reaction has risen since the page was loaded; it may be gone again."""
        await self.page.wait_for_function("() => risen > 0", timeout=PATIENCE_MS)

    async def sees_on_stage(self, name: str, *words: str) -> None:
        """With role and microphone as told: "Sam Speaker" as "Speaker", "muted"."""
        pattern = re.compile(f"^{re.escape(', '.join((name, *words)))}")
        await self.sees(self.at("button", pattern, within=self.page.get_by_role("list", name="On stage")))

    async def press(self, name: str | re.Pattern[str], *, within: Locator | None = None, exact: bool = True) -> None:
        """A button, which must be there."""
        await self.at("button", name, within=within, exact=exact).first.click(timeout=PATIENCE_MS)

    async def open_person(self, name: str) -> None:
        """What one may do about somebody in the room: their tile, or their line in the list of people."""
        tile = self.on_stage(name)
        row = self.at("button", re.compile(name), within=self.page.get_by_role("complementary"))
        await self.sees(tile.or_(row))
        await (tile if await tile.count() else row).first.click(timeout=PATIENCE_MS)
        await self.sees(self.dialog)

    async def close_dialog(self) -> None:
        await self.page.keyboard.press("Escape")
        await expect(self.dialog).to_have_count(0, timeout=PATIENCE_MS)

    # What is heard

    async def pcm(self, seconds: float) -> Pcm:
        """What is played from now on."""
        await self.page.evaluate("() => spaces.forget()")
        await self.page.wait_for_timeout(seconds * 1000)
        read = await self.page.evaluate("() => spaces.tap('mix')")
        return np.frombuffer(base64.b64decode(read["samples"]), dtype="<i2").astype(np.int16)

    async def hears(self, voice: Pcm, *, seconds: float = 4.0, tries: int = 6) -> float:
        """This voice, and clearly: its STOI. A busy machine may spoil one listening, not all of them."""
        found: list[float] = []
        for _ in range(tries):
            found.append(closeness(voice, await self.pcm(seconds)))
            if found[-1] >= CLEAR:
                return found[-1]
        counts = await self.page.evaluate("() => spaces.counts()")
        raise AssertionError(f"{self.handle} does not hear it: STOI {found}, {counts}")

    async def hears_nobody(self, *, seconds: float = 2.0) -> None:
        """Silence, once what was on its way has been played: who is heard talks on and on. A busy machine may play it
        late.
        """
        loudest, played = 0, 0
        for _ in range(4):
            await self.page.wait_for_timeout(SETTLED_S * 1000)
            heard = await self.pcm(seconds)
            loudest, played = int(np.abs(heard.astype(np.int32)).max(initial=0)), len(heard)
            if loudest <= SILENCE and played > seconds * 48_000 / 2:
                return
        assert played > seconds * 48_000 / 2, "nothing was played, not even silence"
        raise AssertionError(f"{self.handle} hears something: {loudest} of 32767")


class People:
    """Browser contexts of their own, so that each has an own session; all have one microphone's sound."""

    def __init__(self, browser: Browser, server: DevServer) -> None:
        self.browser, self.server = browser, server
        self.tabs: list[Tab] = []
        self._contexts: dict[str | None, BrowserContext] = {}

    async def tab(self, handle: str | None, **context: Any) -> Tab:
        """A new page of somebody who is signed in, or of a guest (None)."""
        if handle not in self._contexts:
            made = await self.browser.new_context(
                locale="en-GB", **({"viewport": {"width": 1280, "height": 860}} | context)
            )
            self._contexts[handle] = made
            await made.add_init_script(_REMEMBER_NOTICES)
            if handle is not None:
                await sign_in(made, self.server.url, handle)
        tab = Tab(await self._contexts[handle].new_page(), self.server.url, handle)
        self.tabs.append(tab)
        return tab

    @property
    def problems(self) -> list[str]:
        return [problem for tab in self.tabs for problem in tab.problems]

    async def keep(self, directory: Path) -> None:
        """A picture and the words of every page."""
        for number, tab in enumerate(self.tabs):
            if tab.page.is_closed():
                continue
            name = f"{number}-{tab.handle or 'guest'}"
            await tab.page.screenshot(path=directory / f"{name}.png", full_page=True)
            words = await tab.page.locator("body").aria_snapshot()
            (directory / f"{name}.txt").write_text("\n".join([tab.page.url, words, *tab.problems]))


async def sign_in(context: BrowserContext, url: str, handle: str) -> None:
    """With a session of the page's kind, without its form."""
    answer = await context.request.post(
        f"{url}/api/v1/auth/login",
        data={"name": handle, "password": PASSWORD, "session": "cookie"},
        headers={"origin": url},
    )
    assert answer.ok, await answer.text()


@asynccontextmanager
async def people(server: DevServer, kept: Path, *, microphone: Pcm | None = None) -> AsyncIterator[People]:
    """A browser whose microphones all say `microphone` over and over. On failure, `kept` gets a picture and the words
    of every page, and the server's log.
    """
    if CHROMIUM is None:
        raise FileNotFoundError("no Chromium here: `make test` installs it")
    if not (SITE / "index.html").is_file():
        raise FileNotFoundError("the web app is not built: `make web`")
    flags = [*FLAGS, "--autoplay-policy=no-user-gesture-required"]
    if microphone is not None:
        write_wav(kept / "microphone.wav", microphone)
        # A relative path would give silence without an error.
        flags.append(f"--use-file-for-fake-audio-capture={(kept / 'microphone.wav').resolve()}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        all_of_them = People(browser, server)
        try:
            yield all_of_them
        except BaseException:
            await all_of_them.keep(kept)
            log = server.directory.parent / "stderr"
            await asyncio.to_thread(shutil.copy, log, kept / "server.log")
            raise
        finally:
            await browser.close()
