"""A deployment with Spaces, people, posts and tickets behind the X API on loopback, and X's clients pointed at it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import aiohttp
import requests
import tweepy
import tweepy.asynchronous
import xdk
import yarl

from spaces_ctl import commands as c
from spaces_ctl.api.wire import space_text
from spaces_ctl.api.xapi.rates import XRates
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import Actor, SpaceId
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.posts import EmbeddedPosts
from spaces_ctl.service.xapi import SpeakerIds, XApi
from spaces_ctl.store.database import Database
from tests.support.identity import Identity, serving
from tests.support.worlds import World

__all__ = ["XWorld", "rebased_async", "rebased_tweepy", "served"]

T = TypeVar("T")
ALL = "space.read tweet.read users.read offline.access"


class XWorld:
    """What the tests ask of the deployment."""

    def __init__(self, db: Database, clock: ManualClock, url: str) -> None:
        self.clock, self.url = clock, url
        self.identity = Identity(db, clock, url)
        limits = Limits(max_topics=3)
        self.world = World(db, graph=cast("Any", self.identity.graph), clock=clock, limits=limits)
        self.spaces = self.world.spaces
        self.posts = EmbeddedPosts(
            db=db,
            clock=clock,
            new_id=self.world.ids.next,
            graph=self.identity.graph,
            muted_by=self.identity.graph.muted_by,
        )
        self.db = db
        self.rates = XRates(self.identity.windows)
        self.speaker_ids = SpeakerIds.NOW

    def app(self) -> Any:
        xapi = XApi(
            db=self.db,
            graph=self.identity.graph,
            posts=self.posts,
            space_of=self.spaces.get,
            participants=lambda space: self.spaces.counters.audience(space).named,
            speaker_ids=self.speaker_ids,
        )
        return self.identity.app(xapi=xapi, x_rates=self.rates)

    async def person(self, handle: str) -> int:
        return await self.identity.person(handle, name=handle.title())

    async def space(self, creator: int, **create: Any) -> SpaceId:
        """In its lobby, or scheduled."""
        return (await self.spaces.create(Actor(account=creator), c.Create(**create))).space.id

    async def live(self, creator: int, **create: Any) -> SpaceId:
        space = await self.space(creator, **create)
        await self.give(creator, space, c.Start())
        await self.world.enter(space, creator)
        return space

    async def give(self, account: int, space: SpaceId, command: c.SpaceCommand) -> None:
        await self.spaces.execute(Actor(account=account), space, command)

    async def user_token(self, account: int, scopes: str = ALL) -> str:
        """A person's token for an app."""
        return (await self.identity.oauth.issue("app", account, scopes.split(), life_ms=7_200_000)).access_token


class _Rebase(requests.adapters.HTTPAdapter):
    """tweepy has X's host in its code: the transport leads elsewhere."""

    def __init__(self, base: str) -> None:
        self.base = base
        super().__init__()

    def send(self, request: Any, *more: Any, **options: Any) -> Any:
        request.url = self.base + request.path_url
        return super().send(request, *more, **options)


def rebased_tweepy(base: str, token: str, **options: Any) -> Any:
    """tweepy's client, as it is, on our server."""
    client = tweepy.Client(bearer_token=token, **options)
    client.session.mount("https://api.twitter.com", _Rebase(base))
    return client


@asynccontextmanager
async def rebased_async(base: str, token: str) -> AsyncIterator[Any]:
    """tweepy's asynchronous client, as it is, on our server."""
    place = yarl.URL(base)

    async def rebase(request: Any, handler: Any) -> Any:
        request.url = request.url.with_scheme(place.scheme).with_host(place.host).with_port(place.port)
        return await handler(request)

    client = tweepy.asynchronous.AsyncClient(token)
    async with aiohttp.ClientSession(middlewares=(rebase,)) as session:
        client.session = session
        yield client


def xdk_app(base: str, token: str) -> Any:
    """X's own client with an app's token."""
    return xdk.Client(base_url=base, bearer_token=token)


def xdk_user(base: str, token: str) -> Any:
    """X's own client with a person's token."""
    return xdk.Client(base_url=base, access_token=token)


async def run(work: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """A blocking client's call, beside the server in this loop."""
    return await asyncio.to_thread(work, *arguments, **options)


@asynccontextmanager
async def served(world: XWorld, listener: socket.socket) -> AsyncIterator[str]:
    """The deployment on loopback; its URL."""
    async with serving(world.app(), listener):
        yield world.url


def text(space: SpaceId) -> str:
    """The Space's id as X shows it."""
    return space_text(space)
