"""Playlists of HTTP Live Streaming (RFC 8216bis): video on demand, as they are written when the Space is over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from spaces_ctl.media.fragments import Codec
from spaces_ctl.media.opus import RATE

__all__ = ["Rendition", "Segment", "main_playlist", "media_playlist"]


class Segment(NamedTuple):
    """One entry of a media playlist."""

    uri: str
    samples: int
    """Its exact length."""
    size: int
    """In bytes."""


class Rendition(NamedTuple):
    """What a main playlist leads to."""

    uri: str
    codec: Codec
    segments: Sequence[Segment]


def media_playlist(initialisation: str, segments: Sequence[Segment]) -> str:
    """All segments of one rendition."""
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max((_rounded(segment) for segment in segments), default=1)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{initialisation}"',
    ]
    for segment in segments:
        lines += [f"#EXTINF:{segment.samples / RATE:.6f},", segment.uri]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def main_playlist(rendition: Rendition) -> str:
    """One rendition alone: Chromium 156 goes from one to another whatever their codecs are, and then stalls."""
    rates = [segment.size * 8 * RATE / segment.samples for segment in rendition.segments]
    samples = sum(segment.samples for segment in rendition.segments)
    average = sum(segment.size for segment in rendition.segments) * 8 * RATE / max(1, samples)
    attributes = (
        f"BANDWIDTH={math.ceil(max(rates, default=1))},AVERAGE-BANDWIDTH={math.ceil(average)},"
        f'CODECS="{rendition.codec.mime}"'
    )
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS", f"#EXT-X-STREAM-INF:{attributes}"]
    return "\n".join([*lines, rendition.uri, ""])


def _rounded(segment: Segment) -> int:
    """To the nearest whole second, which is what the target duration may not be below (section 4.4.3.1)."""
    return max(1, math.floor(segment.samples / RATE + 0.5))
