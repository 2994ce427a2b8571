"""Event streams: server-sent events and WebSockets, of one Space or of one's own account.

Both send the same JSON. A stream begins with `hello`, whose position is where the reader stands; who comes back names
the last position (`Last-Event-ID`, or `after`) and misses nothing. It ends with `closed` and a code (WebSocket: close
code 4000 + the code's HTTP status, the code as reason). `stream.slow` means: the messages were not read fast enough;
come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Annotated, Any, NamedTuple

from litestar import Request, WebSocket, get, websocket
from litestar.background_tasks import BackgroundTask
from litestar.exceptions import WebSocketDisconnect
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from litestar.response import Stream

from spaces_ctl.api.gate import principal_of
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.settings import ApiSettings
from spaces_ctl.api.spaces.event_frames import Frame, frame
from spaces_ctl.api.spaces.feeds import Feeds
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.api.spaces.subscribers import Subscriber
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.joins import Joins
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.reading import Reading

__all__ = ["HANDLERS", "close_code"]

LastEventId = Annotated[
    str | None, HeaderParameter(name="last-event-id", pattern="^[0-9]{1,18}$", description="Where the reader stands.")
]
After = Annotated[
    int | None,
    QueryParameter(ge=0, le=2**53 - 1, description="Where the reader stands, instead of `Last-Event-ID`."),
]
Captioned = Annotated[
    bool,
    QueryParameter(name="captions", description="Also what is said, as text: `caption` messages. For who may hear."),
]


class _Stream(NamedTuple):
    """An open stream: what was missed, then what comes."""

    subscriber: Subscriber
    position: int
    missed: list[Frame]


_Opener = Callable[[AsyncExitStack], Awaitable[_Stream]]


def close_code(code: str) -> int:
    """The WebSocket close code for one of our codes: 4000 and the HTTP status."""
    return 4000 + ServiceError(code).info.http


def _space_stream(
    feeds: Feeds,
    reading: Reading,
    joins: Joins,
    principal: Principal,
    space: str,
    after: int | None,
    caller: str,
    *,
    captions: bool,
) -> _Opener:
    async def open_(stack: AsyncExitStack) -> _Stream:
        key = read_space(space)
        await reading.visible(principal.actor(), key)
        if captions:
            await joins.may_hear(principal.actor(), key)
        await stack.enter_async_context(feeds.admitted(caller))
        feed = await feeds.of(key)
        subscriber, position = feed.subscribe(principal.account, captions=captions)
        stack.callback(feed.unsubscribe, subscriber)
        missed = [] if after is None else await feed.backlog(principal.account, after, position)
        return _Stream(subscriber, position, missed)

    return open_


def _account_stream(feeds: Feeds, principal: Principal, after: int | None, caller: str) -> _Opener:
    async def open_(stack: AsyncExitStack) -> _Stream:
        account = principal.account
        if account is None:
            raise ServiceError("auth.token_missing")
        await stack.enter_async_context(feeds.admitted(caller))
        subscriber, position = await feeds.account.subscribe(account)
        stack.callback(feeds.account.unsubscribe, subscriber)
        missed = [] if after is None else await feeds.account.backlog(account, after, position)
        return _Stream(subscriber, position, missed)

    return open_


def _hello(position: int) -> Frame:
    return frame("hello", {"event": "hello", "data": {"position": position}}, position)


def _closed(code: str) -> Frame:
    return frame("closed", {"event": "closed", "data": {"code": code, "detail": ServiceError(code).detail}})


_HEARTBEAT = frame("heartbeat", {"event": "heartbeat", "data": {}})


async def _messages(stream: _Stream, after: int | None, heartbeat_s: float) -> AsyncGenerator[Frame, None]:
    """Until the feed closes the stream, `closed` being the last message."""
    # Whoever resumes stands where they stood until they have what they missed.
    yield _hello(stream.position if after is None else min(after, stream.position))
    for missed in stream.missed:
        yield missed
    if stream.missed and after is not None:
        yield _hello(stream.position)
    subscriber = stream.subscriber
    while True:
        message = await subscriber.take(heartbeat_s)
        if message is not None:
            yield message
        elif subscriber.closed is not None:
            yield _closed(subscriber.closed)
            return
        else:
            yield _HEARTBEAT


# Server-sent events


async def _sse(opener: _Opener, after: int | None, settings: ApiSettings) -> Stream:
    stack = AsyncExitStack()
    try:
        stream = await opener(stack)
    except BaseException:
        await stack.aclose()
        raise

    async def body() -> AsyncGenerator[bytes, None]:
        async with stack:
            async for message in _messages(stream, after, settings.heartbeat_s):
                yield message.sse

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    # Should the client be gone before the body begins, nobody iterates over it, and nobody else lets go of the stream.
    ending = BackgroundTask(stack.aclose)
    return Stream(body(), media_type="text/event-stream", headers=headers, background=ending)


def _position(last_event_id: str | None, after: int | None) -> int | None:
    return int(last_event_id) if last_event_id is not None else after


def _caller(connection: Request[Any, Any, Any] | WebSocket[Any, Any, Any], principal: Principal) -> str:
    if principal.account is not None:
        return f"account:{principal.account}"
    return f"ip:{connection.client.host if connection.client else ''}"


_SSE_OPT = {"stream": True, "rate": "stream"}


@get(
    "/spaces/{space:str}/events",
    operation_id="streamSpaceEvents",
    summary="A Space's events, live",
    media_type="text/event-stream",
    opt=_SSE_OPT,
    tags=["Events"],
    responses=problems(
        "space.not_found",
        "state.scheduled",
        "state.ended",
        "ticket.required",
        "participant.removed",
        "participant.blocked_by_host",
    ),
)
async def space_events(
    space: SpaceParam,
    request: Request[Any, Any, Any],
    principal: Asker,
    feeds: Injected,
    reading: Injected,
    joins: Injected,
    settings: Injected,
    last_event_id: LastEventId = None,
    after: After = None,
    captioned: Captioned = False,
) -> Stream:
    """Server-sent events: `hello`, what was missed, then what happens; once a second `counts`, if they changed.

    With `captions=true` also `caption`: a line that somebody says, as far as it is understood. A later one of the same
    `n` replaces it; an empty `text` means that something was said that was not captioned. Never repeated: `/captions`
    has the lines before.
    """
    since = _position(last_event_id, after)
    caller = _caller(request, principal)
    opener = _space_stream(feeds, reading, joins, principal, space, since, caller, captions=captioned)
    return await _sse(opener, since, settings)


@get(
    "/me/events",
    operation_id="streamOwnEvents",
    summary="The own account's events, live",
    media_type="text/event-stream",
    opt=_SSE_OPT,
    tags=["Events"],
    responses=problems("auth.token_missing", "stream.position"),
)
async def own_events(
    request: Request[Any, Any, Any],
    principal: Asker,
    feeds: Injected,
    settings: Injected,
    last_event_id: LastEventId = None,
    after: After = None,
) -> Stream:
    """What the account is named in, in any Space, and what concerns the hosts of the Spaces that it hosts."""
    since = _position(last_event_id, after)
    return await _sse(_account_stream(feeds, principal, since, _caller(request, principal)), since, settings)


# WebSockets


async def _websocket(
    socket: WebSocket[Any, Any, Any], opener: _Opener, after: int | None, settings: ApiSettings
) -> None:
    """Nothing is expected of the client; what it sends is ignored."""
    await socket.accept()
    async with AsyncExitStack() as stack:
        try:
            if (refusal := socket.scope["state"].get("refusal")) is not None:
                raise refusal
            stream = await opener(stack)
        except ServiceError as refusal:
            await socket.close(code=4000 + refusal.info.http, reason=refusal.code)
            return
        sender = asyncio.create_task(_send(socket, _messages(stream, after, settings.heartbeat_s)))
        reader = asyncio.create_task(_until_gone(socket))
        try:
            await asyncio.wait([sender, reader], return_when=asyncio.FIRST_COMPLETED)
            if sender.done() and not sender.cancelled() and sender.exception() is None:
                code = stream.subscriber.closed or "node.capacity"
                await socket.close(code=close_code(code), reason=code)
        finally:
            for task in (sender, reader):
                task.cancel()
            await asyncio.gather(sender, reader, return_exceptions=True)


async def _send(socket: WebSocket[Any, Any, Any], messages: AsyncGenerator[Frame, None]) -> None:
    with suppress(WebSocketDisconnect):
        async for message in messages:
            await socket.send_data(message.json.decode(), mode="text")


async def _until_gone(socket: WebSocket[Any, Any, Any]) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive_data(mode="text")


def _asked_after(socket: WebSocket[Any, Any, Any]) -> int | None:
    text = socket.query_params.get("after", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


@websocket("/spaces/{space:str}/ws", opt=_SSE_OPT)
async def space_socket(
    socket: WebSocket[Any, Any, Any],
    space: Annotated[str, PathParameter()],
    feeds: Injected,
    reading: Injected,
    joins: Injected,
    settings: Injected,
) -> None:
    """As `/spaces/{space}/events?after=&captions=`."""
    principal = principal_of(socket.scope)
    after = _asked_after(socket)
    captions = socket.query_params.get("captions", "") in ("true", "1")
    caller = _caller(socket, principal)
    opener = _space_stream(feeds, reading, joins, principal, space, after, caller, captions=captions)
    await _websocket(socket, opener, after, settings)


@websocket("/me/ws", opt=_SSE_OPT)
async def own_socket(socket: WebSocket[Any, Any, Any], feeds: Injected, settings: Injected) -> None:
    """As `/me/events?after=`."""
    principal = principal_of(socket.scope)
    after = _asked_after(socket)
    await _websocket(socket, _account_stream(feeds, principal, after, _caller(socket, principal)), after, settings)


HANDLERS = [space_events, own_events, space_socket, own_socket]
