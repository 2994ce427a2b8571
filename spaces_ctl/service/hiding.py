"""Whose posts and clips somebody does not see: accounts they muted, block, or are blocked by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId
from spaces_ctl.policy.facts import Needs
from spaces_ctl.service.ports import SocialGraph

__all__ = ["Hiding"]


class Hiding:
    """Answers for one viewer and a few authors."""

    def __init__(
        self,
        *,
        graph: SocialGraph,
        clock: Clock,
        muted_by: Callable[[AccountId], Awaitable[Sequence[AccountId]]],
    ) -> None:
        """`muted_by`: whom an account has muted."""
        self._graph = graph
        self._clock = clock
        self._muted_by = muted_by

    async def hidden(self, viewer: AccountId | None, authors: set[AccountId]) -> set[AccountId]:
        """Which of the authors are hidden from the viewer; nobody from a guest, and nobody from themselves."""
        others = authors - {viewer}
        if viewer is None or not others:
            return set()
        pairs = frozenset(pair for other in others for pair in ((viewer, other), (other, viewer)))
        facts = await self._graph.facts(Needs(blocks=pairs), self._clock.now_ms())
        blocked = {account for pair in facts.blocks for account in pair} - {viewer}
        return blocked | (set(await self._muted_by(viewer)) & others)
