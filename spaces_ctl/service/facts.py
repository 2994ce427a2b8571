"""Loads what a command's rules ask for: standing from the graph, rows from the store, presence from the engine."""

from __future__ import annotations

from msgspec.structs import replace

from spaces_ctl.engine import EngineError
from spaces_ctl.model import AccountId
from spaces_ctl.policy.facts import AccountFacts, Facts, Needs
from spaces_ctl.policy.state import Space
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import GraphFacts, MediaEngine, SocialGraph
from spaces_ctl.service.space_log import SpaceLog, store_errors

__all__ = ["FactLoader"]


class FactLoader:
    """`Needs` in, `Facts` out."""

    def __init__(self, *, log: SpaceLog, graph: SocialGraph, engine: MediaEngine) -> None:
        """Where the facts are."""
        self._log = log
        self._graph = graph
        self._engine = engine

    async def load(self, state: Space, asked: Needs, now_ms: int) -> Facts:
        """Asks only those who have to be asked. Raises StoreDown, ServiceError."""
        graph = await self._of_graph(asked, now_ms)
        facts = Facts(
            accounts=graph.accounts,
            blocks=graph.blocks,
            follows=graph.follows,
            community_role=graph.community_role,
        )
        rows = (asked.hosting, asked.ticket, asked.subscribed, asked.post, asked.vote, asked.reports)
        if asked.evidence or any(need is not None for need in rows):
            facts = await self._log.facts(state.id, asked, facts, now_ms)
        return replace(facts, accounts=await self._with_presence(state, asked, graph.accounts))

    async def _of_graph(self, asked: Needs, now_ms: int) -> GraphFacts:
        if not (asked.accounts or asked.blocks or asked.follows or asked.community):
            return GraphFacts()
        with store_errors():
            return await self._graph.facts(asked, now_ms)

    async def _with_presence(
        self, state: Space, asked: Needs, accounts: dict[AccountId, AccountFacts]
    ) -> dict[AccountId, AccountFacts]:
        if not asked.accounts or state.started_ms is None:
            return accounts
        try:
            present = await self._engine.present(state.id, asked.accounts)
            others = asked.accounts - present
            unnamed = await self._engine.present(state.id, others, unnamed=True) if others else set()
        except EngineError as error:
            raise ServiceError("engine.unavailable") from error
        unknown = AccountFacts(exists=False)
        return {
            account: replace(accounts.get(account, unknown), present=account in present, anonymous=account in unnamed)
            for account in asked.accounts
        }
