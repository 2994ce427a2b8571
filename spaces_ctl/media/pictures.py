"""The pictures of shared links, 1200 × 630 (what OpenGraph readers show whole): one look for Spaces and clips."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

__all__ = ["HEIGHT", "QUIET", "URGENT", "WIDTH", "card", "png", "shortened"]

WIDTH, HEIGHT = 1200, 630
URGENT, QUIET = (220, 38, 38), (55, 48, 107)
"""Colours of the badge."""

_MARGIN = 70
_BARS = (_MARGIN, 372, WIDTH - _MARGIN, 522)
_PLAYED, _UNPLAYED = (255, 255, 255), (146, 118, 214)
_MOST_BARS = 118


def card(
    heading: str,
    badge: str,
    line: str,
    *,
    badge_colour: tuple[int, int, int] = QUIET,
    bars: Sequence[int] = (),
    played: bool = True,
    font: str | None = None,
) -> Image.Image:
    """Badge, heading, a waveform if there are `bars` (0 to 255), and a line at the bottom.

    `played`: the colour of the bars. `font`: a TrueType file; the built-in one knows Latin letters only.
    """
    picture = _background().copy()
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((_MARGIN, 70, 320, 140), 16, fill=badge_colour)
    draw.text((195, 105), badge, font=_face(34, font), fill="white", anchor="mm")
    y = 190
    for text in _wrapped(heading, 28, 2 if bars else 4):
        draw.text((_MARGIN, y), text, font=_face(72, font), fill="white")
        y += 86
    if bars:
        _waveform(draw, bars, _PLAYED if played else _UNPLAYED)
    draw.text((_MARGIN, 545), shortened(line, 60), font=_face(36, font), fill=(221, 214, 254))
    return picture


def played_until(share: float) -> int:
    """The column up to which a waveform is in the colour of what was played; `share` is 0 to 1."""
    left, _, right, _ = _BARS
    return round(left + (right - left) * share)


def png(picture: Image.Image) -> bytes:
    """As a file."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def shortened(text: str, most: int) -> str:
    """At most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


@cache
def _background() -> Image.Image:
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(picture)
    for row in range(HEIGHT):
        shade = row / HEIGHT
        draw.line(((0, row), (WIDTH, row)), fill=(round(76 + 60 * shade), 29, round(149 + 60 * shade)))
    return picture


@cache
def _face(size: int, font: str | None) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.truetype(font, size) if font else ImageFont.load_default(size)


def _waveform(draw: ImageDraw.ImageDraw, bars: Sequence[int], colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = _BARS
    count = min(_MOST_BARS, len(bars))
    middle, pitch = (top + bottom) / 2, (right - left) / count
    # Speech rarely comes near full scale: the loudest bar has the whole height.
    scale = max(*bars, 16)
    for number in range(count):
        these = bars[number * len(bars) // count : (number + 1) * len(bars) // count]
        half = max(3.0, (bottom - top) / 2 * max(these) / scale)
        x = left + number * pitch
        draw.rounded_rectangle((x, middle - half, x + pitch * 0.62, middle + half), 3, fill=colour)


def _wrapped(text: str, width: int, most_lines: int) -> list[str]:
    lines = [""]
    for word in text.split():
        word = shortened(word, width)
        if len(lines[-1]) + len(word) + 1 > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    if len(lines) > most_lines:
        lines = [*lines[: most_lines - 1], shortened(lines[most_lines - 1] + " …", width)]
    return lines
