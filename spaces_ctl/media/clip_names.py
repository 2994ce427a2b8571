"""The files of a clip: names in the object store, what each is. Light: the server reads it too."""

from __future__ import annotations

from spaces_ctl.media.layout import clip_prefix

__all__ = ["FAILED", "FILES", "LATER", "PLAYABLE", "name_of"]

FILES = {
    "audio.opus": "audio/ogg; codecs=opus",
    "audio.m4a": 'audio/mp4; codecs="mp4a.40.2"',
    "waveform.png": "image/png",
    "waveform.json": "application/json",
    "video.webm": 'video/webm; codecs="vp9,opus"',
    "video.mp4": 'video/mp4; codecs="vp09.00.31.08,mp4a.40.2"',
}
"""Name and media type."""

PLAYABLE = ("audio.m4a", "waveform.png", "waveform.json", "audio.opus")
"""A clip is ready when all of these are there; in the order in which they are written, the last one says so."""

LATER = ("video.mp4", "video.webm")
"""Made when nobody waits for a clip to be cut."""


FAILED = "failed"
"""There instead of all others if what the clip is to be made of is gone for good."""


def name_of(space: int, clip: int, file: str) -> str:
    """The object of one of `FILES`, or of `FAILED`."""
    return f"{clip_prefix(space, clip)}/{file}"
