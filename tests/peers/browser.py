"""Chromium with the page in it, for tests: joins, listens, speaks, gives out what its AudioWorklet played."""

import base64
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
Pcm = npt.NDArray[np.int16]


class Tab:
    """One tab with the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        """Errors of the console and of scripts, violations of the content policy among them."""
        self.requests: list[str] = []
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, url: str, *, protocol: str | None = None) -> None:
        """Loads the page with its test hook."""
        more = "&" if urlsplit(url).query else "?"
        self.page.goto(f"{url}{more}tap=1" + (f"&protocol={protocol}" if protocol else ""))

    def listen(self) -> None:
        """Presses the button and waits until the stage is there."""
        self.page.click("#listen")
        self.wait(lambda: self.badge == "Live")

    def speak(self) -> None:
        """Presses "Speak" and waits until the server wants the voice."""
        self.page.click("#speak")
        self.wait(lambda: "everybody hears you" in self.notice)

    def wait(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        """AssertionError, with what the page shows, if `condition` does not come true."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{self.badge} / {self.notice} / {self.counts} / {self.problems}"
            self.page.wait_for_timeout(50)

    def rest(self, seconds: float) -> None:
        """Lets time pass, with the browser's events being served."""
        self.page.wait_for_timeout(seconds * 1000)

    @property
    def badge(self) -> str:
        return self.page.inner_text("#badge")

    @property
    def notice(self) -> str:
        return self.page.inner_text("#notice") if self.page.is_visible("#notice") else ""

    @property
    def people(self) -> list[str]:
        return self.page.locator("#people .name").all_inner_texts()

    @property
    def counts(self) -> dict[str, Any]:
        """Counters of the jitter buffer and the playout."""
        found = self.page.evaluate("() => globalThis.spaces?.counts() ?? {}")
        assert isinstance(found, dict)
        return found

    @property
    def seats(self) -> list[int]:
        return list(self.page.evaluate("() => spaces.seats()"))

    def pcm(self, seat: int | None = None) -> Pcm:
        """What was played, 48 kHz: one seat's sound on the media timeline, or the mix as it left the worklet."""
        read = self.page.evaluate("(seat) => spaces.tap(seat)", "mix" if seat is None else seat)
        return np.frombuffer(base64.b64decode(read["samples"]), dtype="<i2").astype(np.int16)


@contextmanager
def tab(*, microphone: Path | None = None, still: bool = False) -> Iterator[Tab]:
    """A fresh browser. `microphone` is a WAV that it takes for its microphone, once; `still` asks for no motion."""
    if CHROMIUM is None:
        raise FileNotFoundError("no Chromium here: `make test` installs it")
    flags = list(FLAGS)
    if microphone is not None:
        # A relative path would give silence without an error.
        flags.append(f"--use-file-for-fake-audio-capture={microphone.resolve()}%noloop")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            yield Tab(browser.new_context(reduced_motion="reduce" if still else "no-preference").new_page())
        finally:
            browser.close()
