"""How a clip looks to whoever follows its link: what its page tells crawlers, a player for other pages, oEmbed.

The same for everybody, logged in or not, as a Space's card is. No script runs in the player.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from html import escape
from urllib.parse import quote, urlsplit

import msgspec

from spaces_ctl.media import pictures
from spaces_ctl.media.clip_names import FILES
from spaces_ctl.model import SpaceId
from spaces_ctl.service.clips import Clips, SeenClip
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.shared import Shared, metas

__all__ = ["ClipEmbed", "ClipPages", "Page"]

_PLAYER = (600, 315)
"""Width and height of the embedded player."""

_STYLE = "body{margin:0;font:1.1rem/1.5 system-ui,sans-serif}img,audio{width:100%}img{height:auto}"
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'self'; media-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors *"
)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """HTML and its content security policy."""

    html: str
    policy: str


class ClipEmbed(msgspec.Struct, frozen=True, kw_only=True):
    """https://oembed.com, section 2.3.4, type rich."""

    title: str
    author_name: str
    provider_name: str
    provider_url: str
    html: str
    width: int
    height: int
    thumbnail_url: str
    thumbnail_width: int = pictures.WIDTH
    thumbnail_height: int = pictures.HEIGHT
    cache_age: int = 600

    def plain(self) -> dict[str, str | int]:
        """With `version` and `type`."""
        return {"version": "1.0", "type": "rich", **msgspec.structs.asdict(self)}


class ClipPages:
    """Of clips that may be played."""

    def __init__(
        self,
        *,
        clips: Clips,
        space_name: Callable[[SpaceId], str],
        space_of: Callable[[str], SpaceId],
        base_url: str,
        site: str = "Spaces",
    ) -> None:
        """`space_name` and `space_of` turn ids to text and back (ValueError)."""
        self._clips = clips
        self._space_name = space_name
        self._space_of = space_of
        self._base_url = base_url.rstrip("/")
        self._site = site

    async def shared(self, space: SpaceId, clip: int) -> Shared:
        """What its page says to crawlers; without JavaScript it plays too. Raises ServiceError clip.not_found,
        replay.withheld, store.unavailable.
        """
        seen = await self._clips.public(space, clip)
        url, heading, line = self._url(seen), _heading(seen), _line(seen)
        properties = {
            "og:site_name": self._site,
            "og:title": heading,
            "og:description": line,
            "og:url": url,
            "og:image": self._file(seen, "waveform.png"),
            "og:image:width": str(pictures.WIDTH),
            "og:image:height": str(pictures.HEIGHT),
            "og:image:alt": heading,
            "og:audio": self._file(seen, "audio.m4a"),
            "og:audio:type": "audio/mp4",
            "og:type": "website",
        }
        if "video.mp4" in seen.files:
            properties |= {
                "og:type": "video.other",
                "og:video": self._file(seen, "video.mp4"),
                "og:video:type": "video/mp4",
                "og:video:width": str(pictures.WIDTH),
                "og:video:height": str(pictures.HEIGHT),
            }
        names = {
            "description": line,
            "twitter:card": "player",
            "twitter:title": heading,
            "twitter:description": line,
            "twitter:image": properties["og:image"],
            "twitter:player": f"{url}/player",
            "twitter:player:width": str(_PLAYER[0]),
            "twitter:player:height": str(_PLAYER[1]),
            "twitter:player:stream": self._file(seen, "audio.m4a"),
            "twitter:player:stream:content_type": "audio/mp4",
        }
        oembed = f"{self._base_url}/oembed?url={quote(url, safe='')}"
        links = f'<link rel="canonical" href="{escape(url)}">\n'
        links += f'<link rel="alternate" type="application/json+oembed" href="{escape(oembed)}">\n'
        space_url = f"{self._base_url}/s/{self._space_name(space)}"
        text = (
            f"<h1>{escape(heading)}</h1>\n{self._sound(seen)}\n"
            f'<p>{escape(line)} · from <a href="{escape(space_url)}">{escape(seen.title or "a Space")}</a></p>\n'
        )
        return Shared(title=f"{heading} · {self._site}", head=metas(properties, names) + links, text=text)

    async def player(self, space: SpaceId, clip: int) -> Page:
        """Only picture and sound, for frames of other sites. Raises as `page`."""
        seen = await self._clips.public(space, clip)
        return Page(html=self._html(seen), policy=_POLICY)

    async def oembed(self, url: str) -> ClipEmbed | None:
        """What the page at `url` is, if it is one of a clip.

        Raises ServiceError resource.not_found: one that is not to be had.
        """
        asked, own = urlsplit(url), urlsplit(self._base_url)
        parts = asked.path.removeprefix(own.path).strip("/").split("/")
        if asked.netloc.lower() != own.netloc.lower() or len(parts) != 4 or (parts[0], parts[2]) != ("s", "clips"):
            return None
        try:
            seen = await self._clips.public(self._space_of(parts[1]), int(parts[3]))
        except (ValueError, ServiceError):
            raise ServiceError("resource.not_found") from None
        width, height = _PLAYER
        source = escape(f"{self._url(seen)}/player")
        return ClipEmbed(
            title=_heading(seen),
            author_name=seen.author.name if seen.author else "",
            provider_name=self._site,
            provider_url=self._base_url,
            html=f'<iframe src="{source}" width="{width}" height="{height}" title="{escape(_heading(seen))}"></iframe>',
            width=width,
            height=height,
            thumbnail_url=self._file(seen, "waveform.png"),
        )

    def _sound(self, seen: SeenClip) -> str:
        if not seen.ready:
            return "<p>The clip is being made.</p>"
        sources = "".join(
            f'<source src="{escape(self._path(seen, file))}" type="{escape(FILES[file])}">'
            for file in ("audio.opus", "audio.m4a")
        )
        picture = escape(self._path(seen, "waveform.png"))
        size = f'width="{pictures.WIDTH}" height="{pictures.HEIGHT}"'
        return f'<img src="{picture}" alt="" {size}>\n<audio controls preload="metadata">{sources}</audio>'

    def _html(self, seen: SeenClip) -> str:
        # Seconds after a clip was made its player may be looked at already.
        again = "" if seen.ready else '<meta http-equiv="refresh" content="3">\n'
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(_heading(seen))} · {escape(self._site)}</title>\n{again}<style>{_STYLE}</style>\n"
            f'<link rel="icon" href="/icon.svg">\n</head>\n<body>\n{self._sound(seen)}\n</body>\n</html>\n'
        )

    def _url(self, seen: SeenClip) -> str:
        return f"{self._base_url}/s/{self._space_name(seen.space)}/clips/{seen.clip}"

    def _path(self, seen: SeenClip, file: str) -> str:
        return f"/api/v1/spaces/{self._space_name(seen.space)}/clips/{seen.clip}/{file}"

    def _file(self, seen: SeenClip, file: str) -> str:
        return self._base_url + self._path(seen, file)


def _heading(seen: SeenClip) -> str:
    return seen.info.comment or (f"A clip of {seen.title}" if seen.title else "A clip of a Space")


def _line(seen: SeenClip) -> str:
    seconds = round(seen.length_ms / 1000)
    by = f" by {seen.author.name} (@{seen.author.handle})" if seen.author else ""
    return f"{seconds} seconds, clipped{by}"
