"""What a replay consists of in the store, by name, below `spaces/<id>/replay/`. Known to its maker and to the API.

- `replay.json`: what it is (`Manifest`); written last, with it there is a replay
- `hls/main.m3u8`, `hls/main-opus.m3u8`: main playlists, AAC for everybody, Opus for who knows it
- `hls/aac.m3u8`, `hls/opus.m3u8`: media playlists; `hls/aac-init.mp4`, `hls/opus-init.mp4`: what segments begin with
- `hls/opus-000000.m4s`: segments, made while the Space is live
- `hls/aac-000000-128.m4s`: the same in AAC; 128 and so many steps of gain (`aac.STEP_DB`)
- `hls/opus-from-1234.m4s`: the first segment of a trimmed replay, which begins at this group
- `audio.opus`, `audio.m4a`: all in one file, to be played from anywhere or kept
- `peaks.json`, `timeline.json`: for the page, waveform and who speaks when
- `work/`: its maker's own, never served
"""

from __future__ import annotations

import msgspec

__all__ = [
    "AAC_PLAYLIST",
    "AUDIO_M4A",
    "AUDIO_OPUS",
    "MAIN_OPUS_PLAYLIST",
    "MAIN_PLAYLIST",
    "MANIFEST",
    "OPUS_PLAYLIST",
    "PEAKS",
    "TIMELINE",
    "UNITY",
    "Manifest",
    "Person",
    "Timeline",
    "Unrecorded",
]

MANIFEST = "replay.json"
MAIN_PLAYLIST = "hls/main.m3u8"
MAIN_OPUS_PLAYLIST = "hls/main-opus.m3u8"
OPUS_PLAYLIST = "hls/opus.m3u8"
AAC_PLAYLIST = "hls/aac.m3u8"
AUDIO_OPUS = "audio.opus"
AUDIO_M4A = "audio.m4a"
PEAKS = "peaks.json"
TIMELINE = "timeline.json"

UNITY = 128
"""In names of AAC segments: no gain."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the replay is."""

    started_at_ms: int
    """Wall clock of the Space's group 0."""
    first_group: int
    """Where the recording begins."""
    end_group: int
    start_group: int
    """Where the replay begins; later than `first_group` if it was trimmed."""
    duration_ms: int
    """From `start_group` to `end_group`."""
    loudness_lufs: float | None
    """Integrated, of what is left after trimming, before the gain; None: silence."""
    gain_db: float
    """What is added when it is played (Opus), or what AAC's steps come nearest to."""
    gain_steps: int
    segments: int
    opus_bytes: int
    """Of `audio.opus`."""
    m4a_bytes: int = 0
    """Of `audio.m4a`; 0: not made yet."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """When an account speaks: from and to, in milliseconds of the replay."""

    account: str
    spans: list[tuple[int, int]]


class Unrecorded(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was recorded here; the replay is silent."""

    from_ms: int
    to_ms: int
    cause: str


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """`timeline.json` as it lies in the store."""

    duration_ms: int
    people: list[Person]
    """In order of their first word."""
    gaps: list[Unrecorded]
