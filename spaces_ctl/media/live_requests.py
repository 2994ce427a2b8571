"""What the media worker is asked for those who listen live by HTTP Live Streaming: plain values, as in `requests`."""

from __future__ import annotations

import msgspec

__all__ = ["LIVE_MS", "Hear", "Heard", "LiveSegment", "Piece", "PieceOf"]

LIVE_MS = 2000
"""Length of a live segment, exact to a frame of AAC. Players begin three segments behind the newest."""


class Hear(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of a live Space's mix. The first request begins to make it, the last ends it a minute later."""

    space: int
    url: str
    """Where the engine is dialled."""
    token: str
    """A broadcaster's (`svc` and `anon`)."""
    certificate_sha256: bytes
    started_at_ms: int
    """When the Space began."""


class LiveSegment(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the playlist."""

    number: int
    """The segment begins at this many times `LIVE_MS` of the Space."""
    samples: int
    """Its exact length, at 48 kHz."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """The newest segments, in order; nothing before them is kept for long."""

    segments: tuple[LiveSegment, ...]
    over: bool
    """Nothing follows: the Space is over."""


class PieceOf(msgspec.Struct, frozen=True, kw_only=True):
    """One segment's bytes."""

    space: int
    number: int | None
    """None: the initialisation segment."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `PieceOf`: fragmented MP4."""

    data: bytes
