"""Scenarios, as in `api_scenarios`, of what is around Spaces."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spaces_ctl import commands as c
from spaces_ctl.api import wire
from spaces_ctl.model import CommunityRole, SpaceId, Ticketing
from spaces_ctl.service.communities import Community
from spaces_ctl.service.discovery import Topic
from spaces_ctl.service.ports import PaymentOrder, Principal
from spaces_ctl.service.tickets import Order
from spaces_ctl.store import webhooks as webhook_store
from spaces_ctl.store.tables.moderation import report_cases
from spaces_ctl.store.tables.notifications import push_subscriptions
from spaces_ctl.store.tables.webhooks import webhook_endpoints
from tests.support.api_scenarios import PINNED, Ready, Scenario, end_all, standing
from tests.support.api_world import ANN, DAN, EVE, HOST, MODERATOR, OPERATOR, ApiWorld

__all__ = ["SCENARIOS", "TOPIC", "case_of", "community", "order_of", "pay", "ticketed", "webhook_of"]

TOPIC = "music"
WEBHOOK = "https://hooks.example.org/spaces"
PUSH = {
    "endpoint": "https://push.example.org/ann",
    "keys": {"p256dh": "B" * 87, "auth": "a" * 22},
}


def person(account: int) -> Principal:
    return Principal(account=account, scopes=frozenset({"*"}))


def _plain(who: int | None, body: Any = None, query: dict[str, Any] | None = None, **path: str) -> Scenario:
    async def ready(world: ApiWorld) -> Ready:
        return Ready(who, path, body, query or {})

    return ready


def _standing(who: int | None, body: Any = None, **path: str) -> Scenario:
    async def ready(world: ApiWorld) -> Ready:
        space = await standing(world)
        return Ready(who, {"space": wire.space_text(space), **path}, body)

    return ready


# Communities


async def community(world: ApiWorld, **more: Any) -> Community:
    """The host's."""
    return await world.more.around.communities.create(person(HOST), f"c{world.ids.next()}", "A community", **more)


def _community(who: int | None, body: Any = None, *members: int, **path: str) -> Scenario:
    async def ready(world: ApiWorld) -> Ready:
        made = await community(world)
        for member in members:
            await world.more.around.communities.join(person(member), made.id)
        return Ready(who, {"community": str(made.id), **path}, body)

    return ready


async def _create_community(world: ApiWorld) -> Ready:
    return Ready(ANN, {}, {"handle": f"c{world.ids.next()}", "name": "A community"})


# Topics


async def _topic(world: ApiWorld) -> Ready:
    operator = Principal(account=OPERATOR, operator=True)
    await world.more.around.discovery.put_topic(operator, Topic(id=TOPIC, name="Music", description="", place=0))
    return Ready(OPERATOR, {"topic": TOPIC})


# Moderation


async def case_of(world: ApiWorld, space: SpaceId) -> int:
    """A listener reports the Space."""
    await world.do(DAN, space, c.ReportSpace(reason="spam", detail="Again and again."))
    await world.more.react()
    found = await world.db.read(
        lambda k: k.execute(sa.select(report_cases.c.id).where(report_cases.c.space == space)).scalars().all()
    )
    return int(found[0])


def _case(body: Any = None) -> Scenario:
    async def ready(world: ApiWorld) -> Ready:
        return Ready(MODERATOR, {"id": str(await case_of(world, await standing(world)))}, body)

    return ready


# Tickets


async def ticketed(world: ApiWorld, *, quantity: int = 5) -> SpaceId:
    """A live Space to which one needs a ticket."""
    await end_all(world)
    return await world.live(ticketing=Ticketing(price_minor=500, currency="EUR", quantity=quantity))


async def order_of(world: ApiWorld, space: SpaceId, account: int) -> Order:
    return await world.more.around.tickets.checkout(person(account), space)


def pay(world: ApiWorld, order: Order) -> tuple[dict[str, str], bytes]:
    """The provider's word that it was paid: headers, body."""
    paid = PaymentOrder(
        order=order.id,
        space=order.space,
        account=order.account,
        price_minor=order.price_minor,
        currency=order.currency,
        expires_ms=order.expires_ms,
    )
    return world.more.payments.message(paid, "paid")


async def _checkout(world: ApiWorld) -> Ready:
    return Ready(EVE, {"space": wire.space_text(await ticketed(world))})


async def _order(world: ApiWorld) -> Ready:
    return Ready(EVE, {"id": str((await order_of(world, await ticketed(world), EVE)).id)})


async def _buyers(world: ApiWorld) -> Ready:
    space = await ticketed(world)
    await world.more.around.tickets.on_payment(*pay(world, await order_of(world, space, EVE)))
    return Ready(HOST, {"space": wire.space_text(space)})


# Webhooks, push


