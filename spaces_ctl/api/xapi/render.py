"""X's objects: Space, User, Topic, Post, and what is included with them. What was not asked for is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from spaces_ctl.api.wire import space_text, timestamp
from spaces_ctl.api.xapi.parameters import Fields
from spaces_ctl.api.xapi.problems import not_found
from spaces_ctl.model import AccountId
from spaces_ctl.service.ports import Profile
from spaces_ctl.service.posts import PostView
from spaces_ctl.service.xapi import SpaceView, Topic

__all__ = ["accounts_named", "post", "space", "spaces_body", "topic", "topics_named", "user"]

_ACCOUNTS = ("creator_id", "host_ids", "invited_user_ids", "speaker_ids")


def space(view: SpaceView, fields: Fields) -> dict[str, Any]:
    """A Space."""
    it = view
    values: dict[str, Any] = {
        "id": space_text(it.id),
        "state": it.status.value,
        "created_at": timestamp(it.created_ms),
        "started_at": _time(it.started_ms),
        "ended_at": _time(it.ended_ms),
        "scheduled_start": _time(it.scheduled_start_ms),
        "updated_at": timestamp(it.updated_ms or it.created_ms),
        "creator_id": str(it.creator),
        "host_ids": _ids(view.hosts),
        "speaker_ids": _ids(view.speakers),
        "invited_user_ids": _ids(view.invited),
        "participant_count": view.participants,
        "subscriber_count": it.subscribers,
        "is_ticketed": it.ticketed,
        "lang": it.lang or None,
        "title": it.title,
        "topic_ids": list(it.topics),
    }
    wanted = fields.space | {"id", "state"}
    return {name: value for name, value in values.items() if name in wanted and value is not None}


def spaces_body(
    views: list[SpaceView],
    fields: Fields,
    profiles: Mapping[AccountId, Profile],
    topics: Mapping[str, Topic],
    errors: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """`data` (a list), `includes` and `errors` of an answer about Spaces."""
    data = []
    problems = list(errors)
    for view in views:
        rendered = space(view, fields)
        if "topics" in fields.space:
            rendered["topics"] = [topic(topics[t], fields) for t in view.topics if t in topics]
        data.append(rendered)
        for expansion in _ACCOUNTS:
            if expansion in fields.expansions:
                gone = (account for account in _named(view, expansion) if account not in profiles)
                problems.extend(not_found("user", expansion, str(account)) for account in gone)
        if "topic_ids" in fields.expansions:
            problems.extend(not_found("topic", "topic_ids", t) for t in view.topics if t not in topics)
    includes: dict[str, Any] = {}
    users = [profiles[account] for account in accounts_named(views, fields) if account in profiles]
    if users:
        includes["users"] = [user(profile, fields) for profile in users]
    if "topic_ids" in fields.expansions and topics:
        includes["topics"] = [topic(it, fields) for it in topics.values()]
    return _body(data, includes, problems)


def accounts_named(views: Iterable[SpaceView], fields: Fields) -> list[AccountId]:
    """Accounts that the expansions ask for, each once."""
    named = (
        account
        for view in views
        for expansion in _ACCOUNTS
        if expansion in fields.expansions
        for account in _named(view, expansion)
    )
    return list(dict.fromkeys(named))


def topics_named(views: Iterable[SpaceView], fields: Fields) -> list[str]:
    """Topics that are asked for, each once."""
    if "topic_ids" not in fields.expansions and "topics" not in fields.space:
        return []
    return list(dict.fromkeys(t for view in views for t in view.topics))


def user(profile: Profile, fields: Fields) -> dict[str, Any]:
    """An account. Fields of which we know nothing (location, verification) are never there."""
    values: dict[str, Any] = {
        "id": str(profile.id),
        "name": profile.name,
        "username": profile.handle,
        "created_at": timestamp(profile.created_ms),
        "profile_image_url": profile.picture or None,
        "protected": profile.protected,
    }
    wanted = fields.user | {"id", "name", "username"}
    return {name: value for name, value in values.items() if name in wanted and value is not None}


def topic(it: Topic, fields: Fields) -> dict[str, Any]:
    """A topic."""
    values = {"id": it.id, "name": it.name, "description": it.name}
    return {name: value for name, value in values.items() if name in fields.topic | {"id", "name"}}


def post(view: PostView, fields: Fields) -> dict[str, Any]:
    """A post, under both generations' names for its edits: each client needs its own."""
    it = view.post
    values: dict[str, Any] = {
        "id": str(it.id),
        "text": it.text,
        "edit_history_tweet_ids": [str(it.id)],
        "edit_history_post_ids": [str(it.id)],
        "author_id": str(it.author),
        "created_at": timestamp(it.created_ms),
    }
    wanted = fields.post | {"id", "text", "edit_history_tweet_ids", "edit_history_post_ids"}
    return {name: value for name, value in values.items() if name in wanted}


def listed(
    data: list[dict[str, Any]], includes: dict[str, Any], errors: list[dict[str, Any]], meta: dict[str, Any]
) -> dict[str, Any]:
    """An answer that is a list with `meta`."""
    return {**_body(data, includes, errors), "meta": meta}


def _body(data: list[dict[str, Any]], includes: dict[str, Any], errors: list[dict[str, Any]]) -> dict[str, Any]:
    parts = {"data": data, "includes": includes, "errors": errors}
    return {name: value for name, value in parts.items() if value}


def _named(view: SpaceView, expansion: str) -> tuple[AccountId, ...]:
    match expansion:
        case "creator_id":
            return (view.creator,)
        case "host_ids":
            return view.hosts
        case "invited_user_ids":
            return view.invited
        case _:
            return view.speakers


def _ids(accounts: Iterable[AccountId]) -> list[str]:
    return [str(account) for account in accounts]


def _time(ms: int | None) -> str | None:
    return None if ms is None else timestamp(ms)
