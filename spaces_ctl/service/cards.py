"""How a shared link looks: OpenGraph and text of its page, oEmbed, calendar file, picture.

These are the same for everybody, logged in or not, blocked or not: they are public, and so say nothing about blocks.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from html import escape
from urllib.parse import quote, urlsplit

import msgspec
from icalendar import Alarm, Calendar, Event

from spaces_ctl.clock import Clock
from spaces_ctl.media import pictures
from spaces_ctl.model import AccountId, SpaceId, Status
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Profile, SocialGraph
from spaces_ctl.service.shared import Shared, metas
from spaces_ctl.store import summaries
from spaces_ctl.store.database import Database

__all__ = ["Card", "Cards", "OEmbed"]

_WORDS = {
    Status.SCHEDULED: "Scheduled",
    Status.LIVE: "Live",
    Status.ENDED: "Ended",
    Status.CANCELED: "Canceled",
}


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a Space to somebody outside."""

    space: SpaceId
    status: Status
    title: str
    description: str
    hosts: tuple[Profile, ...]
    speakers: tuple[Profile, ...]
    participants: int
    scheduled_start_ms: int | None
    replay: bool
    """The replay may be played."""
    ticketed: bool
    url: str
    picture_url: str
    version: int

    @property
    def heading(self) -> str:
        """The title, or what stands for one."""
        names = ", ".join(profile.name for profile in self.hosts[:1])
        return self.title or (f"{names}'s Space" if names else "A Space")

    @property
    def line(self) -> str:
        """State, hosts and people in a line."""
        parts = [_WORDS.get(self.status, "")]
        if self.status is Status.SCHEDULED and self.scheduled_start_ms is not None:
            parts.append(_utc(self.scheduled_start_ms).strftime("%d %b %Y, %H:%M UTC"))
        if self.hosts:
            parts.append("hosted by " + ", ".join(profile.name for profile in self.hosts))
        if self.status is Status.LIVE:
            parts.append(f"{self.participants} listening")
        if self.status is Status.ENDED and self.replay:
            parts.append("replay available")
        return " · ".join(parts)


