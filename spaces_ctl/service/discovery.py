"""Finding Spaces: the bar of people one follows, tabs, topics, search, a profile's Spaces.

Nobody sees a Space whose host they block or whose host blocks them. Who merely listens is known to the engine alone,
and there is no event for it. So the bar asks for few and exactly: joining through the API leaves a hint (account →
Space, a bounded map), the bar looks up the hints of the followed, groups them by Space and has the engine confirm at
most `most_asked` Spaces in one call each; the answer is kept for some seconds. Work is bounded by how many one
follows, never by how many listen. What is lost: somebody who came by another node, or before a restart, shows after
they join again.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId, SpaceId, Status
from spaces_ctl.policy.facts import Needs
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal, Profile, SocialGraph
from spaces_ctl.service.topics import CATALOGUE
from spaces_ctl.store import discovery as store
from spaces_ctl.store import search, summaries
from spaces_ctl.store.database import Database
from spaces_ctl.store.discovery import Topic
from spaces_ctl.store.summaries import Position, Summary

__all__ = ["BarItem", "Discovery", "Found", "ListeningHints", "ProfileSpaces", "Summary", "Topic"]

_MOST_FOLLOWED = 5000
ReadPage = Callable[[sa.Connection], list[Summary]]
PositionOf = Callable[[Summary], tuple[int, int]]
Keep = Callable[[Summary], bool]
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class Presence(Protocol):
    """Who is connected; `MediaEngine` has it."""

    async def present(self, space: SpaceId, accounts: Iterable[AccountId]) -> set[AccountId]:
        """Which of these named accounts are connected now."""
        ...


class BarItem(msgspec.Struct, frozen=True, kw_only=True):
    """A live Space in the bar, and the people one follows in it."""

    space: Summary
    hosting: tuple[AccountId, ...] = ()
    speaking: tuple[AccountId, ...] = ()
    listening: tuple[AccountId, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of Spaces. Spaces that the viewer may not see are left out, so it may be shorter than asked."""

    spaces: tuple[Summary, ...]
    next: tuple[int, int] | None = None
    """Where the next page begins."""


class ProfileSpaces(msgspec.Struct, frozen=True, kw_only=True):
    """An account's Spaces."""

    live: tuple[Summary, ...]
    scheduled: tuple[Summary, ...]
    recorded: tuple[Summary, ...]
    now: tuple[BarItem, ...] = ()
    """Live Spaces in which the account is, as far as the viewer is shown that."""


class ListeningHints:
    """Where accounts last joined by name: a bounded map, oldest out first."""

    def __init__(self, most: int = 200_000) -> None:
        """`most` accounts are remembered."""
        self._most = most
        self._where: OrderedDict[AccountId, SpaceId] = OrderedDict()

    def saw(self, account: AccountId, space: SpaceId) -> None:
        """The account joined by name."""
        self._where[account] = space
        self._where.move_to_end(account)
        if len(self._where) > self._most:
            self._where.popitem(last=False)

    def forget(self, account: AccountId) -> None:
        """The account joined unnamed, or left."""
        self._where.pop(account, None)

    def of(self, accounts: Iterable[AccountId]) -> dict[SpaceId, set[AccountId]]:
        """Where these may be, by Space."""
        found: dict[SpaceId, set[AccountId]] = {}
        for account in accounts:
            if (space := self._where.get(account)) is not None:
                found.setdefault(space, set()).add(account)
        return found


