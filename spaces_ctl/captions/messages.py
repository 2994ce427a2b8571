"""What the server and the captions process tell each other. Times count from the Space's start (group 0)."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "Allow",
    "Figures",
    "Follow",
    "FromCaptioner",
    "FromServer",
    "Heard",
    "Leave",
    "Lost",
    "Open",
    "Tell",
    "Told",
]


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """How the process is set up; the first thing that it is told."""

    recogniser: Literal["moonshine", "websocket"]
    url: str = ""
    """Of a recogniser over WebSocket."""
    key: str = ""
    """Its bearer token."""
    streams: int = 4
    """People who are recognised at once."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """How the process is doing."""

    spaces: int = 0
    """Followed."""
    streams: int = 0
    """Open now."""
    waiting_ms: int = 0
    """Sound that waits to be recognised."""
    shed_ms: int = 0
    """Sound that was not captioned because the recogniser was too slow, or there were too many at once."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    space: int


class Follow(_Message, frozen=True, kw_only=True):
    """Listen to a Space. Said again for the same Space: connect anew, with what is said now."""

    url: str
    """`https://host:port/spaces/<name>`."""
    token: str
    certificate_sha256: bytes | None
    language: str
    """BCP 47."""
    seats: dict[int, int]
    """Who may be captioned: seat -> generation."""


class Allow(_Message, frozen=True, kw_only=True):
    """Who may be captioned from now on; what waits of anybody else is forgotten unheard."""

    seats: dict[int, int]


class Leave(_Message, frozen=True, kw_only=True):
    """Not this Space any more."""

    finish: bool = False
    """It has ended: the last lines of those who might be captioned are still wanted."""


FromServer = Follow | Allow | Leave


class Heard(_Message, frozen=True, kw_only=True):
    """A line of somebody, as far as it is understood; a later one of the same number replaces it."""

    seat: int
    generation: int
    line: int
    """Counts the lines of one holder of the seat."""
    start_ms: int
    end_ms: int
    text: str
    """Empty: a stretch that was spoken and not captioned (`final`)."""
    final: bool


class Lost(_Message, frozen=True, kw_only=True):
    """The connection to a Space ended; the process waits to be told to follow it again."""

    why: str
    """A code or the name of an error."""


FromCaptioner = Heard | Lost


class Tell(msgspec.Struct, frozen=True, kw_only=True):
    """Server to process."""

    message: FromServer


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Process to server: what there was to tell, in order."""

    messages: tuple[FromCaptioner, ...]
