from __future__ import annotations

import io
from html.parser import HTMLParser
from typing import Any

import pytest
from icalendar import Calendar
from PIL import Image

from spaces_ctl import events as e
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import SpaceId
from spaces_ctl.service.cards import Cards
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.shared import Shared
from spaces_ctl.store.database import Database
from tests.support.graph import FakeGraph
from tests.support.projected import Projected

NASTY = 'A <script>alert("x")</script> & "quotes"'


class Page(HTMLParser):
    """What a crawler reads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.metas: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = {name: value or "" for name, value in attrs}
        if tag == "meta":
            self.metas[found.get("property", found.get("name", ""))] = found.get("content", "")
        if tag == "link":
            self.links[found.get("type", found["rel"])] = found["href"]

    def handle_data(self, data: str) -> None:
        self.text += data


def as_html(shared: Shared) -> str:
    return shared.head + shared.text


def number(text: str) -> SpaceId:
    return int(text.removeprefix("S"))


@pytest.fixture
def projected(db: Database, clock: ManualClock) -> Projected:
    return Projected(db, clock)


@pytest.fixture
def cards(db: Database, clock: ManualClock) -> Cards:
    return Cards(
        db=db,
        clock=clock,
        graph=FakeGraph(),
        people=lambda space: 42,
        space_name=lambda space: f"S{space}",
        space_of=number,
        base_url="https://spaces.example",
    )


async def test_a_shared_link_says_title_hosts_and_state_and_nothing_runs(cards: Cards, projected: Projected) -> None:
    await projected.live(5, creator=1, title=NASTY, description=NASTY)
    speaker = e.SpeakerAdded(account=2, seat=1, generation=2, how=e.SeatGainedHow.OPEN)
    await projected.add(5, speaker)
    page = Page(as_html(await cards.shared(5)))
    assert page.metas["og:title"] == NASTY
    assert page.metas["og:description"].startswith("Live · hosted by User 1 · 42 listening — A <script>")
    assert page.metas["og:url"] == "https://spaces.example/s/S5"
    assert page.metas["og:image"].startswith("https://spaces.example/s/S5/card.png?v=")
    assert page.metas["twitter:card"] == "summary_large_image"
    assert page.links["application/json+oembed"] == (
        "https://spaces.example/oembed?url=https%3A%2F%2Fspaces.example%2Fs%2FS5"
    )
    assert "script" not in page.tags
    assert "User 2 (@user2)" in page.text


@pytest.mark.parametrize("state", ["scheduled", "live", "ended", "canceled"])
async def test_the_state_shows(cards: Cards, projected: Projected, clock: ManualClock, state: str) -> None:
    later = clock.now_ms() + 3_600_000
    if state in ("scheduled", "canceled"):
        await projected.scheduled(5, creator=1, at_ms=later)
    else:
        await projected.live(5, creator=1)
    if state == "ended":
        await projected.add(5, e.Ended(how=e.EndedHow.HOST))
    if state == "canceled":
        await projected.add(5, e.Canceled(how=e.CanceledHow.HOST))
    text = as_html(await cards.shared(5))
    assert Page(text).metas["og:description"].startswith(state.capitalize())
    assert ("Add to calendar" in text) is (state == "scheduled")
    assert "User 1&#x27;s Space" in text


async def test_a_lobby_and_what_is_not_there_have_no_page(cards: Cards, projected: Projected) -> None:
    await projected.add(5, e.Created(creator=1, title="secret"))
    for space in (5, 6):
        for call in (cards.shared(space), cards.picture(space), cards.calendar(space)):
            with pytest.raises(ServiceError) as refused:
                await call
            assert refused.value.code == "space.not_found"


async def test_oembed_knows_our_pages_only(cards: Cards, projected: Projected) -> None:
    await projected.live(5, creator=1, title="Talk")
    found = await cards.oembed("https://spaces.example/s/S5?utm=1")
    assert (found.title, found.author_name, found.type, found.version) == ("Talk", "User 1", "link", "1.0")
    for url in (
        "https://evil.example/s/S5",
        "https://spaces.example/x/S5",
        "https://spaces.example/s/nonsense",
        "https://spaces.example/s/S6",
        "nonsense",
    ):
        with pytest.raises(ServiceError) as refused:
            await cards.oembed(url)
        assert refused.value.code == "resource.not_found"


async def test_a_calendar_file_has_the_time_a_reminder_and_follows_changes(
    cards: Cards, projected: Projected, clock: ManualClock
) -> None:
    at_ms = clock.now_ms() + 3_600_000
    await projected.scheduled(5, creator=1, at_ms=at_ms, title="Talk; with, commas\nand lines")
    first: Any = Calendar.from_ical(await cards.calendar(5)).walk("VEVENT")[0]
    assert first["DTSTART"].dt.timestamp() * 1000 == at_ms
    assert first["UID"] == "S5@spaces.example"
    assert str(first["SUMMARY"]) == "Talk; with, commas\nand lines"
    assert first.walk("VALARM")[0]["TRIGGER"].dt.total_seconds() == -600
    await projected.add(5, e.Edited(scheduled_start_ms=at_ms + 1000))
    await projected.add(5, e.Canceled(how=e.CanceledHow.HOST))
    second: Any = Calendar.from_ical(await cards.calendar(5)).walk("VEVENT")[0]
    assert second["UID"] == first["UID"]
    assert second["SEQUENCE"] > first["SEQUENCE"]
    assert second["STATUS"] == "CANCELLED"
    await projected.live(6, creator=1)
    with pytest.raises(ServiceError) as refused:
        await cards.calendar(6)
    assert refused.value.code == "schedule.not_scheduled"


async def test_the_picture_is_a_png_of_the_promised_size_that_shows_the_title(
    cards: Cards, projected: Projected
) -> None:
    await projected.live(5, creator=1, title="One")
    await projected.live(6, creator=1, title="Another " * 40)
    one, other = [Image.open(io.BytesIO(await cards.picture(space))) for space in (5, 6)]
    assert one.format == "PNG"
    assert one.size == other.size == (1200, 630)
    assert one.tobytes() != other.tobytes()
    assert await cards.picture(5) is await cards.picture(5), "kept until the Space changes"
