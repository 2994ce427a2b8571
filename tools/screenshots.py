"""`make screenshots`: a picture of every main view, on desktop and phone, light and dark, into docs/screenshots.

A development server of its own with a few people and Spaces on it (tests/support/web_scene.py), looked at by Chromium.
Arguments: names of views; none: all.
"""

from __future__ import annotations

import io
import sys
import tempfile
from itertools import product
from pathlib import Path

from PIL import Image

from tests.support.dev_server import dev_server
from tests.support.web_pages import Look, chromium, opened, signed_in
from tests.support.web_scene import a_scene, views

TO = Path(__file__).parents[1] / "docs" / "screenshots"
LOOKS = {
    "desktop-light": Look(1280, 800, "light"),
    "desktop-dark": Look(1280, 800, "dark"),
    "phone-light": Look(390, 844, "light"),
    "phone-dark": Look(390, 844, "dark"),
}
QUALITY = 80


def main() -> int:
    """Takes them; 1 if a view reported an error."""
    wanted = sys.argv[1:]
    TO.mkdir(parents=True, exist_ok=True)
    troubles: list[str] = []
    with (
        tempfile.TemporaryDirectory() as directory,
        dev_server(Path(directory)) as server,
        a_scene(server) as scene,
        chromium() as browser,
    ):
        shown = [view for view in views(scene) if not wanted or view.name in wanted]
        # One sign-in for each person: the server counts them.
        for who in dict.fromkeys(view.who for view in shown):
            with signed_in(browser, server, who, device_scale_factor=1) as context:
                context.on("weberror", lambda error: troubles.append(str(error.error)))
                for view, (name, look) in product((view for view in shown if view.who == who), LOOKS.items()):
                    page = opened(context, server, view, look)
                    picture = Image.open(io.BytesIO(page.screenshot()))
                    picture.save(TO / f"{view.name}-{name}.webp", quality=QUALITY, method=6)
                    page.close()
    for trouble in troubles:
        print(trouble)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
