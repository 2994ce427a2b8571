"""Live playlists of HTTP Live Streaming (RFC 8216bis). Without the worker's libraries: the server writes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

from spaces_ctl.media.live_requests import Heard

__all__ = ["live_main_playlist", "live_playlist"]

_RATE = 48_000
_BANDWIDTH = 112_000
"""Bit/s of AAC at 96 kbit/s in fragments, peaks included."""


def live_main_playlist(uri: str) -> str:
    """What players open: one rendition."""
    stream = f'#EXT-X-STREAM-INF:BANDWIDTH={_BANDWIDTH},CODECS="mp4a.40.2"'
    return "\n".join(["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS", stream, uri, ""])


def live_playlist(heard: Heard, *, initialisation: str, uri: Callable[[int], str], began_ms: int) -> str:
    """The newest segments. `uri` gives that of a segment by its number; the first began at `began_ms` (Unix)."""
    lengths = [segment.samples / _RATE for segment in heard.segments]
    began = datetime.fromtimestamp(began_ms / 1000, UTC).isoformat(timespec="milliseconds")
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        # To the nearest whole second, which it may not be below (section 4.4.3.1).
        f"#EXT-X-TARGETDURATION:{max(1, *(math.floor(length + 0.5) for length in lengths))}",
        f"#EXT-X-MEDIA-SEQUENCE:{heard.segments[0].number}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{initialisation}"',
        f"#EXT-X-PROGRAM-DATE-TIME:{began}",
    ]
    for segment, length in zip(heard.segments, lengths, strict=True):
        lines += [f"#EXTINF:{length:.6f},", uri(segment.number)]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if heard.over else []), ""])
