"""What one was told and how one wants to be told."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Router, delete, get, post, put
from litestar.params import JSONBody

from spaces_ctl.api import wire
from spaces_ctl.api.around.views import IdParam, before, next_before, read_id, time_of
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.spaces.params import Asker, Injected
from spaces_ctl.service.notices import KINDS
from spaces_ctl.service.notifications import Notification, Settings

__all__ = ["router"]


class NotificationView(msgspec.Struct, frozen=True, kw_only=True):
    """Something one was told."""

    id: str
    kind: str
    space: str | None
    by: str | None
    data: dict[str, Any]
    at: str
    read: str | None


class NotificationPage(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first; `unread` counts up to 100."""

    data: list[NotificationView]
    unread: int
    next: str | None


class ReadBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which to mark: these, or all up to one."""

    ids: list[wire.AccountIdText] = []
    up_to: wire.AccountIdText | None = None


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """How many were unread."""

    marked: int


class SettingsView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one wants to be told; `off`: kinds that are not told at all."""

    push: bool = True
    email: bool = False
    off: list[str] = []


class Kinds(msgspec.Struct, frozen=True, kw_only=True):
    """Every kind of notification and its line."""

    data: dict[str, str]


class PushKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """RFC 8291, base64url."""

    p256dh: str
    auth: str


class PushBody(msgspec.Struct, frozen=True, kw_only=True):
    """A browser's `PushSubscription.toJSON()`."""

    endpoint: str
    keys: PushKeys


class PushView(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that is told."""

    id: str
    endpoint: str
    created: str


class PushList(msgspec.Struct, frozen=True, kw_only=True):
    """Browsers that are told. `public_key`: for `subscribe`; None where there is no web push."""

    data: list[PushView]
    public_key: str | None


def _view(told: Notification) -> NotificationView:
    return NotificationView(
        id=str(told.id),
        kind=told.kind,
        space=None if told.space is None else wire.space_text(told.space),
        by=None if told.by is None else str(told.by),
        data=told.data,
        at=wire.timestamp(told.created_ms),
        read=time_of(told.read_ms),
    )


@get(
    "/me/notifications",
    operation_id="listNotifications",
    summary="What one was told",
    responses=problems("auth.token_missing", "request.cursor"),
)
async def listed(
    principal: Asker, notifications: Injected, cursors: Injected, limit: Limit = 50, cursor: CursorText = None
) -> NotificationPage:
    """Latest first."""
    page = await notifications.page(principal, before(cursors, "notifications", cursor), limit)
    return NotificationPage(
        data=[_view(told) for told in page],
        unread=await notifications.unread(principal),
        next=next_before(cursors, "notifications", [told.id for told in page], limit),
    )


@post(
    "/me/notifications/read",
    operation_id="readNotifications",
    summary="Marks as read",
    status_code=200,
    responses=problems("auth.token_missing"),
)
async def mark(data: JSONBody[ReadBody], principal: Asker, notifications: Injected) -> Marked:
    """These, or all up to one."""
    up_to = None if data.up_to is None else read_id(data.up_to)
    return Marked(marked=await notifications.mark_read(principal, [read_id(one) for one in data.ids], up_to))


@get(
    "/me/notifications/settings",
    operation_id="getNotificationSettings",
    summary="How one is told",
    responses=problems("auth.token_missing"),
)
async def settings_of(principal: Asker, notifications: Injected) -> SettingsView:
    """Push, e-mail, kinds that are off."""
    found = await notifications.settings(principal)
    return SettingsView(push=found.push, email=found.email, off=list(found.off))


@put(
    "/me/notifications/settings",
    operation_id="putNotificationSettings",
    summary="Changes how one is told",
    responses=problems("auth.token_missing", "setting.invalid"),
)
async def change(data: JSONBody[SettingsView], principal: Asker, notifications: Injected) -> SettingsView:
    """Whole: what is left out is as it is at first."""
    new = Settings(push=data.push, email=data.email, off=tuple(data.off))
    found = await notifications.change_settings(principal, new)
    return SettingsView(push=found.push, email=found.email, off=list(found.off))


@get("/notification-kinds", operation_id="listNotificationKinds", summary="Kinds of notifications")
async def kinds() -> Kinds:
    """With the line that push and e-mail show."""
    return Kinds(data=dict(KINDS))


@get(
    "/me/push",
    operation_id="listPush",
    summary="Browsers that are told",
    responses=problems("auth.token_missing"),
)
async def browsers(principal: Asker, notifications: Injected, push_key: Injected) -> PushList:
    """And the key that a browser needs to subscribe."""
    found = await notifications.push_subscriptions(principal)
    return PushList(
        data=[PushView(id=str(one.id), endpoint=one.endpoint, created=wire.timestamp(one.created_ms)) for one in found],
        public_key=push_key,
    )


@post(
    "/me/push",
    operation_id="subscribePush",
    summary="Adds a browser",
    responses=problems("auth.token_missing"),
)
async def subscribe(data: JSONBody[PushBody], principal: Asker, notifications: Injected) -> PushView:
    """One that subscribed for another account leaves that."""
    one = await notifications.subscribe_push(principal, data.endpoint, data.keys.p256dh, data.keys.auth)
    return PushView(id=str(one.id), endpoint=one.endpoint, created=wire.timestamp(one.created_ms))


@delete(
    "/me/push/{id:str}",
    operation_id="unsubscribePush",
    summary="Forgets a browser",
    responses=problems("auth.token_missing", "resource.not_found"),
)
async def unsubscribe(id: IdParam, principal: Asker, notifications: Injected) -> None:
    """It is told nothing more."""
    await notifications.unsubscribe_push(principal, read_id(id))


router = Router(
    path="",
    route_handlers=[listed, mark, settings_of, change, kinds, browsers, subscribe, unsubscribe],
    tags=["Notifications"],
)
