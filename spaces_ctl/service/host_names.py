"""Under which names Spaces are found besides their own text: those of their hosts and topics, in the search index.

Names come from the social graph, which may be somebody else's, so they are looked up after the commit: by a reader of
the log, and by a worker when profiles changed or the graph did not answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import sqlalchemy as sa

from spaces_ctl import events as e
from spaces_ctl.events import Recorded
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import SocialGraph
from spaces_ctl.service.reactor import Unit
from spaces_ctl.store import discovery, search, summaries
from spaces_ctl.store.database import Database

__all__ = ["HostNames"]

_NAMED_ANEW = (e.Created, e.Edited, e.CohostAdded, e.CohostRemoved, e.AdminChanged)
"""Events that may change a Space's hosts or topics."""


class HostNames:
    """A `Reaction` to what changes hosts and topics; `step` is a worker's, for what `renamed` was told."""

    def __init__(self, *, db: Database, graph: SocialGraph, spaces: Callable[[SpaceId], Awaitable[Space]]) -> None:
        """`spaces` folds a Space."""
        self._db = db
        self._graph = graph
        self._spaces = spaces
        self.wake: Callable[[], None] = lambda: None
        """Says that `step` has something to do."""
        self._accounts: set[AccountId] = set()
        self._late: set[SpaceId] = set()

    async def prepare(self, events: Sequence[Recorded]) -> Unit:
        """See `Reaction`. While the graph does not answer, the names wait for the worker and the log goes on."""
        spaces = {recorded.space for recorded in events if isinstance(recorded.event, _NAMED_ANEW)}
        try:
            names = await self._names(spaces)
        except ServiceError as error:
            if error.code != "graph.unavailable":
                raise
            self._late |= spaces
            self.wake()
            return lambda c: None
        return lambda c: _put(c, names)

    def renamed(self, accounts: Iterable[AccountId]) -> None:
        """Profiles of these have changed."""
        self._accounts.update(accounts)
        self.wake()

    async def step(self) -> bool:
        """Indexes what waits; whether anything did. Raises ServiceError (`graph.unavailable`): it waits on."""
        accounts, self._accounts = self._accounts, set()
        late, self._late = self._late, set()
        if not accounts and not late:
            return False
        try:
            late |= set(await self._db.read(lambda c: summaries.unfinished_of(c, accounts)))
            names = await self._names(late)
            await self._db.write(lambda c: _put(c, names))
        except BaseException:
            self._accounts |= accounts
            self._late |= late
            raise
        return True

    async def _names(self, spaces: Iterable[SpaceId]) -> dict[SpaceId, list[str]]:
        states = [await self._spaces(space) for space in sorted(spaces)]
        if not states:
            return {}
        hosts = {state.id: tuple(dict.fromkeys((state.creator, *state.hosts))) for state in states}
        profiles = await self._graph.profiles({account for some in hosts.values() for account in some})
        topics = {topic.id: topic.name for topic in await self._db.read(discovery.all_topics)}
        found = {}
        for state in states:
            known = [profiles[account] for account in hosts[state.id] if account in profiles]
            people = [name for profile in known for name in (profile.name, profile.handle)]
            found[state.id] = [*people, *(topics.get(topic, topic) for topic in state.topics)]
        return found


def _put(c: sa.Connection, names: Mapping[SpaceId, Sequence[str]]) -> None:
    for space, some in names.items():
        search.put_names(c, space, some)
