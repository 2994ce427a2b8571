"""One's own account: who am I, what goes on for me now, and the token that a page needs to change anything."""

from __future__ import annotations

import msgspec
from litestar import get

from spaces_ctl.api import wire
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.spaces.params import Asker, Injected
from spaces_ctl.model import AccountId, Role, Status
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError

__all__ = ["HANDLERS"]


class OwnAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The account as itself sees it."""

    id: str
    handle: str
    name: str
    description: str
    picture: str
    protected: bool
    listening_visible: bool
    moderator: bool
    operator: bool
    email: str | None
    email_verified: bool
    followers: int
    created: str


class OwnPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A live Space in which the account is on stage, asks to speak or is invited."""

    space: str
    title: str
    role: Role | None
    """On stage; None: not there."""
    requested: bool
    invited: bool


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks."""

    account: OwnAccount
    scopes: list[str]
    live: list[OwnPlace]


class CsrfToken(msgspec.Struct, frozen=True, kw_only=True):
    """For the header `X-CSRF-Token` of every request that changes something."""

    token: str


@get(
    "/me",
    operation_id="getMe",
    summary="Who am I",
    tags=["Account"],
    responses=problems("auth.token_missing", "account.not_found"),
)
async def get_me(principal: Asker, accounts: Injected, spaces: Injected) -> Me:
    """The own account, and where it is wanted now."""
    if principal.account is None:
        raise ServiceError("auth.token_missing")
    own = await accounts.get(principal.account)
    return Me(
        account=OwnAccount(
            id=wire.account_text(own.id),
            handle=own.handle,
            name=own.name,
            description=own.description,
            picture=own.picture,
            protected=own.protected,
            listening_visible=own.listening_visible,
            moderator=own.moderator,
            operator=own.operator,
            email=own.email,
            email_verified=own.email_verified,
            followers=own.followers,
            created=wire.timestamp(own.created_ms),
        ),
        scopes=sorted(principal.scopes),
        live=[place for state in spaces.live.values() if (place := _place(state, principal.account)) is not None],
    )


def _place(state: Space, account: AccountId) -> OwnPlace | None:
    seat = state.seat_of(account)
    requested, invited = account in state.requests, account in state.invites
    if state.status is not Status.LIVE or (seat is None and not requested and not invited):
        return None
    return OwnPlace(
        space=wire.space_text(state.id),
        title=state.title,
        role=None if seat is None else Role(seat.role.value),
        requested=requested,
        invited=invited,
    )


@get(
    "/me/csrf",
    operation_id="getCsrfToken",
    summary="The page's token",
    tags=["Account"],
    opt={"secret": True},
    responses=problems("auth.token_missing"),
)
async def get_csrf_token(principal: Asker, csrf: Injected) -> CsrfToken:
    """For pages that are logged in by cookie. Bound to the session; no other origin can read it."""
    if principal.session is None:
        raise ServiceError("auth.token_missing")
    return CsrfToken(token=csrf.make(principal.session))


HANDLERS = [get_me, get_csrf_token]
