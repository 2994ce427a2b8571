"""Captions as WebVTT (W3C, https://www.w3.org/TR/webvtt1/)."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import NamedTuple

__all__ = ["GAP", "Cue", "webvtt"]

GAP = "[…]"
"""Stands for what was said and not captioned."""


class Cue(NamedTuple):
    """Somebody's line. Times in milliseconds of the medium that the file goes with."""

    number: int
    start_ms: int
    end_ms: int
    name: str
    text: str
    """Empty: a gap."""


def webvtt(cues: Iterable[Cue], language: str) -> str:
    """The file; `language` is BCP 47. Cues that end before time 0 are left out, one that lasts then is cut there."""
    blocks = [f"WEBVTT\nKind: captions\nLanguage: {_line(language)}\n"]
    for cue in sorted(cues, key=lambda cue: (cue.start_ms, cue.number)):
        if cue.end_ms <= max(0, cue.start_ms):
            continue
        start, end = _time(max(0, cue.start_ms)), _time(cue.end_ms)
        # Section 4.1.3: no line of a cue's payload is empty or holds "-->", and escaping sees to the latter.
        text = escape(_line(cue.text), quote=False) or GAP
        name = escape(_line(cue.name), quote=False)
        blocks.append(f"{cue.number}\n{start} --> {end}\n<v {name}>{text}</v>\n")
    return "\n".join(blocks)


def _time(ms: int) -> str:
    seconds, milli = divmod(ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}.{milli:03}"


def _line(text: str) -> str:
    """On one line, without what no text file should hold."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
