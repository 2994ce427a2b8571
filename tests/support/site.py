"""A web app as small as can be, where `make web` would have put the real one."""

from __future__ import annotations

from pathlib import Path

from spaces_ctl.api.pages import Site

__all__ = ["small_site"]

INDEX = Path(__file__).parents[2] / "web" / "index.html"
SCRIPT = "assets/main-0123abcd.js"


def small_site(directory: Path) -> Site:
    """The real page, with a script that does nothing."""
    for name, content in {
        "index.html": INDEX.read_text().replace("/src/main.tsx", f"/{SCRIPT}"),
        SCRIPT: "/* nothing */" * 100,
        "icon.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
        "sw.js": "",
    }.items():
        file = directory / "site" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return Site(directory / "site")
