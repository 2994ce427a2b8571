"""The web app's live sound alone in a browser (`web/tests/harness`): built, served on loopback, driven from tests."""

from __future__ import annotations

import base64
import functools
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from playwright.async_api import Page, async_playwright

from tests.support.patience import PATIENCE_S

__all__ = ["CHROMIUM", "FLAGS", "HarnessPage", "LivePage", "Scripted", "build_harness", "live_page", "serving"]

WEB = Path(__file__).parents[2] / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
Pcm = npt.NDArray[np.int16]


def build_harness(directory: Path) -> Path:
    """Builds it into `directory`. Needs `npm ci` in web/ and `make wasm`; FileNotFoundError says which is missing."""
    if not (WEB / "node_modules").is_dir():
        raise FileNotFoundError("web/node_modules is missing: `make web`")
    if not (WEB / "src/live/receiver.wasm").is_file():
        raise FileNotFoundError("web/src/live/receiver.wasm is missing: `make wasm`")
    command = [
        "npx",
        "vite",
        "build",
        "-c",
        "tests/harness/vite.config.ts",
        "--outDir",
        str(directory),
        "--emptyOutDir",
    ]
    subprocess.run(command, cwd=WEB, check=True, capture_output=True, text=True)
    return directory


class _Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """The built harness on a port of its own: its address."""
    handler = functools.partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class Scripted(Protocol):
    """What the harness needs of a browser's page: a part of Playwright's, which `FirefoxPage` has too."""

    async def goto(self, url: str) -> Any: ...
    async def evaluate(self, expression: str, arg: Any = None) -> Any: ...
    async def click(self, selector: str) -> None: ...
    async def wait_for_timeout(self, timeout: float) -> None: ...
    async def wait_for_function(
        self, expression: str, *, arg: Any = None, timeout: float | None = None, polling: float | None = None
    ) -> Any: ...


class HarnessPage:
    """A tab with the harness."""

    def __init__(self, page: Scripted, problems: list[str]) -> None:
        self.page: Scripted = page
        self.problems = problems

    async def open(self, url: str, space: str, seats: dict[int, str], *, tap: str = "", protocol: str = "") -> None:
        """Loads the harness for a Space whose seats are held by these accounts. `tap`: "mix", or "seats" too."""
        await self.page.goto(f"{url}?{f'tap={tap}&' if tap else ''}{f'protocol={protocol}' if protocol else ''}")
        await self.page.evaluate("([space, seats]) => harness.open(space, seats)", [space, seats])

    async def listen(self, admission: Any) -> None:
        """Joins within a click, as a person does. `admission`: what the API answered, as JSON or the client's model."""
        given = admission if isinstance(admission, dict) else as_json(admission)
        await self.page.evaluate(
            "(given) => document.querySelector('#go').onclick = () => { globalThis.joined = harness.listen(given) }",
            given,
        )
        await self.page.click("#go")
        await self.page.evaluate("() => globalThis.joined")

    async def call(self, name: str, *arguments: Any) -> Any:
        """A method of LiveAudio."""
        return await self.page.evaluate("([name, args]) => harness.audio[name](...args)", [name, list(arguments)])

    async def look(self) -> dict[str, Any]:
        """What the signals say."""
        found = await self.page.evaluate("() => harness.look()")
        assert isinstance(found, dict)
        return found

    async def until(self, condition: str, seconds: float = PATIENCE_S) -> None:
        """Waits until a JavaScript expression over `l` (what `look` gives) is true; AssertionError with what it saw."""
        try:
            await self.page.wait_for_function(
                f"() => {{ const l = harness.look(); return {condition}; }}", timeout=seconds * 1000, polling=50
            )
        except Exception as error:
            seen = await self.look(), await self.counts(), await self.phases(), self.problems
            raise AssertionError(f"not {condition}: {seen}") from error

    async def phases(self) -> list[str]:
        return list(await self.page.evaluate("() => harness.phases()"))

    async def counts(self) -> dict[str, Any]:
        """The player's last report; empty without a tap."""
        found = await self.page.evaluate("() => globalThis.spaces?.counts() ?? {}")
        assert isinstance(found, dict)
        return found

    async def rest(self, seconds: float) -> None:
        """Lets the sound go on for a while."""
        await self.page.wait_for_timeout(seconds * 1000)

    async def pcm(self, seat: int | None = None) -> Pcm:
        """What was played, 48 kHz: the mix as it left the worklet, or one seat's part of it."""
        read = await self.page.evaluate("(seat) => spaces.tap(seat)", "mix" if seat is None else seat)
        return np.frombuffer(base64.b64decode(read["samples"]), dtype="<i2").astype(np.int16)


def as_json(admission: Any) -> dict[str, Any]:
    """An admission of the client as the API gave it."""
    return {
        "urls": list(admission.urls),
        "certificate_sha256": admission.certificate_sha256,
        "token": admission.token,
        "expires": admission.expires if isinstance(admission.expires, str) else admission.expires.isoformat(),
        "role": str(admission.role),
        "seat": admission.seat,
        "muted": admission.muted,
        "notices": list(admission.notices),
    }


class LivePage(HarnessPage):
    """A tab of Chromium with it."""

    page: Page

    def __init__(self, page: Page) -> None:
        problems: list[str] = []
        super().__init__(page, problems)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))


class _LivePages:
    def __init__(self, flags: list[str]) -> None:
        self.flags = flags

    async def __aenter__(self) -> LivePage:
        if CHROMIUM is None:
            raise FileNotFoundError("no Chromium here: `make test` installs it")
        self._playwright = await async_playwright().start()
        self._browser = await self._playwright.chromium.launch(executable_path=CHROMIUM, args=self.flags)
        return LivePage(await (await self._browser.new_context()).new_page())

    async def __aexit__(self, *_: object) -> None:
        await self._browser.close()
        await self._playwright.stop()


def live_page(*, microphone: Path | None = None, autoplay: bool = True, flags: list[str] | None = None) -> _LivePages:
    """A fresh browser, as an async context manager. `microphone`: a WAV taken for the microphone, once."""
    own = FLAGS + (flags or [])
    if autoplay:
        own.append("--autoplay-policy=no-user-gesture-required")
    if microphone is not None:
        # A relative path would give silence without an error.
        own.append(f"--use-file-for-fake-audio-capture={microphone.resolve()}%noloop")
    return _LivePages(own)