class Discovery:
    """What people find."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        graph: SocialGraph,
        presence: Presence,
        hints: ListeningHints,
        most_asked: int = 30,
        bar_ms: int = 10_000,
        most_kept: int = 2_000,
    ) -> None:
        """`bar_ms`: how long a bar is kept; `most_kept`: for how many viewers."""
        self._db = db
        self._clock = clock
        self._graph = graph
        self._presence = presence
        self._hints = hints
        self._most_asked = most_asked
        self._bar_ms = bar_ms
        self._most_kept = most_kept
        self._bars: OrderedDict[AccountId, tuple[int, tuple[BarItem, ...]]] = OrderedDict()

    def joined(self, account: AccountId, space: SpaceId, anonymous: bool) -> None:
        """For whoever admits people: a hint where the account listens. Anonymous listening is never shown."""
        if anonymous:
            self._hints.forget(account)
        else:
            self._hints.saw(account, space)

    async def bar(self, principal: Principal) -> Sequence[BarItem]:
        """Live Spaces of the people one follows: hosts first, then speakers, then listeners."""
        if principal.account is None:
            raise ServiceError("auth.token_missing")
        me, now = principal.account, self._clock.now_ms()
        kept = self._bars.get(me)
        if kept is not None and now - kept[0] < self._bar_ms:
            return kept[1]
        followed = (await self._graph.following(me))[:_MOST_FOLLOWED]
        bar = await self._bar(me, followed) if followed else ()
        self._bars[me] = (now, bar)
        self._bars.move_to_end(me)
        while len(self._bars) > self._most_kept:
            self._bars.popitem(last=False)
        return bar

    async def _bar(self, me: AccountId, followed: Sequence[AccountId]) -> tuple[BarItem, ...]:
        on_stage = await self._db.read(lambda c: summaries.with_hosts(c, followed))
        listening = await self._listening(followed)
        known = {summary.id: summary for summary in on_stage}
        more = [space for space in listening if space not in known]
        for space, summary in (await self._db.read(lambda c: summaries.by_ids(c, more))).items():
            if summary.status is Status.LIVE:
                known[space] = summary
        seen = await self._seen(me, known.values())
        mine = set(followed)
        items = []
        for summary in seen:
            hosting = tuple(account for account in summary.hosts if account in mine)
            speaking = tuple(account for account in summary.speakers if account in mine)
            heard = tuple(sorted(listening.get(summary.id, set()) - set(hosting) - set(speaking)))
            items.append(BarItem(space=summary, hosting=hosting, speaking=speaking, listening=heard))
        items = [item for item in items if item.hosting or item.speaking or item.listening]
        return tuple(sorted(items, key=lambda i: (not i.hosting, not i.speaking, -i.space.participants, -i.space.id)))

    async def _listening(self, followed: Sequence[AccountId]) -> dict[SpaceId, set[AccountId]]:
        hinted = self._hints.of(followed)
        first = sorted(hinted, key=lambda space: (-len(hinted[space]), -space))[: self._most_asked]
        candidates = {account for space in first for account in hinted[space]}
        profiles = await self._graph.profiles(candidates) if candidates else {}
        found: dict[SpaceId, set[AccountId]] = {}
        for space in first:
            shown = {account for account in hinted[space] if _shows(profiles, account)}
            if shown and (here := await self._presence.present(space, shown)):
                found[space] = here
        return found

    # Tabs

    async def live(self, principal: Principal, limit: int, after: tuple[int, int] | None = None) -> Found:
        """Live Spaces, the latest first."""
        return await self._page(
            principal,
            limit,
            lambda c: summaries.live(c, limit, _position(after)),
            lambda last: (last.started_ms or 0, last.id),
        )

    async def upcoming(self, principal: Principal, limit: int, after: tuple[int, int] | None = None) -> Found:
        """Scheduled Spaces, the next one first."""
        return await self._page(
            principal,
            limit,
            lambda c: summaries.upcoming(c, limit, _position(after)),
            lambda last: (last.scheduled_start_ms or 0, last.id),
        )

    async def trending(self, principal: Principal, limit: int, after: tuple[int, int] | None = None) -> Found:
        """Live Spaces, those that trend most first (`service.trends`)."""

        def read(c: sa.Connection) -> tuple[list[tuple[int, int]], dict[SpaceId, Summary]]:
            ranked = store.trending_ids(c, limit, after)
            return ranked, summaries.by_ids(c, [space for _, space in ranked])

        ranked, found = await self._db.read(read)
        page = [found[space] for _, space in ranked if space in found]
        return Found(
            spaces=tuple(await self._seen(principal.account, page)),
            next=ranked[-1] if len(ranked) == limit else None,
        )

    async def with_topic(
        self, principal: Principal, topic: str, limit: int, after: tuple[int, int] | None = None
    ) -> Found:
        """Live and scheduled Spaces of a topic, the newest first."""
        before = after[1] if after else None
        return await self._page(
            principal, limit, lambda c: summaries.with_topic(c, [topic], limit, before), lambda last: (0, last.id)
        )

    async def in_community(
        self, principal: Principal, community: int, limit: int, after: tuple[int, int] | None = None
    ) -> Found:
        """Live and scheduled Spaces of a community, the newest first."""
        before = after[1] if after else None
        return await self._page(
            principal, limit, lambda c: summaries.in_community(c, community, limit, before), lambda last: (0, last.id)
        )

    async def search(
        self,
        principal: Principal,
        query: str,
        limit: int,
        after: tuple[int, int] | None = None,
        topic: str | None = None,
    ) -> Found:
        """By keyword, and of a topic if given: live and scheduled, the newest first."""
        before = after[1] if after else None

        def read(c: sa.Connection) -> list[Summary]:
            ids = search.search(c, query, prefix=True, before=before, limit=limit)
            return list(summaries.by_ids(c, ids).values())

        def keep(summary: Summary) -> bool:
            return topic is None or topic in summary.topics

        return await self._page(principal, limit, read, lambda last: (0, last.id), keep)

    async def profile(self, principal: Principal, account: AccountId, limit: int = 20) -> ProfileSpaces:
        """An account's live, scheduled and recorded Spaces; to itself and followers also where it is now."""

        def read(c: sa.Connection) -> tuple[list[Summary], list[Summary], list[Summary]]:
            created = summaries.by_creators(c, [account])
            hosting = summaries.hosted_by(c, account, [Status.LIVE], limit)
            live = {one.id: one for one in (*hosting, *created) if one.status is Status.LIVE and account in one.hosts}
            scheduled = sorted(
                (one for one in created if one.status is Status.SCHEDULED), key=lambda one: one.scheduled_start_ms or 0
            )
            return list(live.values()), scheduled, summaries.recorded_by(c, account, limit)

        live, scheduled, recorded = await self._db.read(read)
        me = principal.account
        return ProfileSpaces(
            live=tuple(await self._seen(me, live)),
            scheduled=tuple(await self._seen(me, scheduled)),
            recorded=tuple(await self._seen(me, recorded)),
            now=await self._where(me, account),
        )

    async def _where(self, viewer: AccountId | None, account: AccountId) -> tuple[BarItem, ...]:
        if viewer is None:
            return ()
        if viewer != account:
            facts = await self._graph.facts(Needs(follows=frozenset({(viewer, account)})), self._clock.now_ms())
            if not facts.follows:
                return ()
        return await self._bar(viewer, (account,))

    # Topics

    async def topics(self) -> Sequence[Topic]:
        """The catalogue."""
        return await self._db.read(store.all_topics)

    async def seed_topics(self) -> None:
        """Fills the catalogue of a new deployment."""
        await self._db.write(lambda c: store.seed_topics(c, CATALOGUE))

    async def put_topic(self, principal: Principal, topic: Topic) -> None:
        """Adds or changes a topic; operators only. Raises ServiceError role.forbidden, request.invalid."""
        _operates(principal)
        if not _TOPIC.fullmatch(topic.id) or not 0 < len(topic.name) <= 80 or len(topic.description) > 400:
            raise ServiceError("request.invalid", "id: a-z, 0-9 and -; name up to 80, description up to 400")
        await self._db.write(lambda c: store.put_topic(c, topic))

    async def drop_topic(self, principal: Principal, id: str) -> None:
        """Takes a topic out of the catalogue. Raises ServiceError role.forbidden, resource.not_found."""
        _operates(principal)
        if not await self._db.write(lambda c: store.drop_topic(c, id)):
            raise ServiceError("resource.not_found")

    async def _page(
        self,
        principal: Principal,
        limit: int,
        read: ReadPage,
        position: PositionOf,
        keep: Keep = lambda _: True,
    ) -> Found:
        page = await self._db.read(read)
        seen = await self._seen(principal.account, [one for one in page if keep(one)])
        return Found(spaces=tuple(seen), next=position(page[-1]) if len(page) == limit else None)

    async def _seen(self, viewer: AccountId | None, spaces: Iterable[Summary]) -> list[Summary]:
        found = list(spaces)
        if viewer is None or not found:
            return found
        hosts = {account for one in found for account in (*one.hosts, one.creator)} - {viewer}
        pairs = frozenset(pair for host in hosts for pair in ((viewer, host), (host, viewer)))
        facts = await self._graph.facts(Needs(blocks=pairs), self._clock.now_ms())
        blocked = {account for pair in facts.blocks for account in pair} - {viewer}
        return [one for one in found if not blocked & {*one.hosts, one.creator}]


def _shows(profiles: dict[AccountId, Profile], account: AccountId) -> bool:
    profile = profiles.get(account)
    return profile is not None and profile.listening_visible


def _position(after: tuple[int, int] | None) -> Position | None:
    return None if after is None else Position(*after)


def _operates(principal: Principal) -> None:
    if not principal.operator:
        raise ServiceError("role.forbidden")
