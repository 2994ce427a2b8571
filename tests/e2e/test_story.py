"""An evening on `spaces serve` as its people see it: typed client, streams, native clients, the checkout page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import httpx
import pytest

from spaces_ctl.client import Forbidden, PaymentRequired, SpacesClient, Unauthorized
from spaces_ctl.engine import Listener, Speaker
from spaces_ctl.model import Ticketing
from spaces_ctl.policy.limits import Limits
from tests.support.patience import PATIENCE_S
from tests.support.real_server import RealServer, real_server
from tests.support.rooms import GONE, Ear
from tests.support.watching import Watcher, listener, loudest, speaker, tone

PASSWORD = "correct horse"
JOY = Limits().reactions.index("joy")
SOON_S = 1.6
"""How long a count may take to be seen: the engine tells within a second, the stream within 0.6 s of that."""
SLACK_S = 1.0
"""For a machine that does other things."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("story")) as running:
        yield running


class People:
    """Accounts and their clients."""

    def __init__(self, server: RealServer, stack: AsyncExitStack) -> None:
        self.server = server
        self.stack = stack
        self.ids: dict[str, int] = {}

    async def register(self, handle: str) -> SpacesClient:
        client = await self.stack.enter_async_context(SpacesClient(self.server.url))
        self.ids[handle] = (await client.register(handle, PASSWORD)).account.id
        return client

    async def watch(self, client: SpacesClient, space: str) -> Watcher:
        return await self.stack.enter_async_context(Watcher(client, space))

    async def call(self, client: SpacesClient, method: str, path: str) -> Any:
        return await client.transport.request(method, f"/api/v1{path}", dict[str, Any])


@pytest.mark.alone
async def test_an_evening_with_friends(server: RealServer) -> None:
    async with AsyncExitStack() as stack:
        people = People(server, stack)
        ids = people.ids
        host, sam, lee, cora, mel = [await people.register(name) for name in ("hana", "sam", "lee", "cora", "mel")]
        guest = await stack.enter_async_context(SpacesClient(server.url))

        # Logging out and in again
        await host.logout()
        with pytest.raises(Unauthorized):
            await host.me.get()
        assert (await host.login("hana", PASSWORD)).account.id == ids["hana"]

        # Scheduled, and somebody wants to be reminded
        at = int(time.time() * 1000) + 3_600_000
        planned = await host.spaces.create(title="An evening", scheduled_start_ms=at)
        room = host.space(planned.id)
        by_host, by_sam, by_lee, by_mel, by_guest = [
            await people.watch(client, planned.id) for client in (host, sam, lee, mel, guest)
        ]
        await lee.space(planned.id).remind_me()
        await by_lee.sees("subscribed", account=str(ids["lee"]))
        assert [one.id async for one in guest.spaces.listed("upcoming")] == [planned.id]

        # Live: who wanted to know is told
        await room.start()
        for watcher in (by_host, by_sam, by_lee, by_mel, by_guest):
            await watcher.sees("started")
        assert by_guest.told("subscribed") is None
        async with asyncio.timeout(PATIENCE_S):
            while not (notes := (await people.call(lee, "GET", "/me/notifications"))["data"]):
                await asyncio.sleep(0.05)
        assert planned.id in str(notes)
        await room.set_mic_access(True)

        # People come in; one asks to speak
        for client in (host, cora):
            await stack.enter_async_context(listener(await client.space(planned.id).join()))
        ears = await stack.enter_async_context(listener(await lee.space(planned.id).join()))
        sams = await stack.enter_async_context(listener(await sam.space(planned.id).join()))
        mels = await stack.enter_async_context(listener(await mel.space(planned.id).join()))
        await sam.space(planned.id).request()
        await by_host.sees("requested", account=str(ids["sam"]))
        await by_sam.sees("requested", account=str(ids["sam"]))
        assert [one.profile.id async for one in room.requests()] == [ids["sam"]]
        approved = await room.approve(ids["sam"])
        for watcher in (by_host, by_sam, by_lee, by_guest):
            await watcher.sees("speaker_added", account=str(ids["sam"]))
        assert by_guest.told("requested") is None
        assert by_lee.told("requested") is None
        await sams.aclose()

        # Speaking, and being heard
        admission = await sam.space(planned.id).join()
        assert (admission.role, admission.muted) == ("speaker", True)
        mouth = await stack.enter_async_context(speaker(admission))
        await sam.space(planned.id).unmute()
        await by_guest.sees("unmuted", account=str(ids["sam"]))
        talking = asyncio.create_task(_talk(mouth))
        assert await loudest(ears, above=3_000) > 3_000
        raw = Ear(await stack.enter_async_context(listener(await guest.space(planned.id).join())))
        await raw.hears(admission.seat or 0, 10)

        # Muted: the host sees by whom, others do not; no frame after the fence
        muted = await room.mute(ids["sam"])
        assert muted.version > approved.version
        assert (await by_host.sees("muted", account=str(ids["sam"]))).data["by"] == str(ids["hana"])
        assert (await by_sam.sees("muted")).data["by"] == str(ids["hana"])
        assert "by" not in (await by_guest.sees("muted")).data
        await asyncio.sleep(0.3)
        assert muted.fence_group is not None
        assert [f for f in raw.frames if f.seat == admission.seat and f.group > muted.fence_group] == []
        talking.cancel()
        with suppress(asyncio.CancelledError):
            await talking
        await raw.aclose()

        # Blocked: out, at once, and not in again; nobody else is told
        await host.me.block(ids["mel"])
        await by_host.sees("removed", account=str(ids["mel"]))
        await by_mel.sees("removed", account=str(ids["mel"]))
        with pytest.raises(GONE):
            await _listens_for_good(mels)
        with pytest.raises(Forbidden) as refused:
            await mel.space(planned.id).join()
        assert refused.value.code == "participant.blocked_by_host"

        # A co-host, who opens a poll
        await room.add_cohost(ids["cora"])
        await cora.space(planned.id).accept_cohost()
        await by_guest.sees("cohost_added", account=str(ids["cora"]))
        assert by_guest.told("removed") is None
        opened = await cora.space(planned.id).create_poll("Again?", ("yes", "no"))
        assert opened.number is not None
        await by_guest.sees("poll_opened")
        voted_at = time.monotonic()
        await lee.space(planned.id).vote(opened.number, 0)
        await by_lee.sees("poll_voted", account=str(ids["lee"]))
        await by_guest.sees("counts", polls={str(opened.number): [1, 0]})
        votes_s = time.monotonic() - voted_at
        await cora.space(planned.id).close_poll(opened.number)
        await by_guest.sees("poll_closed")
        assert by_guest.told("poll_voted") is None
        assert by_host.told("poll_voted") is None

        # Reactions, by the API and by the audio connection
        reacted_at = time.monotonic()
        for _ in range(3):
            await lee.space(planned.id).react("joy")
        await by_guest.sees_reactions("joy", 3)
        reactions_s = time.monotonic() - reacted_at
        mouth.react(JOY)
        await by_guest.sees_reactions("joy", 4)
        print(f"votes seen after {votes_s:.2f} s, three reactions after {reactions_s:.2f} s")
        assert votes_s < SOON_S + SLACK_S
        assert reactions_s < SOON_S + SLACK_S

        # The end, and how many came
        await room.end()
        for watcher in (by_host, by_sam, by_lee, by_guest):
            await watcher.sees("ended")
        with pytest.raises(GONE):
            await _listens_for_good(ears)
        attendance = await room.attendance()
        assert attendance.peak >= 5
        assert {kind: n for kind, n in attendance.reactions.items() if n} == {"joy": 4}
        # Everybody may know how many came, and no more.
        public = await lee.space(planned.id).attendance()
        assert (public.peak, public.reactions, public.points) == (attendance.peak, {}, ())


