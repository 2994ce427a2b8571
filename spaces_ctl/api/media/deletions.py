"""The account of what was deleted."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.params import QueryParameter

from spaces_ctl.api import wire
from spaces_ctl.api.around.views import before, next_before, time_of
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.spaces.params import Asker, Injected, read_space
from spaces_ctl.service.deletions import Deletion, DeletionState

__all__ = ["SpaceQuery", "router"]

SpaceQuery = Annotated[str | None, QueryParameter(pattern=wire.SPACE_PATTERN, description="Of this Space only.")]
State = Annotated[DeletionState | None, QueryParameter(name="state", description="Only those that are so far.")]


class DeletionView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was deleted, or is to be."""

    id: str
    space: str
    what: str
    """replay, clip, export, source (the review copy), spool, captions, key."""
    number: int | None
    """Of the clip or export; null of an export: all."""
    why: str
    """creator, author, ttl, audit_30, hold_120, not_kept, expired, replaced."""
    state: DeletionState
    asked: str
    done: str | None
    tries: int
    """In vain."""
    objects: int
    bytes: int
    error: str


class DeletionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first."""

    data: list[DeletionView]
    next: str | None


def _view(one: Deletion) -> DeletionView:
    return DeletionView(
        id=str(one.id),
        space=wire.space_text(one.space),
        what=one.what.value,
        number=one.number or None,
        why=one.why.value,
        state=one.state,
        asked=wire.timestamp(one.asked_ms),
        done=time_of(one.done_ms),
        tries=one.tries,
        objects=one.objects,
        bytes=one.bytes,
        error=one.error,
    )


@get(
    "/moderation/deletions",
    operation_id="listDeletions",
    summary="What was deleted of recordings",
    responses=problems("role.forbidden", "request.cursor", "space.not_found"),
)
async def list_deletions(
    principal: Asker,
    deletions: Injected,
    cursors: Injected,
    space: SpaceQuery = None,
    which: State = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> DeletionPage:
    """What, why, when, how much, and how often it was tried; latest first. Nothing is ever taken out."""
    about = None if space is None else read_space(space)
    start = before(cursors, "deletions", cursor)
    page = await deletions.page(principal, space=about, state=which, before=start, limit=limit)
    return DeletionPage(
        data=[_view(one) for one in page], next=next_before(cursors, "deletions", [one.id for one in page], limit)
    )


router = Router(path="", route_handlers=[list_deletions], tags=["Moderation"])
