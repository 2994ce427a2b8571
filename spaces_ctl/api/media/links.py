"""Parameters of signed links (`service.signed_links`), as handlers read them."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

__all__ = ["Expires", "For", "Signature"]

For = Annotated[
    int,
    QueryParameter(name="for", ge=0, le=2**63 - 1, description="The account that the link is for; 0: an operator's."),
]
Expires = Annotated[int, QueryParameter(ge=0, le=2**53, description="Until when (milliseconds since 1970).")]
Signature = Annotated[str, QueryParameter(pattern="^[A-Za-z0-9_-]{27}$", description="Our signature.")]
