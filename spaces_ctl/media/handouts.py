"""What the media worker is asked to hand out of a recording: a creator's export, a moderator's review."""

from __future__ import annotations

import msgspec

from spaces_ctl.media.requests import OfSpace

__all__ = ["ExportBundle", "Exported", "ReviewTrack", "Sound", "Voice", "Voices", "WhoSpeaks"]


class ExportBundle(OfSpace, frozen=True, kw_only=True):
    """Make one archive of everything from `from_group` to `to_group` (exclusive), as the object `name`."""

    name: str
    from_group: int
    to_group: int
    gain_db: float = 0.0
    """For the mix, told in its header."""
    people: dict[int, str] = msgspec.field(default_factory=dict)
    """What files of an account are named after; whoever is not here, after the account's number."""
    metadata: bytes = b"{}"
    """JSON, goes in as it is."""
    captions: bytes = b""
    """WebVTT; empty: no file of captions."""
    made_ms: int = 0
    """Time of day that the archive's files bear."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was made."""

    bytes: int
    files: tuple[str, ...]


class WhoSpeaks(OfSpace, frozen=True, kw_only=True):
    """Who is to be heard in a stretch."""

    from_group: int
    to_group: int


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in a stretch."""

    account: int
    """0: the log does not tell who held the seat."""
    spoke_ms: int


class Voices(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `WhoSpeaks`."""

    mix: bool
    """The live mix was recorded there."""
    people: tuple[Voice, ...]


class ReviewTrack(OfSpace, frozen=True, kw_only=True):
    """A stretch as Ogg Opus: the mix, or one person alone. It is made in memory and kept nowhere."""

    from_group: int
    to_group: int
    account: int | None = None
    """None: the mix."""


class Sound(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `ReviewTrack`."""

    ogg: bytes
