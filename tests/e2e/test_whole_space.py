"""A whole Space, from its announcement to its deletion, as three people live it in Chromium and others by API clients:
what each of them sees, by role and name, and what each of them hears, as it leaves the AudioWorklet.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import pytest
from playwright.async_api import expect

from spaces_ctl.captions import moonshine
from spaces_ctl.client import SpacesClient
from spaces_ctl.client.errors import Refused
from spaces_ctl.demo.speech import voices
from tests.support.dev_server import DevServer, dev_server
from tests.support.patience import PATIENCE_S
from tests.support.played_files import hear_element, remember_elements
from tests.support.recognised_voices import closeness, talking
from tests.support.rooms import GONE
from tests.support.site_pages import CLEAR, PATIENCE_MS, People, Tab, people
from tests.support.watching import Watcher, listener

pytestmark = pytest.mark.alone

TITLE = "Tea for two"
HOST, SAM, SUE, LEE = "Hana Host", "Sam Speaker", "Sue Speaker", "Lee Listener"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with dev_server(tmp_path_factory.mktemp("server")) as running:
        yield running


OPENING = set(
    re.findall(
        r"\w+",
        """it was the best of times worst age wisdom foolishness epoch belief incredulity season light darkness spring
        hope winter despair we had everything before us nothing were all going direct to heaven other way in short
        period so far like present that some its noisiest authorities insisted on being received for good or evil
        superlative degree comparison only""",
    )
)


class Story:
    """Hana hosts in one page, Lee listens in another; Sam and Sue come with API clients and native sound."""

    def __init__(self, server: DevServer, cast: People, stack: AsyncExitStack) -> None:
        self.server, self.cast, self.stack = server, cast, stack
        self.sams, self.pages = (voice.samples for voice in voices(2))
        """Sam's voice, and the one that the pages' microphones say."""
        self.space = ""
        self.sam_talked = 0.0

    async def client(self, handle: str) -> SpacesClient:
        return await self.stack.enter_async_context(SpacesClient(self.server.url, token=self.server.tokens[handle]))

    def id(self, handle: str) -> int:
        return self.server.ids[handle]

    # Before

    async def the_host_schedules(self) -> None:
        self.host = await self.cast.tab("host")
        await self.host.open("/create", tap=False)
        await self.host.page.get_by_label("Title").fill(TITLE)
        await self.host.at("radio", "Schedule a Space").check()
        await self.host.at("switch", "Record this Space").click()
        await self.host.press("Schedule a Space")
        await self.host.page.wait_for_url(re.compile(r"/s/\w+$"))
        self.space = self.host.page.url.rpartition("/")[2]
        await self.host.sees(self.host.at("heading", TITLE))
        await self.host.sees("Scheduled")
        await self.host.open(f"/s/{self.space}")

    async def lee_finds_it_and_sets_a_reminder(self) -> None:
        self.lee = await self.cast.tab("lee")
        await self.lee.open("/", tap=False)
        await self.lee.at("tab", "Upcoming").click()
        await self.lee.at("link", re.compile(TITLE)).first.click()
        await self.lee.sees(self.lee.at("heading", TITLE))
        await self.lee.open(f"/s/{self.space}")
        await self.lee.press("Remind me")
        await self.lee.sees(self.lee.at("button", "Reminder set"))

    async def the_host_starts(self) -> None:
        await self.host.press("Start your Space")
        await self.host.sees_on_stage(HOST, "Host", "you", "muted")
        await self.host.sees(self.host.page.get_by_text("This Space is being recorded"))
        answer = await self.lee.page.request.get(f"{self.server.url}/api/v1/me/notifications")
        assert TITLE in await answer.text()

    async def lee_comes_in(self) -> None:
        await self.lee.sees(self.lee.page.get_by_role("list", name="Who is there").get_by_text(HOST))
        await self.lee.press("Start listening")
        await self.lee.sees_on_stage(HOST, "Host", "muted")
        await self.host.sees("2 people here")
        await self.lee.hears_nobody()

    # On stage

    async def the_host_talks(self) -> None:
        await self.host.press("Microphone")
        await self.host.press("Allow captions", within=self.host.dialog)
        await self.host.sees(self.host.bar.get_by_text("You are on air."))
        await self.lee.sees_on_stage(HOST, "Host", "microphone on")
        await self.lee.sees(self.lee.on_stage(HOST).and_(self.lee.page.locator("[data-speaking]")))
        await self.lee.hears(self.pages)
        await self.host.hears_nobody()

    async def lee_asks_and_is_let_on_stage(self) -> None:
        await self.lee.press("Ask to speak")
        await self.lee.sees("You raised your hand")
        await self.host.told(f"{LEE} wants to speak.")
        await self.host.press(f"Let {LEE} speak")
        await self.lee.told("You are a speaker now. Your microphone is off.")
        await self.lee.sees_on_stage(LEE, "Speaker", "you", "muted")
        await self.host.sees_on_stage(LEE, "Speaker", "muted")

    async def mic_access_lets_lee_talk(self) -> None:
        await expect(self.lee.at("button", "Microphone", exact=True)).to_be_disabled()
        await self.lee.sees("The host has mic access off.")
        await self.host.press("Microphone")
        await self.host.press("Host tools")
        await self.host.at("switch", "Allow mic access").click()
        await self.host.close_dialog()
        await self.lee.told("Mic access is on: you can unmute.")
        await self.lee.press("Microphone")
        await self.lee.press("No, thanks", within=self.lee.dialog)
        await self.host.sees_on_stage(LEE, "Speaker", "microphone on")
        await self.host.hears(self.pages)

    async def sam_asks_and_talks(self) -> None:
        client = await self.client("sam")
        self.sam = client.space(self.space)
        self.sams_events = await self.stack.enter_async_context(Watcher(client, self.space))
        async with listener(await self.sam.join()):
            await self.sam.request()
            await self.host.press(f"Let {SAM} speak")
            await self.sams_events.sees("speaker_added", account=str(self.id("sam")))
        await self.lee.press("Microphone")
        await self.host.sees_on_stage(LEE, "Speaker", "muted")
        await self.stack.enter_async_context(talking(await self.sam.join(), self.sams))
        await self.host.sees_on_stage(SAM, "Speaker", "muted")
        await self.host.hears_nobody()
        await self.sam.unmute()
        await self.lee.sees_on_stage(SAM, "Speaker", "microphone on")
        self.sam_talked = time.time()
        await asyncio.gather(self.host.hears(self.sams), self.lee.hears(self.sams))

    # Order

    async def the_host_mutes_all(self) -> None:
        await self.lee.press("Microphone")
        await self.lee.sees(self.lee.bar.get_by_text("You are on air."))
        await self.host.press("Host tools")
        await self.host.press("Mute all speakers")
        await self.host.told("All speakers are muted.")
        await self.host.close_dialog()
        await self.lee.told(f"{HOST} muted all speakers.")
        await self.sams_events.sees("muted", account=str(self.id("sam")), how="mute_all")
        for tab in (self.host, self.lee):
            await tab.sees_on_stage(SAM, "Speaker", "muted")
        # Sam's client sends all the time.
        await asyncio.gather(self.host.hears_nobody(), self.lee.hears_nobody())

    async def sam_is_asked_to_unmute(self) -> None:
        await self.host.open_person(SAM)
        await self.host.press("Ask to unmute")
        await self.sams_events.sees("asked_to_unmute", account=str(self.id("sam")))
        await self.sam.unmute()
        await self.lee.sees_on_stage(SAM, "Speaker", "microphone on")
        await self.lee.hears(self.sams)

    async def lee_blocks_sue_and_is_warned(self) -> None:
        client = await self.client("sue")
        self.sue = client.space(self.space)
        self.sues_events = await self.stack.enter_async_context(Watcher(client, self.space))
        self.sues_ears = await self.stack.enter_async_context(listener(await self.sue.join()))
        await self.lee.open_person(SUE)
        await self.lee.press(f"Block {SUE}")
        await self.lee.press("Block", within=self.lee.dialog)
        await self.lee.told(f"You blocked {SUE}.")
        people = self.lee.page.get_by_role("complementary")
        await self.lee.sees(self.lee.at("button", re.compile(f"{SUE}.*Blocked"), within=people))
        await self.sue.request()
        await self.host.press(f"Let {SUE} speak")
        await self.lee.told("An account you blocked has joined as a speaker.")
        await self.lee.sees_on_stage(SUE, "Blocked", "Speaker", "muted")
        await self.host.sees_on_stage(SUE, "Speaker", "muted")
        await self.host.sees_not("Blocked")

    async def the_host_blocks_sue_who_is_out(self) -> None:
        await self.host.open_person(SUE)
        await self.host.press(f"Block {SUE}")
        await self.host.press("Block", within=self.host.dialog)
        await self.host.told(f"You blocked {SUE}.")
        for tab in (self.host, self.lee):
            await tab.sees_not(tab.on_stage(SUE))
        async with asyncio.timeout(PATIENCE_MS / 1000):
            with pytest.raises(GONE):
                await self._until_thrown_out()
        with pytest.raises(Refused):
            await self.sue.join()

    async def _until_thrown_out(self) -> None:
        async for _ in self.sues_ears.pcm():
            pass

    async def lee_becomes_co_host(self) -> None:
        await self.host.open_person(LEE)
        await self.host.press("Invite to co-host")
        await self.lee.sees(f"{HOST} invites you to co-host.")
        await self.lee.press("Become co-host")
        await self.host.told(f"{LEE} is a co-host now.")
        await self.host.sees_on_stage(LEE, "Co-host")
        await self.lee.sees(self.lee.at("button", "Host tools"))

    async def the_host_drops_and_returns(self) -> None:
        await self.host.page.close()
        await self.lee.told("The host lost the connection. The Space goes on.")
        await self.lee.sees_on_stage(HOST, "Host", "away")
        await self.lee.hears(self.sams)
        self.host = await self.cast.tab("host")
        await self.host.open(f"/s/{self.space}")
        await self.host.press("Back to the stage")
        await self.host.sees_on_stage(HOST, "Host", "you", "muted")
        await self.lee.told("The host is back.")
        await self.host.hears(self.sams)
        await self.host.open_person(SAM)
        await self.host.press(f"Mute {SAM}")
        await self.lee.sees_on_stage(SAM, "Speaker", "muted")
        await self.host.press("Microphone")
        await self.lee.sees_on_stage(HOST, "Host", "microphone on")
        await self.lee.hears(self.pages)
        await self.host.press("Microphone")
        await self.lee.sees_on_stage(HOST, "Host", "muted")
        await self.sam.unmute()

    # Around the talk

    async def lee_reacts(self) -> None:
        await self.lee.press("React")
        await self.lee.press("Tears of joy")
        for tab in (self.lee, self.host):
            await tab.saw_a_reaction()

    async def a_poll_is_asked_and_answered(self) -> None:
        await self.host.at("tab", "Pinned").click()
        await self.host.press("New poll")
        await self.host.page.get_by_label("Question").fill("Milk or lemon?")
        await self.host.page.get_by_label("Answer 1").fill("Milk")
        await self.host.page.get_by_label("Answer 2").fill("Lemon")
        await self.host.press("Ask", within=self.host.dialog)
        await self.lee.told("New poll: Milk or lemon?")
        await self.lee.press("Lemon")
        await self.lee.sees(self.lee.page.get_by_role("region", name="Poll").get_by_text("your vote"))
        poll = self.host.page.get_by_role("region", name="Poll").first
        await self.host.sees(poll.get_by_text("1 vote"))

    async def the_host_pins_a_post(self) -> None:
        await self.host.press("Pin something")
        await self.host.page.get_by_label("Say something").fill("The kettle is on.")
        await self.host.press("Pin something", within=self.host.dialog)
        await self.lee.sees(self.lee.page.get_by_role("list", name="Pinned").get_by_text("The kettle is on."))

    async def lee_clips(self) -> None:
        await self.lee.hears(self.sams)
        await remember_elements(self.lee.page)
        await self.lee.press("Clip the last 30 seconds")
        preview = self.lee.page.get_by_label("How the clip sounds")
        await self.lee.sees(self.lee.page.locator("audio[src^='blob:']"))
        await preview.evaluate("(element) => { element.currentTime = 0; return element.play(); }")

        async def seek(place: int) -> None:
            # Its last half is Sam's.
            await preview.evaluate(
                "(element, back) => { element.currentTime = element.duration - back; return element.play(); }",
                6 + 5 * place,
            )

        await self._hears_sam_in_a_file(self.lee, seek)
        await self.lee.page.get_by_label("Say something with it").fill("Listen to this")
        await self.lee.press("Make clip")
        await self.lee.sees(self.lee.dialog.get_by_text("Your clip is made."))
        await self.lee.sees(self.lee.at("link", "Open the clip"))
        await self.lee.close_dialog()

    async def lee_reads_captions(self) -> None:
        if not moonshine.installed():
            return
        await self.sam.caption_consent(True)
        await self.lee.press("Captions", within=self.lee.bar)
        await self.lee.at("tab", "Captions").click()
        panel = self.lee.page.get_by_role("tabpanel")
        await self.lee.sees(panel.get_by_text(SAM))
        # Sam reads on from anywhere in the opening of "A Tale of Two Cities".
        lines = panel.get_by_role("paragraph").filter(has_text=SAM)
        await self.lee.sees(lines.nth(2))

        # Four words in five; a line misheard beside two browsers on two cores is made up for by the next ones.
        until, words = time.monotonic() + 2 * PATIENCE_S, [""]
        while len(words) < 10 or sum(word in OPENING for word in words) < 0.8 * len(words):
            assert time.monotonic() < until, words
            await asyncio.sleep(0.5)
            said = " ".join(await lines.all_inner_texts()).replace(SAM, "")
            words = re.findall(r"[a-z]+", said.lower())

    async def _hears_sam_in_a_file(self, tab: Tab, seek: Callable[[int], Awaitable[None]]) -> None:
        """Heard again if the machine was too busy to play it well, from three places in turn: where Sam's reading ends
        and begins anew, most of four seconds is a pause, and of the noise in it, which no codec keeps, STOI finds 0.6.
        """
        heard: list[float] = []
        while not heard or (max(heard) < CLEAR and len(heard) < 6):
            await seek(len(heard) % 3)
            heard.append(closeness(self.sams, await hear_element(tab.page, 4)))
        assert max(heard) >= CLEAR, heard

    # After

    async def the_host_ends_it(self) -> None:
        await self.host.press("Leave")
        await self.host.press("End for everyone")
        for tab in (self.host, self.lee):
            await tab.sees(tab.page.get_by_text(re.compile("This Space has ended|people came")))
            await tab.sees_not(tab.page.get_by_test_id("room"))

    async def a_guest_plays_the_replay(self) -> None:
        self.guest = await self.cast.tab(None)
        await remember_elements(self.guest.page)
        await self.guest.open(f"/s/{self.space}", tap=False)
        await self.guest.sees(self.guest.at("heading", TITLE))
        await self.guest.sees(re.compile("[45] people came"))
        await self.guest.press("Play")
        began = await self._replay_began()

        async def seek(place: int) -> None:
            await self.guest.page.get_by_label("Position").fill(str(int(self.sam_talked + 1 - began) + place))

        await self._hears_sam_in_a_file(self.guest, seek)
        await self.guest.sees(self.guest.page.get_by_text(f"{SAM} is talking"))
        await self.guest.press("Pause")

    async def the_clip_plays(self) -> None:
        await self.guest.open(f"/s/{self.space}/clips/1", tap=False)
        await self.guest.sees("Listen to this")

    async def the_host_trims_and_deletes(self) -> None:
        await self.host.sees(self.host.at("button", "Play"))
        await self.host.press("More")
        await self.host.at("menuitem", "Edit start time").click()
        await self.host.dialog.get_by_role("slider").fill("5")
        await self.host.press("Save")
        await self.host.told("The start was changed.")
        await self.host.press("More")
        await self.host.at("menuitem", "Delete replay").click()
        await self.host.press("Delete replay", within=self.host.dialog)
        await self.host.sees("The replay was deleted.")
        await self.guest.open(f"/s/{self.space}", tap=False)
        await self.guest.sees("The replay was deleted.")
        await self.guest.open(f"/s/{self.space}/clips/1", tap=False)
        await self.guest.sees_not("Listen to this")

    async def _replay_began(self) -> float:
        answer = await self.guest.page.request.get(f"{self.server.url}/api/v1/spaces/{self.space}/replay")
        return datetime.fromisoformat((await answer.json())["started"]).timestamp()


async def test_a_whole_space(server: DevServer, tmp_path: Path) -> None:
    microphone = voices(2)[1].samples
    async with people(server, tmp_path, microphone=microphone) as cast, AsyncExitStack() as stack:
        story = Story(server, cast, stack)
        steps: list[Callable[[], Awaitable[None]]] = [
            story.the_host_schedules,
            story.lee_finds_it_and_sets_a_reminder,
            story.the_host_starts,
            story.lee_comes_in,
            story.the_host_talks,
            story.lee_asks_and_is_let_on_stage,
            story.mic_access_lets_lee_talk,
            story.sam_asks_and_talks,
            story.the_host_mutes_all,
            story.sam_is_asked_to_unmute,
            story.lee_blocks_sue_and_is_warned,
            story.the_host_blocks_sue_who_is_out,
            story.lee_becomes_co_host,
            story.the_host_drops_and_returns,
            story.lee_reacts,
            story.a_poll_is_asked_and_answered,
            story.the_host_pins_a_post,
            story.lee_clips,
            story.lee_reads_captions,
            story.the_host_ends_it,
            story.a_guest_plays_the_replay,
            story.the_clip_plays,
            story.the_host_trims_and_deletes,
        ]
        for step in steps:
            began = time.monotonic()
            await step()
            # Shown when a later one fails.
            print(f"{time.monotonic() - began:5.1f} s  {getattr(step, '__name__', step)}", flush=True)
        assert cast.problems == []
