from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from spaces_ctl.clock import ManualClock
from spaces_ctl.model import CommunityRole
from spaces_ctl.service.communities import Communities
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.graph import EmbeddedGraph
from spaces_ctl.service.ports import Principal
from spaces_ctl.store.database import Database

ADMIN, MOD, MEMBER, OTHER = (Principal(account=account) for account in (1, 2, 3, 4))


@pytest.fixture
def communities(db: Database, clock: ManualClock, new_id: Callable[[], int]) -> Communities:
    return Communities(db=db, clock=clock, new_id=new_id, graph=EmbeddedGraph(db=db))


@pytest.fixture
async def club(communities: Communities) -> int:
    club = await communities.create(ADMIN, "club", "The club")
    await communities.join(MEMBER, club.id)
    await communities.set_role(ADMIN, club.id, 2, CommunityRole.MODERATOR)
    return club.id


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(ServiceError) as error:
        await call
    return error.value.code


async def test_members_are_listed_counted_and_badged(communities: Communities, club: int) -> None:
    everybody = [(1, CommunityRole.ADMIN), (2, CommunityRole.MODERATOR), (3, CommunityRole.MEMBER)]
    assert await communities.members(club) == everybody
    assert await communities.members(club, after=1, limit=1) == everybody[1:2]
    assert (await communities.by_handle("Club")).members == 3
    assert await communities.badges(club, [3, 4]) == {3: CommunityRole.MEMBER}
    await communities.join(MEMBER, club)
    assert (await communities.get(club)).members == 3, "joining twice is joining once"
    await communities.leave(MEMBER, club)
    assert (await communities.get(club)).members == 2
    assert [(found.id, role) for found, role in await communities.mine(MOD)] == [(club, CommunityRole.MODERATOR)]


async def test_who_may_give_which_role(communities: Communities, club: int) -> None:
    await communities.set_role(MOD, club, 4, CommunityRole.MEMBER)
    await communities.set_role(MOD, club, 4, CommunityRole.NONE)
    for who, account, role in (
        (MOD, 3, CommunityRole.MODERATOR),
        (MOD, 1, CommunityRole.NONE),
        (MEMBER, 4, CommunityRole.MEMBER),
        (OTHER, 4, CommunityRole.ADMIN),
    ):
        assert await refused(communities.set_role(who, club, account, role)) == "community.role_required"
    assert await refused(communities.edit(MOD, club, name="x")) == "community.role_required"


async def test_the_last_admin_stays_also_when_two_leave_at_once(communities: Communities, club: int) -> None:
    assert await refused(communities.leave(ADMIN, club)) == "role.forbidden"
    assert await refused(communities.set_role(ADMIN, club, 1, CommunityRole.MEMBER)) == "role.forbidden"
    await communities.set_role(ADMIN, club, 2, CommunityRole.ADMIN)
    left = await asyncio.gather(communities.leave(ADMIN, club), communities.leave(MOD, club), return_exceptions=True)
    assert sum(isinstance(outcome, ServiceError) for outcome in left) == 1


async def test_a_closed_community_is_joined_by_being_added(communities: Communities, club: int) -> None:
    await communities.edit(ADMIN, club, open=False, name=" New ")
    assert (await communities.get(club)).name == "New"
    assert await refused(communities.join(OTHER, club)) == "community.role_required"
    await communities.set_role(MOD, club, 4, CommunityRole.MEMBER)
    await communities.join(OTHER, club)


async def test_refusals(db: Database, communities: Communities, club: int) -> None:
    assert await refused(communities.create(OTHER, "club", "Again")) == "account.exists"
    assert await refused(communities.create(OTHER, "no spaces", "x")) == "request.invalid"
    assert await refused(communities.create(OTHER, "fine", " ")) == "request.invalid"
    assert await refused(communities.create(Principal(), "fine", "x")) == "auth.token_missing"
    assert await refused(communities.get(99)) == "community.not_found"
    assert await refused(communities.join(OTHER, 99)) == "community.not_found"
    graph = EmbeddedGraph(db=db)
    foreign = Communities(db=db, clock=ManualClock(), new_id=lambda: 1, graph=graph, embedded=False)
    assert await refused(foreign.join(OTHER, club)) == "role.forbidden"


async def test_all_are_paged_latest_first(communities: Communities) -> None:
    made = [(await communities.create(ADMIN, f"club{number}", "x")).id for number in range(3)]
    first = await communities.page(limit=2)
    assert [one.id for one in first] == made[:0:-1]
    assert [one.id for one in await communities.page(before=first[-1].id)] == made[:1]
