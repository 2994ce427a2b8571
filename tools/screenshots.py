"""`make screenshots`: a picture of every main view, on desktop and phone, light and dark, into docs/screenshots.

A development server of its own with a few people and Spaces on it (tests/support/web_scene.py), looked at by Chromium.
Arguments: names of views; none: all.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.support.dev_server import dev_server
from tests.support.web_pages import chromium, opened, signed_in
from tests.support.web_scene import a_scene, views

TO = Path(__file__).parents[1] / "docs" / "screenshots"
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
SCHEMES = ("light", "dark")
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
                for view in (view for view in shown if view.who == who):
                    page = opened(context, server, view)
                    for size, (width, height) in SIZES.items():
                        page.set_viewport_size({"width": width, "height": height})
                        for scheme in SCHEMES:
                            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
                            # Inputs are painted in the new colours a frame later.
                            page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
                            picture = Image.open(io.BytesIO(page.screenshot()))
                            picture.save(TO / f"{view.name}-{size}-{scheme}.webp", quality=QUALITY, method=6)
                    page.close()
    for trouble in troubles:
        print(trouble)
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main())
