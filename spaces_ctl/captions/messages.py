"""What the server and the captions process tell each other. Times count from the Space's start (group 0)."""

from __future__ import annotations

import msgspec

__all__ = ["Allow", "Follow", "FromCaptioner", "FromServer", "Heard", "Leave", "Lost"]


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
