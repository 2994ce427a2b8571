"""What may be asked: the union of what both generations of X's specification allow (2.159 and 2.167)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

import msgspec

from spaces_ctl.api.wire import space_id, space_text
from spaces_ctl.api.xapi.problems import invalid_parameter
from spaces_ctl.model import AccountId, SpaceId

__all__ = ["SPACE_ID", "Fields", "Query", "canonical_space"]

T = TypeVar("T")

SPACE_ID = re.compile(r"[a-zA-Z0-9]{1,13}")
_USER_ID = re.compile(r"[0-9]{1,19}")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SPACE_FIELDS = _names(
    """
    created_at creator_id ended_at host_ids id invited_user_ids is_ticketed lang participant_count
    scheduled_start speaker_ids started_at state subscriber_count title topic_ids topics updated_at
    """
)
SPACE_EXPANSIONS = frozenset({"creator_id", "host_ids", "invited_user_ids", "speaker_ids", "topic_ids"})
TOPIC_FIELDS = frozenset({"id", "name", "description"})
USER_FIELDS = _names(
    """
    affiliation confirmed_email connection_status created_at description entities id is_identity_verified
    location most_recent_post_id most_recent_tweet_id name parody pinned_post_id pinned_tweet_id
    profile_banner_url profile_image_url protected public_metrics receives_your_dm subscribes_to_you
    subscription subscription_type url username verified verified_followers_count verified_type withheld
    """
)
USER_EXPANSIONS = frozenset(
    {"affiliation", "affiliation.user_id", "most_recent_post_id", "most_recent_tweet_id", "pinned_post_id"}
    | {"pinned_tweet_id"}
)
POST_FIELDS = _names(
    """
    article article_title attachments author_id card_uri community_id context_annotations conversation_id
    created_at display_text_range edit_controls edit_history_post_ids edit_history_tweet_ids entities geo id
    in_reply_to_user_id lang matched_media_notes media_metadata non_public_metrics note_post
    note_request_suggestions note_tweet organic_metrics paid_partnership possibly_sensitive promoted_metrics
    public_metrics referenced_posts referenced_tweets reply_settings scopes source suggested_source_links
    suggested_source_links_with_counts text username withheld
    """
)
POST_EXPANSIONS = _names(
    """
    article.cover_media article.media_entities attachments.media_keys attachments.media_source_tweet
    attachments.poll_ids author_id edit_history_post_ids edit_history_tweet_ids entities.mentions.username
    entities.note.mentions.username geo.place_id in_reply_to_user_id referenced_posts referenced_posts.id
    referenced_posts.id.author_id referenced_tweets.id referenced_tweets.id.author_id
    referenced_tweets.id.attachments.media_keys
    """
)
MEDIA_FIELDS = _names(
    """
    alt_text duration_ms height media_key non_public_metrics organic_metrics preview_image_url
    promoted_metrics public_metrics type url variants width
    """
)
POLL_FIELDS = _names(
    """
    duration_minutes end_datetime id options voting_status
    """
)
PLACE_FIELDS = _names(
    """
    contained_within country country_code full_name geo id name place_type
    """
)

COMMON = {
    "space.fields": SPACE_FIELDS,
    "user.fields": USER_FIELDS,
    "topic.fields": TOPIC_FIELDS,
    "expansions": SPACE_EXPANSIONS,
}
ABOUT_POSTS = {
    "user.fields": USER_FIELDS,
    "tweet.fields": POST_FIELDS,
    "post.fields": POST_FIELDS,
    "media.fields": MEDIA_FIELDS,
    "poll.fields": POLL_FIELDS,
    "place.fields": PLACE_FIELDS,
    "expansions": POST_EXPANSIONS,
}
ABOUT_BUYERS = {**ABOUT_POSTS, "expansions": USER_EXPANSIONS}


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """What of each object is wanted, besides what is always there."""

    space: frozenset[str] = frozenset()
    user: frozenset[str] = frozenset()
    topic: frozenset[str] = frozenset()
    post: frozenset[str] = frozenset()
    expansions: frozenset[str] = frozenset()
    posts_by_new_name: bool = False
    """2.167 says `posts` where 2.159 says `tweets`; who asks for `post.fields` speaks 2.167."""


class Query:
    """A request's parameters. Methods raise XProblem (400)."""

    def __init__(self, pairs: Iterable[tuple[str, str]], lists: Mapping[str, frozenset[str]], *others: str) -> None:
        """`lists` are the lists of names that this endpoint takes, `others` its other parameters."""
        self._values: dict[str, str] = {}
        known = [*others, *lists]
        for name, value in pairs:
            if name not in known:
                allowed = ",".join(known)
                raise invalid_parameter(name, value, f"The query parameter [{name}] is not one of [{allowed}]")
            if name in self._values:
                raise invalid_parameter(name, value, f"The query parameter [{name}] was given more than once")
            self._values[name] = value
        self._lists = lists

    def fields(self) -> Fields:
        """All lists of names. An expansion implies the field that it expands."""
        names = {name: self._names(name, allowed) for name, allowed in self._lists.items() if name in self._values}
        expansions = names.get("expansions", frozenset())
        return Fields(
            space=names.get("space.fields", frozenset()) | (expansions & SPACE_EXPANSIONS),
            user=names.get("user.fields", frozenset()),
            topic=names.get("topic.fields", frozenset()),
            post=names.get("post.fields", frozenset())
            | names.get("tweet.fields", frozenset())
            | (expansions & {"author_id"}),
            expansions=expansions,
            posts_by_new_name="post.fields" in self._values,
        )

    def space_ids(self, name: str) -> dict[str, SpaceId | None]:
        """1 to 100 Space ids, in order; None for one that no Space can have."""
        return {text: canonical_space(text) for text in self._id_list(name, SPACE_ID)}

    def user_ids(self, name: str) -> list[AccountId]:
        """1 to 100 account ids, in order."""
        return [int(text) for text in self._id_list(name, _USER_ID)]

    def text(self, name: str, longest: int) -> str:
        """A required text of 1 to `longest` characters."""
        value = self._required(name)
        if not 1 <= len(value) <= longest or not value.strip():
            raise invalid_parameter(name, value[:200], f"The length of `{name}` has to be between 1 and {longest}")
        return value

    def choice(self, name: str, among: Collection[str], default: str) -> str:
        """One of some words."""
        value = self._values.get(name, default)
        if value not in among:
            raise invalid_parameter(name, value, _not_one_of(name, value, among))
        return value

    def max_results(self) -> int:
        """1 to 100."""
        value = self._values.get("max_results", "100")
        if not re.fullmatch(r"[0-9]{1,3}", value) or not 1 <= int(value) <= 100:
            message = f"The `max_results` query parameter value [{value}] is not between 1 and 100"
            raise invalid_parameter("max_results", value, message)
        return int(value)

    def position(self, read: Callable[[str], int | None]) -> int:
        """Where the page begins, as `read` finds it in the token; None from it means that it is not ours."""
        token = self._values.get("pagination_token")
        if token is None:
            return 0
        position = read(token) if len(token) >= 16 else None
        if position is None:
            message = f"The `pagination_token` query parameter value [{token}] is not valid"
            raise invalid_parameter("pagination_token", token, message)
        return position

    def _names(self, name: str, allowed: frozenset[str]) -> frozenset[str]:
        parts = self._parts(name)
        for part in parts:
            if part not in allowed:
                raise invalid_parameter(name, part, _not_one_of(name, part, allowed))
        return frozenset(parts)

    def _id_list(self, name: str, pattern: re.Pattern[str]) -> list[str]:
        parts = self._parts(name)
        for part in parts:
            if not pattern.fullmatch(part):
                message = f"The `{name}` query parameter value [{part}] is not valid"
                raise invalid_parameter(name, part, message)
        if len(parts) > 100:
            message = (
                f"The number of values in the `{name}` query parameter list [{len(parts)}] is not between 1 and 100"
            )
            raise invalid_parameter(name, ",".join(parts)[:200], message)
        return parts

    def _parts(self, name: str) -> list[str]:
        value = self._required(name)
        parts = value.split(",")
        if not all(parts):
            raise invalid_parameter(name, value[:200], f"The `{name}` query parameter has an empty value in it")
        # X's schema wants them unique; its servers take repeated ones once.
        return list(dict.fromkeys(parts))

    def _required(self, name: str) -> str:
        if name not in self._values:
            raise invalid_parameter(name, "", f"The `{name}` query parameter can not be empty")
        return self._values[name]


def canonical_space(text: str) -> SpaceId | None:
    """The Space that an id of X's form names; None if it can be none of ours (two texts never name one Space)."""
    try:
        space = space_id(text)
    except ValueError:
        return None
    return space if space_text(space) == text else None


def _not_one_of(name: str, value: str, allowed: Collection[str]) -> str:
    return f"The `{name}` query parameter value [{value}] is not one of [{','.join(sorted(allowed))}]"