async def webhook_of(world: ApiWorld, owner: int = OPERATOR) -> int:
    """An endpoint, the only one there is."""
    await world.db.write(lambda k: k.execute(sa.delete(webhook_endpoints)))
    principal = Principal(account=owner, operator=owner == OPERATOR, scopes=frozenset({"*"}))
    return (await world.more.around.webhooks.register(principal, WEBHOOK)).id


def _webhook(body: Any = None) -> Scenario:
    async def ready(world: ApiWorld) -> Ready:
        endpoint = await webhook_of(world)
        message = webhook_store.Message(
            endpoint=endpoint, sequence=7, space=1, kind="started", body="{}", state="delivered", created_ms=1
        )
        await world.db.write(lambda k: webhook_store.enqueue(k, [message]))
        return Ready(OPERATOR, {"id": str(endpoint), "sequence": "7"}, body)

    return ready


async def _create_webhook(world: ApiWorld) -> Ready:
    await webhook_of(world)
    return Ready(OPERATOR, {}, {"url": WEBHOOK})


async def _subscribe(world: ApiWorld) -> Ready:
    await world.db.write(lambda k: k.execute(sa.delete(push_subscriptions)))
    return Ready(ANN, {}, PUSH)


async def _unsubscribe(world: ApiWorld) -> Ready:
    await _subscribe(world)
    keys: Any = PUSH["keys"]
    made = await world.more.around.notifications.subscribe_push(person(ANN), WEBHOOK, keys["p256dh"], keys["auth"])
    return Ready(ANN, {"id": str(made.id)})


# Posts


async def _own_post(world: ApiWorld) -> Ready:
    made = await world.more.around.posts.write(person(ANN), "Well said", poll=["a", "b"])
    return Ready(ANN, {"post": str(made.id)}, None)


async def _vote(world: ApiWorld) -> Ready:
    made = await world.more.around.posts.write(person(ANN), "Well?", poll=["a", "b"])
    return Ready(DAN, {"post": str(made.id)}, {"option": 1})


async def _invite(world: ApiWorld) -> Ready:
    space = await standing(world)
    return Ready(ANN, {"account": str(EVE)}, {"space": wire.space_text(space), "text": "Come in"})


SCENARIOS: dict[str, Scenario] = {
    "getBar": _plain(ANN),
    "discoverSpaces": _plain(None, None, {"tab": "trending"}),
    "findSpaces": _plain(None, None, {"query": "tea*"}),
    "listTopics": _plain(None),
    "putTopic": _plain(OPERATOR, {"name": "Music"}, topic=TOPIC),
    "deleteTopic": _topic,
    "listTopicSpaces": _plain(None, topic=TOPIC),
    "listAccountSpaces": _plain(None, account=str(HOST)),
    "listReminders": _plain(ANN),
    "listNotifications": _plain(ANN),
    "readNotifications": _plain(ANN, {"ids": ["1"]}),
    "getNotificationSettings": _plain(ANN),
    "putNotificationSettings": _plain(ANN, {"push": False}),
    "listNotificationKinds": _plain(None),
    "listPush": _plain(ANN),
    "subscribePush": _subscribe,
    "unsubscribePush": _unsubscribe,
    "listWebhooks": _webhook(),
    "createWebhook": _create_webhook,
    "deleteWebhook": _webhook(),
    "changeWebhook": _webhook({"enabled": False}),
    "rotateWebhookSecret": _webhook(),
    "listWebhookMessages": _webhook(),
    "listWebhookAttempts": _webhook(),
    "redeliverWebhookMessage": _webhook(),
    "checkoutTicket": _checkout,
    "getLimits": _plain(None),
    "listOrders": _plain(EVE),
    "getOrder": _order,
    "listBuyers": _buyers,
    "listCommunities": _plain(None),
    "createCommunity": _create_community,
    "listOwnCommunities": _plain(HOST),
    "getCommunity": _community(None),
    "editCommunity": _community(HOST, {"name": "Another name"}),
    "listMembers": _community(None, None, ANN),
    "joinCommunity": _community(ANN),
    "leaveCommunity": _community(ANN, None, ANN),
    "setCommunityRole": _community(HOST, {"role": CommunityRole.MODERATOR.value}, ANN, account=str(ANN)),
    "listCommunitySpaces": _community(None),
    "createPost": _plain(ANN, {"text": "Well said"}),
    "getPost": _standing(DAN, None, post=str(PINNED)),
    "deletePost": _own_post,
    "votePost": _vote,
    "listReplies": _own_post,
    "listAccountPosts": _plain(None, account=str(ANN)),
    "listPinned": _standing(DAN),
    "listMessages": _plain(EVE),
    "inviteToListen": _invite,
    "listCases": _plain(MODERATOR),
    "getCase": _case(),
    "claimCase": _case(),
    "releaseCase": _case(),
    "resolveCase": _case({"outcome": "dismissed", "why": "Nothing is wrong."}),
    "endForViolation": _standing(MODERATOR, {"why": "Threats."}),
    "listModeration": _plain(MODERATOR),
    "listAppeals": _plain(MODERATOR),
    "getAnalytics": _standing(HOST),
}
