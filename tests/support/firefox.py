"""Debian's Firefox without a window, spoken to by WebDriver BiDi (https://w3c.github.io/webdriver-bidi/).

Playwright drives builds of its own, which come from no package registry, and the newest Firefox (`moz-firefox`).
Debian's (ESR 153) lacks a command that Playwright 1.65 sends to every new context
(`emulation.setMediaFeaturesOverride`). What the tests need is a page that runs scripts and is clicked. That is all
there is here, named as Playwright names it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.support.listening import Spoilt
from tests.support.patience import PATIENCE_S
from tests.support.sound_card import SoundCard

__all__ = ["FIREFOX", "FirefoxPage", "firefox"]

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
_SAID = "__evaluated"
_PIECE = 100_000
_PREFERENCES: dict[str, bool | int | str] = {
    # Nothing is asked for or told outside of this machine.
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.downloads.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.server": "data:,",
    # Nobody is there to be asked for the microphone.
    "media.navigator.permission.disabled": True,
}


class FirefoxError(AssertionError):
    """Firefox did not do what it was told, or a script of a test threw."""


FROZEN_S = 10.0
"""A Firefox that has not answered for so long is not slow."""


class _Session:
    """One connection: commands out, answers and events in."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.on_event: Callable[[str, dict[str, Any]], None] = lambda _method, _params: None

    async def read(self) -> None:
        """Until the connection ends; who still waits for an answer then is told why there is none."""
        why: BaseException = FirefoxError("Firefox has gone")
        try:
            async for text in self._socket:
                message = json.loads(text)
                if message["type"] == "event":
                    self.on_event(message["method"], message["params"])
                elif waiting := self._waiting.pop(message["id"], None):
                    waiting.set_result(message)
        except Exception as error:
            why = error
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(why)

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Its result. Throws [FirefoxError]."""
        number = next(self._ids)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        try:
            async with asyncio.timeout(PATIENCE_S):
                # Shielded: who gives up waiting shows by the entry that stays that Firefox never answered. And a late
                # answer to a future cancelled with its waiter would end whoever reads, and with that all answers.
                answer = await asyncio.shield(self._waiting[number])
        except TimeoutError:
            # Now and then it freezes on a machine with ten times more to do than it can.
            raise Spoilt(f"Firefox does not answer {method}") from None
        if answer["type"] == "error":
            raise FirefoxError(f"{method}: {answer['error']}: {answer['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    @property
    def silent(self) -> bool:
        """Whether it has not answered everything that it was asked."""
        return bool(self._waiting)


class FirefoxPage:
    """A tab, with the few methods of a Playwright page that tests of the sound need."""

    def __init__(self, session: _Session, context: str) -> None:
        self._session = session
        self._context = context
        self.problems: list[str] = []
        """What the console got as errors, thrown by scripts too."""

    async def goto(self, url: str) -> None:
        """Loads it, scripts included."""
        await self._session.command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def evaluate(self, expression: str, arg: Any = None) -> Any:
        """What the function `expression` returns when called with `arg`; both as JSON can say them."""
        said = f"JSON.stringify(await ({expression})(JSON.parse(arg))) ?? 'null'"
        length = await self._call(f"async (arg) => (globalThis.{_SAID} = {said}).length", json.dumps(arg))
        # In pieces: an answer of more than a megabyte (sound) now and then never comes.
        pieces = [
            await self._call(f"async (arg) => globalThis.{_SAID}.slice({at}, {at + _PIECE})", "")
            for at in range(0, length, _PIECE)
        ]
        return json.loads("".join(pieces))

    async def _call(self, function: str, arg: str) -> Any:
        answer = await self._session.command(
            "script.callFunction",
            functionDeclaration=function,
            arguments=[{"type": "string", "value": arg}],
            awaitPromise=True,
            target={"context": self._context},
        )
        if answer["type"] == "exception":
            raise FirefoxError(answer["exceptionDetails"]["text"])
        return answer["result"]["value"]

    async def wait_for_function(
        self, expression: str, *, arg: Any = None, timeout: float | None = None, polling: float | None = None
    ) -> None:
        """Until `expression` gives something true; both times in ms. Raises TimeoutError; Spoilt if Firefox froze."""
        answered = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(PATIENCE_S if timeout is None else timeout / 1000):
                while not await self.evaluate(expression, arg):
                    await asyncio.sleep((polling or 50) / 1000)
                    answered = asyncio.get_running_loop().time()
        except TimeoutError:
            if self._session.silent and asyncio.get_running_loop().time() - answered > FROZEN_S:
                raise Spoilt("Firefox does not answer any more") from None
            raise

    async def wait_for_timeout(self, timeout: float) -> None:
        """Lets the page live for so many ms."""
        await asyncio.sleep(timeout / 1000)

    async def click(self, selector: str) -> None:
        """A real click in the middle of the first element that the CSS selector finds: a gesture of the person."""
        await self._click({"type": "css", "value": selector})

    async def press(self, role: str, name: str) -> None:
        """The same by role and accessible name, which it waits for."""
        await self._click({"type": "accessibility", "value": {"role": role, "name": name}})

    async def _click(self, locator: dict[str, Any]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            before, place = None, await self._place(locator)
            # What still moves, as a page does that is being built, is missed by a click where it was.
            while place is None or place != before:
                await asyncio.sleep(0.1)
                before, place = place, await self._place(locator)
        origin = {"type": "element", "element": {"sharedId": place[0]}}
        moves = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        await self._session.command(
            "input.performActions",
            context=self._context,
            actions=[{"type": "pointer", "id": "mouse", "actions": moves}],
        )

    async def _place(self, locator: dict[str, Any]) -> tuple[str, str] | None:
        """The first element found, and where it is; None if there is none, or no more."""
        nodes = await self._found(locator)
        if not nodes:
            return None
        answer = await self._session.command(
            "script.callFunction",
            functionDeclaration="(node) => JSON.stringify([node.isConnected, node.getBoundingClientRect()])",
            arguments=[{"sharedId": nodes[0]["sharedId"]}],
            awaitPromise=False,
            target={"context": self._context},
        )
        return (nodes[0]["sharedId"], answer["result"]["value"]) if answer["type"] == "success" else None

    async def _found(self, locator: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self._session.command("browsingContext.locateNodes", context=self._context, locator=locator)
        nodes: list[dict[str, Any]] = answer["nodes"]
        return nodes


@asynccontextmanager
async def firefox(
    card: SoundCard, *, preferences: dict[str, bool | int | str] | None = None
) -> AsyncIterator[FirefoxPage]:
    """A Firefox with a fresh profile and one page, until the block ends. Raises FileNotFoundError without Firefox."""
    if FIREFOX is None:
        raise FileNotFoundError("no Firefox here: `make test` installs it")
    # A profile is some 20 MB of small files: gone with the block.
    with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as profile:
        given = _PREFERENCES | (preferences or {})
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in given.items()]
        Path(profile, "user.js").write_text("".join(lines))
        async with (
            _running(Path(profile), card) as address,
            connect(address + "/session", max_size=None, ping_interval=None) as socket,
        ):
            session = _Session(socket)
            reading = asyncio.create_task(session.read())
            try:
                await session.command("session.new", capabilities={})
                yield await _first_page(session)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)


async def _first_page(session: _Session) -> FirefoxPage:
    page = FirefoxPage(session, (await session.command("browsingContext.create", type="tab"))["context"])

    def heard(_method: str, params: dict[str, Any]) -> None:
        if params["level"] == "error":
            page.problems.append(str(params["text"]))

    session.on_event = heard
    await session.command("session.subscribe", events=["log.entryAdded"])
    return page


@asynccontextmanager
async def _running(profile: Path, card: SoundCard) -> AsyncIterator[str]:
    """The address at which it listens."""
    process = await asyncio.create_subprocess_exec(
        *(str(FIREFOX), "--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(profile)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        # A home of its own: Firefox refuses one that belongs to somebody else, and leaves caches there.
        env=os.environ | card.env | {"HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"},
    )
    assert process.stderr is not None
    said: list[bytes] = []
    draining: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := _LISTENING.search(line := await process.stderr.readline())):
                said.append(line)
                if not line:
                    raise FirefoxError(f"Firefox ended: {b''.join(said).decode(errors='replace')}")
        draining = asyncio.create_task(_drain(process.stderr))
        yield found[1].decode()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), PATIENCE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        if draining is not None:
            await draining


async def _drain(stream: asyncio.StreamReader) -> None:
    """A full pipe would stop Firefox."""
    while await stream.read(65_536):
        pass