class OEmbed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """https://oembed.com, section 2.3.4, type link."""

    version: str = "1.0"
    type: str = "link"
    title: str
    author_name: str
    provider_name: str
    provider_url: str
    cache_age: int
    thumbnail_url: str
    thumbnail_width: int
    thumbnail_height: int

    def plain(self) -> dict[str, str | int]:
        """With `version` and `type`, which are required although they never change."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


class Cards:
    """Cards of Spaces that are public: scheduled, live, over."""

    WIDTH, HEIGHT = pictures.WIDTH, pictures.HEIGHT

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        graph: SocialGraph,
        people: Callable[[SpaceId], int],
        space_name: Callable[[SpaceId], str],
        space_of: Callable[[str], SpaceId],
        base_url: str,
        site: str = "Spaces",
        font: str | None = None,
    ) -> None:
        """`people`: everybody connected now. `space_name` and `space_of` turn ids to text and back (ValueError).

        `base_url` is this site's. `font`: a TrueType file for the picture; the built-in one knows Latin letters only.
        """
        self._db = db
        self._clock = clock
        self._graph = graph
        self._people = people
        self._space_name = space_name
        self._space_of = space_of
        self._base_url = base_url.rstrip("/")
        self._site = site
        self._font = font
        self._pictures: OrderedDict[tuple[SpaceId, int], bytes] = OrderedDict()

    async def card(self, space: SpaceId) -> Card:
        """Raises ServiceError space.not_found, also for a lobby."""
        found = (await self._db.read(lambda c: summaries.by_ids(c, [space]))).get(space)
        if found is None or found.status in (Status.NEW, Status.LOBBY):
            raise ServiceError("space.not_found")
        hosts = found.hosts or (found.creator,)
        profiles = await self._graph.profiles({*hosts, *found.speakers})
        url = f"{self._base_url}/s/{self._space_name(space)}"
        return Card(
            space=space,
            status=found.status,
            title=found.title,
            description=found.description,
            hosts=_known(profiles, hosts),
            speakers=_known(profiles, found.speakers),
            participants=self._people(space) if found.status is Status.LIVE else 0,
            scheduled_start_ms=found.scheduled_start_ms,
            replay=found.replay_status == "available",
            ticketed=found.ticketing is not None,
            url=url,
            picture_url=f"{url}/card.png?v={found.version}",
            version=found.version,
        )

    async def shared(self, space: SpaceId) -> Shared:
        """What the Space's page says to crawlers. Raises ServiceError space.not_found."""
        card = await self.card(space)
        oembed = f"{self._base_url}/oembed?url={quote(card.url, safe='')}"
        description = " — ".join(part for part in (card.line, card.description) if part)
        properties = {
            "og:type": "website",
            "og:site_name": self._site,
            "og:title": card.heading,
            "og:description": description,
            "og:url": card.url,
            "og:image": card.picture_url,
            "og:image:width": str(self.WIDTH),
            "og:image:height": str(self.HEIGHT),
            "og:image:alt": card.heading,
        }
        names = {
            "description": description,
            "twitter:card": "summary_large_image",
            "twitter:title": card.heading,
            "twitter:description": description,
            "twitter:image": card.picture_url,
        }
        links = (
            f'<link rel="canonical" href="{escape(card.url)}">\n'
            f'<link rel="alternate" type="application/json+oembed" href="{escape(oembed)}" '
            f'title="{escape(card.heading)}">\n'
        )
        return Shared(
            title=f"{card.heading} · {self._site}",
            head=metas(properties, names) + links,
            text=_text(card),
        )

    async def oembed(self, url: str) -> OEmbed:
        """What the page at `url` is. Raises ServiceError resource.not_found for one that is not ours."""
        asked, own = urlsplit(url), urlsplit(self._base_url)
        path = asked.path.removeprefix(own.path)
        if asked.netloc.lower() != own.netloc.lower() or not path.startswith("/s/"):
            raise ServiceError("resource.not_found")
        try:
            space = self._space_of(path.removeprefix("/s/").strip("/"))
            card = await self.card(space)
        except (ValueError, ServiceError):
            raise ServiceError("resource.not_found") from None
        return OEmbed(
            title=card.heading,
            author_name=", ".join(profile.name for profile in card.hosts),
            provider_name=self._site,
            provider_url=self._base_url,
            cache_age=60 if card.status is Status.LIVE else 600,
            thumbnail_url=card.picture_url,
            thumbnail_width=self.WIDTH,
            thumbnail_height=self.HEIGHT,
        )

    async def calendar(self, space: SpaceId) -> bytes:
        """An iCalendar file (RFC 5545). Raises ServiceError space.not_found, schedule.not_scheduled."""
        card = await self.card(space)
        if card.scheduled_start_ms is None:
            raise ServiceError("schedule.not_scheduled")
        start = _utc(card.scheduled_start_ms)
        event = Event()
        event.add("uid", f"{self._space_name(space)}@{urlsplit(self._base_url).hostname}")
        event.add("sequence", card.version)
        event.add("dtstamp", _utc(self._clock.now_ms()))
        event.add("dtstart", start)
        event.add("dtend", start + timedelta(hours=1))  # nobody knows how long it will be
        event.add("summary", card.heading)
        event.add("description", "\n\n".join(part for part in (card.description, card.url) if part))
        event.add("url", card.url)
        event.add("status", "CANCELLED" if card.status is Status.CANCELED else "CONFIRMED")
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", card.heading)
        alarm.add("trigger", timedelta(minutes=-10))
        event.add_component(alarm)
        calendar = Calendar()
        calendar.add("prodid", f"-//{self._site}//EN")
        calendar.add("version", "2.0")
        calendar.add("method", "PUBLISH")
        calendar.add_component(event)
        return bytes(calendar.to_ical())

    async def picture(self, space: SpaceId) -> bytes:
        """A PNG, 1200 × 630. Raises ServiceError space.not_found."""
        card = await self.card(space)
        key = (space, card.version)
        if key not in self._pictures:
            # Some ten milliseconds: not in the loop. The number of listeners is not in it, so it keeps.
            self._pictures[key] = await asyncio.to_thread(self._draw, card)
            while len(self._pictures) > 200:
                self._pictures.popitem(last=False)
        return self._pictures[key]

    def _draw(self, card: Card) -> bytes:
        urgent = card.status is Status.LIVE
        picture = pictures.card(
            card.heading,
            _WORDS.get(card.status, "").upper(),
            ", ".join(profile.name for profile in card.hosts),
            badge_colour=pictures.URGENT if urgent else pictures.QUIET,
            font=self._font,
        )
        return pictures.png(picture)


def _text(card: Card) -> str:
    calendar = (
        f'<p><a href="{escape(card.url)}/calendar.ics">Add to calendar</a></p>\n'
        if card.status is Status.SCHEDULED
        else ""
    )
    return (
        f"<h1>{escape(card.heading)}</h1>\n<p>{escape(card.line)}</p>\n<p>{escape(card.description)}</p>\n"
        f"{_people_list('Hosts', card.hosts)}{_people_list('Speakers', card.speakers)}{calendar}"
        "<p>Listening needs JavaScript.</p>\n"
    )


def _people_list(title: str, people: tuple[Profile, ...]) -> str:
    if not people:
        return ""
    items = "".join(f"<li>{escape(person.name)} (@{escape(person.handle)})</li>" for person in people)
    return f"<h2>{title}</h2><ul>{items}</ul>\n"


def _known(profiles: Mapping[AccountId, Profile], accounts: tuple[AccountId, ...]) -> tuple[Profile, ...]:
    return tuple(profiles[account] for account in accounts if account in profiles)


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(math.floor(at_ms / 1000), UTC)
