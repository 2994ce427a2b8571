"""Path and query parameters that the handlers share."""

from __future__ import annotations

from typing import Annotated, Any

from litestar.di import NamedDependency
from litestar.params import PathParameter

from spaces_ctl.api import wire
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal

__all__ = ["AccountParam", "Asker", "Injected", "NameParam", "SpaceParam", "read_account", "read_space"]

Asker = NamedDependency[Principal]
"""Who asks."""
Injected = NamedDependency[Any]
"""A service, by the parameter's name."""
SpaceParam = Annotated[str, PathParameter(pattern=wire.SPACE_PATTERN, description="The Space's id, base62.")]
AccountParam = Annotated[str, PathParameter(pattern=wire.ACCOUNT_PATTERN, description="An account's id, decimal.")]
NameParam = Annotated[
    str, PathParameter(pattern="^[0-9A-Za-z._-]{1,64}$", description="The id or name that was told before.")
]
"""Of a session, an app, a grant, a key, a login provider."""


def read_space(text: str) -> SpaceId:
    """The id in a path. Raises ServiceError (`space.not_found`)."""
    try:
        return wire.space_id(text)
    except ValueError as error:
        raise ServiceError("space.not_found") from error


def read_account(text: str) -> AccountId:
    """The id in a path or query. Raises ServiceError (`account.not_found`)."""
    try:
        return wire.account_id(text)
    except ValueError as error:
        raise ServiceError("account.not_found") from error
