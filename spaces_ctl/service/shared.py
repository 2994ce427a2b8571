"""What the page of a shared link says to crawlers and to people whose browser runs no scripts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import msgspec

__all__ = ["Shared", "metas"]


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """Put into the web app's page by the API. `head` and `text` are HTML, whatever people wrote in it is escaped."""

    title: str
    """Text, not escaped."""
    head: str
    """OpenGraph, oEmbed: what belongs into `<head>` beside the title."""
    text: str
    """Of `<noscript>`."""


def metas(properties: Mapping[str, str], names: Mapping[str, str]) -> str:
    """`<meta>` elements: OpenGraph is told by `property`, everything else by `name`."""
    return "".join(
        f'<meta {kind}="{escape(name)}" content="{escape(value)}">\n'
        for kind, values in (("property", properties), ("name", names))
        for name, value in values.items()
    )
