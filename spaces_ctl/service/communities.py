"""Communities: members, moderators, admins. Admins and moderators host Spaces in them (`community.role_required`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import msgspec
import sqlalchemy as sa

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId, CommunityRole
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal, SocialGraph
from spaces_ctl.store import communities as store
from spaces_ctl.store.communities import Community
from spaces_ctl.store.database import Database

__all__ = ["Communities", "Community"]

_HANDLE = re.compile(r"[a-z0-9_]{3,30}")
_MANAGES = (CommunityRole.ADMIN, CommunityRole.MODERATOR)


class Communities:
    """The embedded communities. With a graph of the deployment's own, roles are read there and not changed here."""

    def __init__(
        self, *, db: Database, clock: Clock, new_id: Callable[[], int], graph: SocialGraph, embedded: bool = True
    ) -> None:
        """`embedded`: roles are ours to change."""
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._graph = graph
        self._embedded = embedded

    async def create(
        self, principal: Principal, handle: str, name: str, description: str = "", *, open: bool = True
    ) -> Community:
        """A new community whose admin is the principal. Raises ServiceError request.invalid, account.exists."""
        account = self._member(principal)
        if not _HANDLE.fullmatch(handle):
            raise ServiceError("request.invalid", "handle: 3 to 30 of a-z, 0-9 and _")
        new = Community(
            id=self._new_id(),
            handle=handle,
            name=_text(name, "name", 1, 80),
            description=_text(description, "description", 0, 400),
            open=open,
            created_ms=self._clock.now_ms(),
        )

        def write(c: sa.Connection) -> Community:
            if not store.insert(c, new):
                raise ServiceError("account.exists")
            store.set_role(c, new.id, account, CommunityRole.ADMIN)
            return store.one(c, new.id) or new

        return await self._db.write(write)

    async def get(self, community: int) -> Community:
        """Raises ServiceError community.not_found."""
        return _found(await self._db.read(lambda c: store.one(c, community)))

    async def by_handle(self, handle: str) -> Community:
        """Raises ServiceError community.not_found."""
        return _found(await self._db.read(lambda c: store.by_handle(c, handle.lower())))

    async def page(self, before: int | None = None, limit: int = 50) -> Sequence[Community]:
        """All, latest first."""
        return await self._db.read(lambda c: store.page(c, before, min(limit, 100)))

    async def mine(self, principal: Principal) -> Sequence[tuple[Community, CommunityRole]]:
        """Those of the principal, with the role."""
        if principal.account is None:
            raise ServiceError("auth.token_missing")
        account = principal.account
        return await self._db.read(lambda c: store.mine(c, account))

    async def members(
        self, community: int, after: AccountId = 0, limit: int = 100
    ) -> Sequence[tuple[AccountId, CommunityRole]]:
        """Members ascending by account, a page. Raises ServiceError community.not_found."""
        await self.get(community)
        page = await self._graph.community_members(community, after, min(limit, 1000))
        roles = await self._graph.community_roles(community, page)
        return [(account, roles[account]) for account in page if account in roles]

    async def badges(self, community: int, accounts: Iterable[AccountId]) -> dict[AccountId, CommunityRole]:
        """Which of these bear the community's badge in its Spaces."""
        return await self._graph.community_roles(community, accounts)

    async def edit(
        self,
        principal: Principal,
        community: int,
        *,
        name: str | None = None,
        description: str | None = None,
        open: bool | None = None,
    ) -> Community:
        """Admins only. Raises ServiceError community.not_found, community.role_required, request.invalid."""
        me = self._member(principal)

        def write(c: sa.Connection) -> Community:
            old = _found(store.one(c, community, lock=True))
            if store.role(c, community, me) is not CommunityRole.ADMIN:
                raise ServiceError("community.role_required")
            changed = msgspec.structs.replace(
                old,
                name=old.name if name is None else _text(name, "name", 1, 80),
                description=old.description if description is None else _text(description, "description", 0, 400),
                open=old.open if open is None else open,
            )
            store.update(c, changed)
            return changed

        return await self._db.write(write)

    async def join(self, principal: Principal, community: int) -> None:
        """Becomes a member of an open community. Raises ServiceError community.role_required if it is not open."""
        me = self._member(principal)

        def write(c: sa.Connection) -> None:
            found = _found(store.one(c, community, lock=True))
            if store.role(c, community, me) is not CommunityRole.NONE:
                return
            if not found.open:
                raise ServiceError("community.role_required", "Its admins and moderators add members.")
            store.set_role(c, community, me, CommunityRole.MEMBER)

        await self._db.write(write)

    async def leave(self, principal: Principal, community: int) -> None:
        """Leaves. Raises ServiceError role.forbidden for the last admin."""
        me = self._member(principal)
        await self._db.write(lambda c: self._set(c, community, me, CommunityRole.NONE))

    async def set_role(self, principal: Principal, community: int, account: AccountId, role: CommunityRole) -> None:
        """Admins give every role; moderators add and put out members. The last admin stays.

        Raises ServiceError community.not_found, community.role_required, role.forbidden.
        """
        me = self._member(principal)

        def write(c: sa.Connection) -> None:
            _found(store.one(c, community, lock=True))
            own, old = store.role(c, community, me), store.role(c, community, account)
            ranks = {role, old}
            if own not in _MANAGES or (own is CommunityRole.MODERATOR and ranks & set(_MANAGES)):
                raise ServiceError("community.role_required")
            self._set(c, community, account, role)

        await self._db.write(write)

    def _set(self, c: sa.Connection, community: int, account: AccountId, role: CommunityRole) -> None:
        _found(store.one(c, community, lock=True))
        was_admin = store.role(c, community, account) is CommunityRole.ADMIN
        if was_admin and role is not CommunityRole.ADMIN and store.admins(c, community) == 1:
            raise ServiceError("role.forbidden", "A community needs an admin.")
        store.set_role(c, community, account, role)

    def _member(self, principal: Principal) -> AccountId:
        if principal.account is None:
            raise ServiceError("auth.token_missing")
        if not self._embedded:
            raise ServiceError("role.forbidden", "Communities are managed elsewhere.")
        return principal.account


def _found(community: Community | None) -> Community:
    if community is None:
        raise ServiceError("community.not_found")
    return community


def _text(text: str, name: str, least: int, most: int) -> str:
    text = text.strip()
    if not least <= len(text) <= most:
        raise ServiceError("request.invalid", f"{name}: {least} to {most} characters")
    return text
