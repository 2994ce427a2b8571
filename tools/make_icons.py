"""Makes the pictures of the app that home screens want (PNG) from `web/public/icon.svg`.

The picture is a rounded square and upright lines with round ends: that, and nothing else of SVG, is understood.
"""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image, ImageDraw

PUBLIC = Path(__file__).parents[1] / "web" / "public"
FINER = 4
"""Drawn so many times larger, then made small: smooth edges."""


def draw(svg: str, size: int, *, maskable: bool) -> Image.Image:
    """The picture, `size` pixels wide. `maskable`: the background to the edge, the rest within the inner 80 %
    (https://www.w3.org/TR/appmanifest/#icon-masks).
    """
    background = _one(r'<rect [^>]*fill="([^"]+)"', svg)
    stroke, width = _one(r'<g stroke="([^"]+)"', svg), float(_one(r'stroke-width="([^"]+)"', svg))
    lines = re.findall(r"M([\d.]+) ([\d.]+)v([\d.]+)", _one(r'<path d="([^"]+)"', svg))
    box = float(_one(r'viewBox="0 0 ([\d.]+)', svg))
    large = size * FINER
    image = Image.new("RGBA", (large, large))
    brush = ImageDraw.Draw(image)
    radius = 0 if maskable else float(_one(r'rx="([\d.]+)"', svg)) * large / box
    brush.rounded_rectangle((0, 0, large - 1, large - 1), radius, fill=background)
    shrunk = 0.8 if maskable else 1.0
    scale, offset = large / box * shrunk, large * (1 - shrunk) / 2
    for x, y, length in ((float(a), float(b), float(c)) for a, b, c in lines):
        left, right = (offset + (x + side * width / 2) * scale for side in (-1, 1))
        top, bottom = (offset + at * scale for at in (y - width / 2, y + length + width / 2))
        brush.rounded_rectangle((left, top, right, bottom), (right - left) / 2, fill=stroke)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _one(pattern: str, svg: str) -> str:
    found = re.search(pattern, svg)
    if found is None:
        raise ValueError(f"icon.svg has no {pattern}")
    return found[1]


def main() -> None:
    """Writes `web/public/icons`."""
    svg = (PUBLIC / "icon.svg").read_text()
    directory = PUBLIC / "icons"
    directory.mkdir(exist_ok=True)
    for name, size, maskable in (("icon-192", 192, False), ("icon-512", 512, False), ("maskable-512", 512, True)):
        draw(svg, size, maskable=maskable).save(directory / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
