"""`/problems` and `/problems/{code}`: where the `type` of a problem leads to, for people."""

from __future__ import annotations

from html import escape

from litestar import MediaType, Response, get
from litestar.params import FromPath

from spaces_ctl.policy.codes import CODES
from spaces_ctl.service.errors import ServiceError

__all__ = ["HANDLERS"]

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/reference/style.css">
</head><body><main>{body}</main></body></html>
"""


def _html(title: str, body: str) -> Response[str]:
    return Response(_PAGE.format(title=escape(title), body=body), media_type=MediaType.HTML)


@get("/problems", include_in_schema=False, opt={"open": True}, sync_to_thread=False)
def problem_index() -> Response[str]:
    """All codes."""
    rows = "".join(
        f'<tr><td><a href="/problems/{code}"><code>{code}</code></a></td><td>{info.http}</td>'
        f"<td>{escape(info.title)}</td></tr>"
        for code, info in sorted(CODES.items())
    )
    return _html("Problems", f"<h1>Problems</h1><table><tr><th>code</th><th>HTTP</th><th></th></tr>{rows}</table>")


@get("/problems/{code:str}", include_in_schema=False, opt={"open": True}, sync_to_thread=False)
def problem_page(code: FromPath[str]) -> Response[str]:
    """One code."""
    info = CODES.get(code)
    if info is None:
        raise ServiceError("resource.not_found")
    wire = "" if info.wire is None else f"<p>The engine closes connections with it as <code>{info.wire:#x}</code>.</p>"
    return _html(
        code,
        f"<h1><code>{code}</code></h1><p>{escape(info.title)}</p><p>HTTP status {info.http}, as "
        f'<code>application/problem+json</code>.</p>{wire}<p><a href="/problems">All problems</a></p>',
    )


HANDLERS = [problem_index, problem_page]
