"""Fail unless the newest wheel of a directory has the built web app in it, whole."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

SITE = "spaces_ctl/api/site/"


def missing(wheel: Path) -> set[str]:
    """What the app's page or the page itself lacks."""
    with zipfile.ZipFile(wheel) as opened:
        there = {name.removeprefix(SITE) for name in opened.namelist() if name.startswith(SITE)}
        if "index.html" not in there:
            return {"index.html"}
        page = opened.read(SITE + "index.html").decode()
    needed = set(re.findall(r'(?:src|href)="/([^"]+)"', page)) | {"sw.js", "licences.txt"}
    if not any(name.endswith(".wasm") for name in there):
        needed.add("*.wasm")
    return needed - there


def main() -> int:
    """Print what is missing; 1 if there is anything."""
    wheel = max(Path(sys.argv[1]).glob("*.whl"), key=lambda path: path.stat().st_mtime)
    for name in (lacking := missing(wheel)):
        print(f"{wheel.name} has no {SITE}{name}")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