async def test_a_ticket_bought_on_the_sandboxs_page(server: RealServer) -> None:
    async with AsyncExitStack() as stack:
        people = People(server, stack)
        host, buyer, other = [await people.register(name) for name in ("tina", "bea", "otto")]
        made = await host.spaces.create(title="Paid", ticketing=Ticketing(price_minor=500, currency="EUR", quantity=1))
        room = host.space(made.id)
        await room.start()
        by_host, by_buyer, by_other = [await people.watch(client, made.id) for client in (host, buyer, other)]
        with pytest.raises(PaymentRequired) as refused:
            await buyer.space(made.id).join()
        assert refused.value.code == "ticket.required"
        order = await people.call(buyer, "POST", f"/spaces/{made.id}/tickets/checkout")
        assert (order["state"], order["price_minor"], order["currency"]) == ("held", 500, "EUR")
        with pytest.raises(PaymentRequired) as refused:
            await people.call(other, "POST", f"/spaces/{made.id}/tickets/checkout")
        assert refused.value.code == "ticket.sold_out"
        async with httpx.AsyncClient() as browser:
            page = await browser.get(order["url"])
            assert "5.00 EUR" in page.text
            assert (await browser.post(order["url"], data={"outcome": "paid"})).status_code == 303
        await by_host.sees("ticket_bought", account=str(people.ids["bea"]))
        await by_buyer.sees("ticket_bought", account=str(people.ids["bea"]))
        assert (await people.call(buyer, "GET", f"/me/orders/{order['id']}"))["state"] == "paid"
        async with listener(await buyer.space(made.id).join()):
            await room.end()
        await by_other.sees("ended")
        assert by_other.told("ticket_bought") is None


async def _listens_for_good(ears: Listener) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async for _ in ears.frames():
            pass


async def _talk(mouth: Speaker) -> None:
    with suppress(*GONE):
        while True:
            await mouth.speak_pcm(tone(2))
