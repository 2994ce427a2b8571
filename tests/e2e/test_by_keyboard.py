"""A whole Space hosted by keyboard alone: every stop of the focus can be seen, and every control is reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from spaces_ctl.client import SpacesClient
from spaces_ctl.demo.speech import voices
from tests.support.dev_server import DevServer, dev_server
from tests.support.recognised_voices import talking
from tests.support.site_pages import PASSWORD, PATIENCE_MS, Tab, people
from tests.support.watching import Watcher, listener

MOST_STOPS = 80
# An outline or a ring on what has the focus, or on the frame that stands for it (a search field's).
SEEN = """
  () => {
    const focused = document.activeElement;
    if (!focused || focused === document.body) return "";
    const box = focused.getBoundingClientRect();
    const marked = (element) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
      return (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2) || boxShadow !== "none";
    };
    const frame = focused.closest("label");
    const what = `<${focused.localName}> ${focused.ariaLabel ?? focused.textContent.trim().slice(0, 40)}`;
    if (box.width === 0 || box.height === 0) return `${what} has no size`;
    return marked(focused) || (frame && marked(frame)) ? "" : `${what} does not show that it has the focus`;
  }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with dev_server(tmp_path_factory.mktemp("server")) as running:
        yield running


class Keyboard:
    """Somebody without a mouse."""

    def __init__(self, tab: Tab) -> None:
        self.tab, self.page = tab, tab.page
        self.unseen: set[str] = set()

    async def key(self, name: str) -> None:
        await self.page.keyboard.press(name)

    async def to(self, wanted: Locator) -> None:
        """By the Tab key, from where the focus is."""
        await self.tab.sees(wanted)
        for _ in range(MOST_STOPS):
            if await self._has_focus(wanted):
                return
            await self.key("Tab")
            self.unseen |= {await self.page.evaluate(SEEN)} - {""}
        raise AssertionError(f"{wanted} is not reached within {MOST_STOPS} stops")

    async def press(self, name: str, *, within: Locator | None = None, key: str = "Enter") -> None:
        """A button."""
        await self.to(self.tab.at("button", name, within=within, exact=True).first)
        await self.key(key)

    async def _has_focus(self, wanted: Locator) -> bool:
        return bool(await wanted.evaluate("(element) => element === document.activeElement"))


async def test_a_space_is_hosted_by_keyboard_alone(server: DevServer, tmp_path: Path) -> None:
    voice = voices(1)[0].samples
    async with people(server, tmp_path, microphone=voice) as cast:
        tab = await cast.tab(None)
        hands = Keyboard(tab)
        await sign_in(hands, server)
        await create(hands)
        await hands.press("Start your Space")
        await tab.sees_on_stage("Hana Host", "Host", "you", "muted")
        space = tab.page.url.rpartition("/")[2]
        await talk(hands)
        await open_the_stage(hands)
        async with SpacesClient(server.url, token=server.tokens["sam"]) as client:
            sam = client.space(space)
            async with Watcher(client, space) as events:
                async with listener(await sam.join()):
                    await sam.request()
                    await hands.press("Let Sam Speaker speak")
                    await events.sees("speaker_added", account=str(server.ids["sam"]))
                async with talking(await sam.join(), voice):
                    await sam.unmute()
                    await react(hands)
                    await mute(hands, "Sam Speaker")
                    await events.sees("muted", account=str(server.ids["sam"]), by=str(server.ids["host"]))
        await end(hands)
        assert hands.unseen == set()
        assert cast.problems == []


async def sign_in(hands: Keyboard, server: DevServer) -> None:
    await hands.tab.open("/", tap=False)
    await hands.to(hands.tab.at("link", "Sign in", exact=True).first)
    await hands.key("Enter")
    await hands.to(hands.page.get_by_label("Handle or e-mail address"))
    await hands.page.keyboard.type("host")
    await hands.to(hands.page.get_by_label("Password", exact=True))
    await hands.page.keyboard.type(PASSWORD)
    await hands.key("Enter")
    await hands.tab.sees(hands.tab.at("link", "Start a Space").first)


async def create(hands: Keyboard) -> None:
    await hands.to(hands.tab.at("link", "Start a Space").first)
    await hands.key("Enter")
    await hands.to(hands.page.get_by_label("Title"))
    await hands.page.keyboard.type("Without a mouse")
    await hands.press("Create the Space")
    await hands.tab.sees(hands.tab.at("heading", "Without a mouse"))


async def talk(hands: Keyboard) -> None:
    await hands.key("m")
    await hands.press("No, thanks", within=hands.tab.dialog)
    await hands.tab.sees_on_stage("Hana Host", "Host", "you", "microphone on")


async def open_the_stage(hands: Keyboard) -> None:
    await hands.press("Host tools")
    switch = hands.tab.at("switch", "Allow mic access")
    await hands.to(switch)
    await hands.key("Space")
    await expect(switch).to_be_checked(timeout=PATIENCE_MS)
    await hands.key("Escape")
    await hands.tab.sees_not(hands.tab.dialog)
    # The browser gives the focus back.
    await expect(hands.tab.at("button", "Host tools")).to_be_focused()


async def react(hands: Keyboard) -> None:
    await hands.press("React")
    await expect(hands.page.locator("[data-reaction]").first).to_be_focused()
    await hands.key("ArrowRight")
    await hands.key("Enter")
    await hands.tab.saw_a_reaction()
    await hands.key("Escape")
    await expect(hands.tab.at("button", "React", exact=True)).to_be_focused()


async def mute(hands: Keyboard, name: str) -> None:
    await hands.tab.sees_on_stage(name, "Speaker", "microphone on")
    await hands.to(hands.tab.on_stage("Hana Host"))
    await hands.key("ArrowRight")
    await expect(hands.tab.on_stage(name)).to_be_focused()
    await hands.key("Enter")
    await hands.press(f"Mute {name}", within=hands.tab.dialog)
    await hands.tab.sees_on_stage(name, "Speaker", "muted")
    await expect(hands.tab.on_stage(name)).to_be_focused()


async def end(hands: Keyboard) -> None:
    await hands.press("Leave")
    await hands.press("End for everyone", within=hands.tab.dialog)
    await hands.tab.sees("This Space has ended")
