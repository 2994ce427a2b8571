"""The web app's files, and the page itself at every address that it knows (`web/src/routes.ts`).

Files under `assets/` bear a hash of what is in them and may be kept for ever; everything else is asked for again, by
its entity tag. A shared link gets the head and the text that crawlers and readers without JavaScript see put into it.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Awaitable
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from spaces_ctl.api.errors import problem_response
from spaces_ctl.service.answering import SILENT
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.shared import Shared

__all__ = ["ADDRESSES", "SITE", "Site", "no_such_page", "page_handlers", "shared_page"]

SITE = Path(__file__).parent / "site"
"""Where `make web` puts what it builds."""

ADDRESSES = (
    "/",
    "/:handle",
    "/appeal",
    "/communities",
    "/communities/:community",
    "/create",
    "/forgot",
    "/moderation",
    "/moderation/:part",
    "/moderation/cases/:id",
    "/notifications",
    "/orders",
    "/orders/:order",
    "/posts/:post",
    "/register",
    "/reset",
    "/s/:space",
    "/s/:space/analytics",
    "/s/:space/clips",
    "/s/:space/clips/:clip",
    "/s/:space/edit",
    "/s/:space/replay",
    "/s/:space/tickets",
    "/search",
    "/settings",
    "/settings/:part",
    "/sign-in",
    "/topics/:topic",
    "/verify",
)
"""Every address of the app, as its router writes them. A test compares them with `web/src/routes.ts`."""

_FOR_PROGRAMS = ("/api/", "/2/", "/assets/")
"""Whoever asks for these is told in JSON what is wrong."""

_NOT_BUILT = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <!--head-->
    <title>Spaces</title>
    <link rel="stylesheet" href="/reference/style.css">
  </head>
  <body>
    <main>
      <h1>The web app is not built</h1>
      <p>This server runs from a checkout. Run <code>make web</code> there, then load this page again.</p>
    </main>
    <noscript></noscript>
  </body>
</html>
"""


class _File(msgspec.Struct, frozen=True):
    content: bytes
    gzipped: bytes | None
    media_type: str
    etag: str


class Site:
    """The directory of what was built. It may be built anew, or for the first time, while the server runs."""

    def __init__(self, directory: Path = SITE) -> None:
        self._directory = directory.resolve()

    def page(self, shared: Shared | None = None, *, status: int = 200) -> Response[str]:
        """The app itself, with `shared` filled in. Without a built app: a page that says so, with status 503."""
        try:
            html = (self._directory / "index.html").read_text()
        except OSError:
            html, status = _NOT_BUILT, 503
        if shared is not None:
            html = html.replace("<!--head-->", shared.head, 1)
            html = re.sub("<title>.*?</title>", lambda _: f"<title>{escape(shared.title)}</title>", html, count=1)
            html = re.sub("<noscript>.*?</noscript>", lambda _: f"<noscript>{shared.text}</noscript>", html, flags=re.S)
        return Response(html, media_type=MediaType.HTML, status_code=status, headers={"cache-control": "no-cache"})

    def file(self, path: str, request: Request[Any, Any, Any]) -> Response[bytes] | None:
        """The file at `path`, or None if there is none."""
        found = (self._directory / path.lstrip("/")).resolve()
        if not found.is_relative_to(self._directory) or found.suffix == ".html" or not found.is_file():
            return None
        file = _read(found, found.stat().st_mtime_ns)
        lasting = found.parent == self._directory / "assets"
        headers = {
            "cache-control": "public, max-age=31536000, immutable" if lasting else "no-cache",
            "etag": file.etag,
            "vary": "accept-encoding",
        }
        if request.headers.get("if-none-match") == file.etag:
            return Response(b"", status_code=304, media_type=file.media_type, headers=headers)
        content = file.content
        if file.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["content-encoding"] = file.gzipped, "gzip"
        return Response(content, media_type=file.media_type, headers=headers)


@lru_cache(maxsize=512)
def _read(path: Path, mtime_ns: int) -> _File:
    content = path.read_bytes()
    media_type = _MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    small = gzip.compress(content, mtime=0)
    return _File(
        content=content,
        gzipped=small if len(small) < len(content) * 0.9 else None,
        media_type=media_type,
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
    )


_MEDIA_TYPES = {
    # As they are, whatever the machine's own table says: browsers run no module and no WebAssembly of another type.
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain",
}


def page_handlers(site: Site) -> list[HTTPRouteHandler]:
    """Handlers of every address of the app but shared links, which have handlers of their own, and of its files."""
    options: dict[str, Any] = {
        "http_method": ["GET", "HEAD"],
        "include_in_schema": False,
        "opt": {"open": True},
    }
    known = [re.sub(r":(\w+)", r"{\1:str}", address) for address in ADDRESSES if address not in _ELSEWHERE]

    @route(known, **options)
    async def app() -> Response[str]:
        """The app; it asks the API for what the address names."""
        return site.page()

    @route("/{path:path}", **options)
    async def file_or_page(path: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes] | Response[str]:
        """A file, a person's page, or nothing."""
        found = site.file(path, request)
        if found is not None:
            return found
        name = path.strip("/")
        if name.startswith("@") and "/" not in name:
            return site.page()
        return no_such_page(site, request)

    return [app, file_or_page]


_ELSEWHERE = ("/:handle", "/s/:space", "/s/:space/clips/:clip")
"""Handles begin with "@": `file_or_page` looks. Links that are shared: see `around.cards` and `media.clips`."""


async def shared_page(site: Site, telling: Awaitable[Shared]) -> Response[str]:
    """The app at the address of something that people share, with its card.

    Where there is none, the app says why in the words of the API; crawlers go by the status.
    """
    try:
        return site.page(await telling)
    except ServiceError as refused:
        return site.page(status=refused.info.http)
    except SILENT:
        return site.page(status=503)


def no_such_page(site: Site, request: Request[Any, Any, Any]) -> Response[Any]:
    """404: for people the app, which says so; for programs a problem."""
    wants_page = request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")
    if wants_page and not request.url.path.startswith(_FOR_PROGRAMS):
        return site.page(status=404)
    return problem_response(ServiceError("resource.not_found"))
