"""States folded from logs, and which of them are kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from spaces_ctl.events import Recorded, SpaceEvent
from spaces_ctl.model import SpaceId, Status
from spaces_ctl.policy import evolve
from spaces_ctl.policy.state import Space

__all__ = ["Folded", "fold", "replay"]


def fold(state: Space, events: Iterable[SpaceEvent], at_ms: int) -> Space:
    """`state` after events that happened at once."""
    for event in events:
        state = evolve(state, event, at_ms)
    return state


def replay(state: Space, log: Sequence[Recorded]) -> Space:
    """`state` after what the log says came then."""
    for entry in log:
        state = evolve(state, entry.event, entry.at_ms)
    return state


class Folded:
    """All live Spaces, and those of the others that were asked for last."""

    def __init__(self, most: int = 10_000) -> None:
        """Keeps `most` that are not live."""
        self._most = most
        self._live: dict[SpaceId, Space] = {}
        self._others: OrderedDict[SpaceId, Space] = OrderedDict()
        self._suspect: set[SpaceId] = set()

    @property
    def live(self) -> Mapping[SpaceId, Space]:
        """Live Spaces as they were last known."""
        return self._live

    def __len__(self) -> int:
        return len(self._live) + len(self._others)

    def known(self, space: SpaceId) -> Space:
        """Where folding may begin: a Space of version 0 if nothing is known."""
        if space in self._suspect:
            return Space(id=space)
        return self._live.get(space) or self._others.get(space) or Space(id=space)

    def remember(self, state: Space) -> None:
        """After a commit, under the Space's lock."""
        self._suspect.discard(state.id)
        if state.status is Status.LIVE:
            self._others.pop(state.id, None)
            self._live[state.id] = state
        else:
            self._live.pop(state.id, None)
            self._keep(state)

    def looked_up(self, state: Space) -> None:
        """After a read without the lock: never instead of something newer, and of no Space that is or was live here."""
        if state.status is not Status.LIVE and state.id not in self._live:
            known = self._others.get(state.id)
            if known is None or known.version < state.version:
                self._keep(state)

    def distrust(self, space: SpaceId) -> None:
        """Something went wrong there: the next command folds from the log's beginning."""
        self._others.pop(space, None)
        self._suspect.add(space)

    def _keep(self, state: Space) -> None:
        self._others[state.id] = state
        self._others.move_to_end(state.id)
        while len(self._others) > self._most:
            self._others.popitem(last=False)
