"""Parameters of signed links (`service.signed_links`), as handlers read them."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

from spaces_ctl.api import wire

__all__ = ["Expires", "For", "Signature"]

For = Annotated[
    str, QueryParameter(name="for", pattern=wire.ACCOUNT_PATTERN, description="The account that the link is for.")
]
Expires = Annotated[int, QueryParameter(ge=0, le=2**53, description="Until when (milliseconds since 1970).")]
Signature = Annotated[str, QueryParameter(pattern="^[A-Za-z0-9_-]{27}$", description="Our signature.")]
