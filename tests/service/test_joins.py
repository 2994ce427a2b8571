"""Who may come in, with what, and what others see of them."""

import pytest

from spaces_ctl import commands as c
from spaces_ctl.engine import SetRevoked, TokenSigner
from spaces_ctl.model import Actor, Role, Ticketing
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.joins import Joins
from spaces_ctl.service.tokens import GUEST_SID, Tokens, sid_of
from tests.support.worlds import ANN, BEN, CID, HOST, World, who


class Door:
    def __init__(self, world: World) -> None:
        self.world = world
        self.tokens = Tokens(signer=TokenSigner.generate(), engine=world.engine, clock=world.clock, db=world.db)
        self.pin: bytes | None = b"x"
        self.joins = Joins(
            spaces=world.spaces,
            engine=world.engine,
            graph=world.graph,
            tokens=self.tokens,
            media_urls=("https://one:1", "wss://two:2"),
            certificate_sha256=lambda: self.pin,
        )

    async def refusal(self, actor: Actor, space: int) -> str:
        with pytest.raises(ServiceError) as refused:
            await self.joins.join(actor, space)
        return refused.value.code


@pytest.fixture
async def door(world: World) -> Door:
    return Door(world)


async def test_what_has_to_be_pinned_is_that_of_the_moment(door: Door) -> None:
    space = await door.world.live()
    pins: list[bytes | None] = [b"x", b"renewed", None]
    handed: list[bytes | None] = []
    for door.pin in pins:
        handed.append((await door.joins.join(who(ANN), space)).certificate_sha256)
    assert handed == pins


async def test_each_gets_role_seat_and_address(door: Door) -> None:
    space = await door.world.live()
    await door.world.speaks(space, ANN)
    host = await door.joins.join(who(HOST), space, "session")
    assert (host.role, host.seat, host.muted) == (Role.HOST, 0, True)
    assert [url.split("/spaces/")[0] for url in host.urls] == ["https://one:1", "wss://two:2"]
    ann = await door.joins.join(who(ANN), space, "session")
    assert (ann.role, ann.seat, ann.muted) == (Role.SPEAKER, 1, False)
    listener = await door.joins.join(who(BEN), space, "session")
    assert (listener.role, listener.seat) == (Role.LISTENER, None)
    assert (await door.joins.join(Actor(), space)).role is Role.GUEST
    assert (await door.joins.join(who(BEN, anonymous=True), space)).role is Role.ANONYMOUS


async def test_refusals_have_the_policys_codes(door: Door) -> None:
    world = door.world
    world.graph.blocks.add((HOST, BEN))
    lobby = (await world.spaces.create(who(CID), c.Create())).space.id
    assert await door.refusal(who(ANN), lobby) == "state.lobby"
    space = await world.live()
    await world.speaks(space, ANN)
    assert await door.refusal(who(BEN), space) == "participant.blocked_by_host"
    assert await door.refusal(who(BEN, anonymous=True), space) == "participant.blocked_by_host"
    assert await door.refusal(who(ANN, anonymous=True), space) == "role.forbidden"
    await world.do(HOST, space, c.Remove(account=ANN))
    assert await door.refusal(who(ANN), space) == "participant.removed"
    assert await door.refusal(who(ANN), 5) == "space.not_found"
    await world.do(HOST, space, c.End())
    assert await door.refusal(who(CID), space) == "state.ended"


async def test_only_ticket_holders_hear_a_ticketed_space(door: Door) -> None:
    world = door.world
    space = await world.live(ticketing=Ticketing(price_minor=500, currency="EUR", quantity=1))
    assert await door.refusal(who(ANN), space) == "ticket.required"
    assert world.engine.connect(space, ANN, ANN) == "ticket.required"
    await world.spaces.execute(Actor(system=True), space, c.BuyTicket(account=ANN, payment="p1"))
    assert (await door.joins.join(who(ANN), space)).role is Role.LISTENER
    assert world.engine.connect(space, ANN, ANN) is None
    await world.spaces.execute(Actor(system=True), space, c.RefundTicket(account=ANN, payment="p1"))
    assert await world.engine.present(space, [ANN]) == set()


async def test_blocked_people_are_labelled_for_the_viewer_alone(door: Door) -> None:
    world = door.world
    space = await world.live()
    await world.speaks(space, ANN, BEN)
    await world.enter(space, CID)
    world.graph.blocks |= {(CID, ANN), (CID, BEN)}
    assert (await door.joins.join(who(CID), space)).notices == ("You have blocked 2 people who are speaking.",)
    assert (await door.joins.join(who(HOST), space)).notices == ()
    seen = {person.profile.id: person.blocked for person in (await door.joins.roster(CID, space)).people}
    assert seen == {HOST: False, ANN: True, BEN: True, CID: False}
    assert not any(person.blocked for person in (await door.joins.roster(ANN, space)).people)
    assert (await door.joins.peek(None, space)).notices == ()


async def test_the_roster_is_paged_and_shows_nobody_unnamed(door: Door) -> None:
    world = door.world
    space = await world.live()
    await world.enter(space, *range(100, 110))
    assert world.engine.connect(space, 500, 500, anonymous=True) is None
    seen, after = [], 0
    while True:
        page = await door.joins.roster(None, space, after=after, limit=4)
        seen += [person.profile.id for person in page.people]
        if page.next is None:
            break
        after = page.next
    assert seen == [HOST, *range(100, 110)]


async def test_tokens_are_minted_seldom_and_signing_out_ends_them(door: Door) -> None:
    world = door.world
    space = await world.live()
    first = await door.joins.join(Actor(), space)
    world.clock.advance(seconds=600)
    assert (await door.joins.join(Actor(), space)).token == first.token
    world.clock.advance(seconds=1300)
    assert (await door.joins.join(Actor(), space)).token != first.token
    assert door.tokens.guest().sid == GUEST_SID
    mine = await door.joins.join(who(ANN), space, "my session")
    assert (await door.joins.join(who(ANN), space, "my session")).token == mine.token
    assert world.engine.connect(space, ANN, sid_of("my session")) is None
    await door.joins.sign_out("my session")
    assert await world.engine.present(space, [ANN]) == set()
    assert world.engine.connect(space, ANN, sid_of("my session")) == "auth.session_revoked"
    again = world.again()
    await Door(again).tokens.boot()
    assert isinstance(again.engine.applied[-1], SetRevoked)
    assert list(again.engine.applied[-1].sids) == [sid_of("my session")], "over a restart too"
