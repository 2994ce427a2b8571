"""A deployment's own social graph over HTTP: the contract of `service.graph_wire`, docs/social-graph.md.

Reads for decisions are cached for a second or two and forgotten at once when the deployment says so (`invalidate`).
Bans from live features and appeals are the platform's, not the graph's: they stay in our own database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import httpx
import msgspec
import sqlalchemy as sa
import stamina
from cachetools import TTLCache

from spaces_ctl.clock import Clock
from spaces_ctl.events import (
    AccountBlocked,
    AccountEvent,
    AccountUnblocked,
    BanLifted,
    Followed,
    ListeningVisibility,
    LiveBanned,
    Protected,
)
from spaces_ctl.model import AccountId, Actor, CommunityRole
from spaces_ctl.policy.facts import AccountFacts, Needs
from spaces_ctl.service import graph_wire as wire
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import GraphFacts, Profile
from spaces_ctl.store import account_log
from spaces_ctl.store import accounts as account_store
from spaces_ctl.store import graph as graph_store
from spaces_ctl.store.chunks import chunks
from spaces_ctl.store.database import Database

__all__ = ["HttpGraph", "Invalidations"]

T = TypeVar("T")
Answer = TypeVar("Answer", bound=msgspec.Struct)
Key = tuple[object, ...]

_MOST_IDS = 1000
_PAGE = 10_000


class _Busy(Exception):
    """The graph answered that it cannot answer now."""


class HttpGraph:
    """A `WritableGraph` that asks another server. Close it with `aclose`.

    Every method raises ServiceError `graph.unavailable` when that server does not answer in time.
    """

    def __init__(
        self,
        *,
        url: str,
        key: bytes,
        db: Database,
        clock: Clock,
        timeout_s: float = 2.0,
        attempts: int = 3,
        wait_s: float = 0.1,
        cache_s: float = 2.0,
        cache_size: int = 50_000,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`url` is the contract's root, `timeout_s` of one attempt; waits between attempts grow from `wait_s`."""
        self._base = httpx.URL(url.rstrip("/"))
        self._key = key
        self._db = db
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=timeout_s, transport=transport)
        self._retry = stamina.AsyncRetryingCaller(
            attempts=attempts, wait_initial=wait_s, wait_jitter=wait_s, wait_max=1.0, timeout=None
        ).on((httpx.TransportError, _Busy))
        self._cache: TTLCache[Key, Any] = TTLCache(cache_size, cache_s * 1000, timer=clock.now_ms)
        self._forgotten = 0

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    def invalidate(self, accounts: Iterable[AccountId]) -> None:
        """Forgets what is cached of these accounts: their standing, profiles, roles and who they stand to."""
        self._forgotten += 1
        gone = set(accounts)
        for key in [key for key in self._cache if not gone.isdisjoint(key[1:])]:
            self._cache.pop(key, None)

    # Reads

    async def facts(self, needs: Needs, now_ms: int) -> GraphFacts:
        """Answers what `needs` asks of the graph, in at most one request and one local read."""
        keys: dict[str, list[Key]] = {
            "account": [("account", account) for account in needs.accounts],
            "block": [("block", *pair) for pair in needs.blocks],
            "follow": [("follow", *pair) for pair in needs.follows],
            "role": [("role", *needs.community)] if needs.community else [],
        }
        known = {key: self._cache[key] for group in keys.values() for key in group if key in self._cache}
        missing = {name: [key for key in group if key not in known] for name, group in keys.items()}
        if any(missing.values()):
            known.update(await self._fetch_facts(missing))
        banned = await self._db.read(lambda c: _banned(c, needs.accounts, now_ms))
        return GraphFacts(
            accounts={
                account: msgspec.structs.replace(known["account", account], live_banned=account in banned)
                for account in needs.accounts
            },
            blocks=frozenset(pair for pair in needs.blocks if known["block", *pair]),
            follows=frozenset(pair for pair in needs.follows if known["follow", *pair]),
            community_role=known["role", *needs.community] if needs.community else CommunityRole.NONE,
        )

    async def _fetch_facts(self, missing: dict[str, list[Key]]) -> dict[Key, Any]:
        seen = self._forgotten
        request = wire.FactsRequest(
            accounts=tuple(str(key[1]) for key in missing["account"]),
            blocks=tuple((str(key[1]), str(key[2])) for key in missing["block"]),
            follows=tuple((str(key[1]), str(key[2])) for key in missing["follow"]),
            community=next(((str(key[1]), str(key[2])) for key in missing["role"]), None),
        )
        answer = await self._call("POST", "/facts", request, wire.FactsAnswer)
        blocks = {(int(a), int(b)) for a, b in answer.blocks}
        follows = {(int(a), int(b)) for a, b in answer.follows}
        found: dict[Key, Any] = {}
        for key in missing["account"]:
            found[key] = _standing(answer.accounts.get(str(key[1])))
        for key in missing["block"]:
            found[key] = key[1:] in blocks
        for key in missing["follow"]:
            found[key] = key[1:] in follows
        for key in missing["role"]:
            found[key] = CommunityRole(answer.community_role)
        self._keep(found, seen)
        return found

    async def blocked_by(self, owner: AccountId) -> Sequence[AccountId]:
        """Everybody whom `owner` blocks, ascending."""
        return await self._all_ids(f"/accounts/{owner}/blocks")

    async def muted_by(self, owner: AccountId) -> Sequence[AccountId]:
        """Everybody whom `owner` mutes, ascending."""
        return await self._all_ids(f"/accounts/{owner}/mutes")

    async def following(self, account: AccountId) -> Sequence[AccountId]:
        """Whom `account` follows, ascending."""
        return await self._all_ids(f"/accounts/{account}/following")

    async def followers(self, account: AccountId, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        """Who follows `account`, ascending, a page."""
        return await self._ids(f"/accounts/{account}/followers", after, limit)

    async def community_members(self, community: int, after: AccountId = 0, limit: int = 1000) -> Sequence[AccountId]:
        """Members of a community, ascending, a page."""
        return await self._ids(f"/communities/{community}/members", after, limit)

    async def profiles(self, accounts: Iterable[AccountId]) -> dict[AccountId, Profile]:
        """Profiles of those that exist."""
        return await self._many(
            "profile", accounts, lambda ids: self._profiles("/profiles", wire.IdsRequest(accounts=tuple(map(str, ids))))
        )

    async def by_handle(self, handles: Iterable[str]) -> dict[str, Profile]:
        """Profiles by handle (lower case), of those that exist. Not cached: a handle may change hands."""
        found: dict[str, Profile] = {}
        for chunk in chunks(dict.fromkeys(handle.lower() for handle in handles), _MOST_IDS):
            request = wire.HandlesRequest(handles=tuple(chunk))
            profiles = await self._profiles("/profiles/by-handle", request)
            found.update((profile.handle, profile) for profile in profiles.values())
        return found

    async def community_roles(self, community: int, accounts: Iterable[AccountId]) -> dict[AccountId, CommunityRole]:
        """Roles in a community, of those who have one."""
        found: dict[AccountId, CommunityRole] = {}
        for chunk in chunks(accounts, _MOST_IDS):
            request = wire.IdsRequest(accounts=tuple(map(str, chunk)))
            answer = await self._call("POST", f"/communities/{community}/roles", request, wire.RolesAnswer)
            found.update((int(account), CommunityRole(role)) for account, role in answer.roles.items())
        return found

    # Changes

    async def apply(self, event: AccountEvent, actor: Actor, at_ms: int) -> bool:
        """Makes `event` so, over there or (bans) here, then records it in our account log; False if it was so already.

        What was made so there but, by a crash, not recorded here is not told again.
        """
        change = _change(event)
        if change is None:
            return await self._db.write(lambda c: _platform(c, event, actor, at_ms))
        changed = await self._change(change)
        if changed:
            await self._db.write(lambda c: account_log.append(c, [event], actor, at_ms))
        return changed

    async def mute(self, by: AccountId, account: AccountId, on: bool, at_ms: int) -> bool:
        """Mutes or unmutes an account for `by`. Tells whether it changed."""
        return await self._change(wire.ChangeRequest(kind="mute", by=str(by), account=str(account), on=on))

    async def _change(self, change: wire.ChangeRequest) -> bool:
        answer = await self._call("POST", "/changes", change, wire.Changed)
        self.invalidate({int(change.by), *((int(change.account),) if change.account else ())})
        return answer.changed

    # The wire

    async def _profiles(self, path: str, request: msgspec.Struct) -> dict[AccountId, Profile]:
        answer = await self._call("POST", path, request, wire.ProfilesAnswer)
        return {
            int(p.id): Profile(**{**msgspec.structs.asdict(p), "id": int(p.id)})  # same fields, but for the id's type
            for p in answer.profiles
        }

    async def _many(self, name: str, wanted: Iterable[int], ask: Callable[[Sequence[int]], Any]) -> dict[int, Profile]:
        ids = tuple(dict.fromkeys(wanted))
        known: dict[int, Profile | None] = {i: self._cache[name, i] for i in ids if (name, i) in self._cache}
        for chunk in chunks([i for i in ids if i not in known], _MOST_IDS):
            seen = self._forgotten
            found = await ask(chunk)
            self._keep({(name, i): found.get(i) for i in chunk}, seen)
            known.update(found)
        return {i: profile for i in ids if (profile := known.get(i)) is not None}

    def _keep(self, found: dict[Key, Any], seen: int) -> None:
        # An invalidation that came while we were asking may be younger than the answer.
        if seen == self._forgotten:
            self._cache.update(found)

    async def _all_ids(self, path: str) -> list[AccountId]:
        found: list[AccountId] = []
        while True:
            page = await self._ids(path, found[-1] if found else 0, _PAGE)
            found.extend(page)
            if len(page) < _PAGE:
                return found

    async def _ids(self, path: str, after: int, limit: int) -> list[AccountId]:
        answer = await self._call("GET", f"{path}?after={after}&limit={limit}", None, wire.IdsPage)
        return [int(account) for account in answer.ids]

    async def _call(self, method: str, path: str, request: msgspec.Struct | None, answer: type[Answer]) -> Answer:
        body = msgspec.json.encode(request) if request is not None else b""
        url = httpx.URL(str(self._base) + path)

        async def once() -> bytes:
            timestamp = self._clock.now_ms() // 1000
            headers = {
                "content-type": "application/json",
                wire.TIMESTAMP_HEADER: str(timestamp),
                wire.SIGNATURE_HEADER: wire.sign(self._key, timestamp, method, url.raw_path.decode(), body),
            }
            response = await self._http.request(method, url, content=body, headers=headers)
            if response.status_code in {429, 502, 503, 504}:
                raise _Busy(response.status_code)
            response.raise_for_status()
            return response.content

        try:
            return msgspec.json.decode(await self._retry(once), type=answer)
        except (httpx.HTTPError, _Busy, msgspec.DecodeError) as error:
            raise ServiceError("graph.unavailable") from error


def _standing(standing: wire.Standing | None) -> AccountFacts:
    if standing is None:
        return AccountFacts(exists=False)
    return AccountFacts(exists=standing.exists, protected=standing.protected, followers=standing.followers)


def _change(event: AccountEvent) -> wire.ChangeRequest | None:
    match event:
        case AccountBlocked(by=by, account=account):
            return wire.ChangeRequest(kind="block", by=str(by), account=str(account), on=True)
        case AccountUnblocked(by=by, account=account):
            return wire.ChangeRequest(kind="block", by=str(by), account=str(account), on=False)
        case Followed(by=by, account=account, on=on):
            return wire.ChangeRequest(kind="follow", by=str(by), account=str(account), on=on)
        case Protected(account=account, on=on):
            return wire.ChangeRequest(kind="protected", by=str(account), on=on)
        case ListeningVisibility(account=account, visible=visible):
            return wire.ChangeRequest(kind="listening_visible", by=str(account), on=visible)
        case _:
            return None


def _platform(c: sa.Connection, event: AccountEvent, actor: Actor, at_ms: int) -> bool:
    match event:
        case LiveBanned(account=account, reason=reason, until_ms=until_ms):
            account_store.ban(c, account, reason, until_ms, actor.account, at_ms)
        case BanLifted(account=account):
            if not account_store.lift_ban(c, account):
                return False
        case _:
            pass  # an appeal is only recorded
    account_log.append(c, [event], actor, at_ms)
    return True


def _banned(c: sa.Connection, accounts: Iterable[AccountId], now_ms: int) -> set[AccountId]:
    return {account for account, until in graph_store.bans(c, accounts).items() if until is None or until > now_ms}


class Invalidations:
    """Takes the deployment's word, signed with the same key, that accounts have changed over there."""

    def __init__(
        self, graph: HttpGraph, key: bytes, told: Callable[[Sequence[AccountId]], None] = lambda accounts: None
    ) -> None:
        """On the graph whose cache is meant; `told` is given whose profiles may have changed."""
        self._graph = graph
        self._key = key
        self._told = told

    def take(self, method: str, target: str, headers: Mapping[str, str], body: bytes, now_s: int) -> None:
        """Forgets what is cached of the accounts named. Raises ServiceError `auth.token_invalid`, `request.invalid`."""
        timestamp, signature = headers.get(wire.TIMESTAMP_HEADER, ""), headers.get(wire.SIGNATURE_HEADER, "")
        if not wire.genuine(self._key, timestamp, signature, method, target, body, now_s):
            raise ServiceError("auth.token_invalid", "Not signed with the graph's key.")
        try:
            changed = msgspec.json.decode(body, type=wire.IdsRequest)
            accounts = [int(account) for account in changed.accounts]
        except (msgspec.DecodeError, ValueError) as error:
            raise ServiceError("request.invalid", 'Expected {"accounts": [ids]}.') from error
        self._graph.invalidate(accounts)
        self._told(accounts)
