"""An object as an HTTP answer: the parts of RFC 9110 that players and download managers use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Request, Response, get, route
from litestar.enums import HttpMethod
from litestar.params import PathParameter
from litestar.testing import AsyncTestClient

from spaces_ctl.api.errors import EXCEPTION_HANDLERS
from spaces_ctl.api.media import ranges
from spaces_ctl.media.objects import Objects, StoreUnavailable
from spaces_ctl.service.errors import ServiceError

DATA = bytes(range(256)) * 4096  # 1 MiB: several pieces
SIZE = len(DATA)


@pytest.fixture
async def objects() -> Objects:
    kept = Objects.memory()
    await kept.put("a", DATA)
    await kept.put("empty", b"")
    return kept


@pytest.fixture
async def client(objects: Objects) -> AsyncIterator[AsyncTestClient[Litestar]]:
    async def handle(name: Annotated[str, PathParameter()], request: Request[Any, Any, Any]) -> Response[Any]:
        return await ranges.answer(request, objects, name, media_type="audio/ogg")

    app = Litestar(
        route_handlers=[get("/{name:str}")(handle), route("/{name:str}", http_method=HttpMethod.HEAD)(handle)],
        exception_handlers=EXCEPTION_HANDLERS,
    )
    async with AsyncTestClient(app) as client:
        yield client


async def test_the_whole(client: AsyncTestClient[Litestar]) -> None:
    answer = await client.get("/a")
    assert (answer.status_code, answer.content == DATA) == (200, True)
    assert (answer.headers["accept-ranges"], answer.headers["content-length"]) == ("bytes", str(SIZE))
    assert answer.headers["content-type"] == "audio/ogg"
    assert answer.headers["etag"].startswith('"')


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=100-299999", 100, 300_000),
        ("bytes=500-99999999", 500, SIZE),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        ("bytes=-99999999", 0, SIZE),
        ("BYTES=3-4", 3, 5),
    ],
)
async def test_a_range(client: AsyncTestClient[Litestar], asked: str, start: int, end: int) -> None:
    answer = await client.get("/a", headers={"range": asked})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.content == DATA[start:end]


@pytest.mark.parametrize(
    "asked", [f"bytes={SIZE}-", "bytes=-0", "bytes=9999999999999999999999-", f"bytes={SIZE}-9999999"]
)
async def test_a_range_that_is_not_there(client: AsyncTestClient[Litestar], asked: str) -> None:
    answer = await client.get("/a", headers={"range": asked})
    assert (answer.status_code, answer.json()["code"]) == (416, "request.range")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=5-2", "items=0-1", "bytes=-", "bytes=a-b", "bytes", ""])
async def test_what_is_no_single_range_gets_the_whole(client: AsyncTestClient[Litestar], asked: str) -> None:
    answer = await client.get("/a", headers={"range": asked})
    assert (answer.status_code, len(answer.content)) == (200, SIZE)


async def test_nothing_has_no_range(client: AsyncTestClient[Litestar]) -> None:
    assert (await client.get("/empty")).content == b""
    assert (await client.get("/empty", headers={"range": "bytes=0-"})).status_code == 416


async def test_head_tells_the_same_without_the_body(client: AsyncTestClient[Litestar]) -> None:
    whole, asked = await client.get("/a"), await client.head("/a", headers={"range": "bytes=0-9"})
    assert (asked.status_code, asked.content) == (200, b"")
    for name in ("content-length", "etag", "accept-ranges", "content-type", "cache-control"):
        assert asked.headers[name] == whole.headers[name], name


async def test_a_range_of_what_has_changed_is_the_whole(client: AsyncTestClient[Litestar], objects: Objects) -> None:
    tag = (await client.get("/a")).headers["etag"]
    kept = await client.get("/a", headers={"range": "bytes=0-9", "if-range": tag})
    assert (kept.status_code, kept.content) == (206, DATA[:10])
    await objects.put("a", DATA[::-1])
    changed = await client.get("/a", headers={"range": "bytes=0-9", "if-range": tag})
    assert (changed.status_code, changed.content == DATA[::-1]) == (200, True)
    dated = await client.get("/a", headers={"range": "bytes=0-9", "if-range": "Wed, 21 Oct 2026 07:28:00 GMT"})
    assert dated.status_code == 200


async def test_what_the_asker_has_is_not_sent_again(client: AsyncTestClient[Litestar], objects: Objects) -> None:
    tag = (await client.get("/a")).headers["etag"]
    for names in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = await client.get("/a", headers={"if-none-match": names})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    await objects.put("a", b"other")
    assert (await client.get("/a", headers={"if-none-match": tag})).content == b"other"


async def test_a_store_that_does_not_answer(
    client: AsyncTestClient[Litestar], objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(name: str) -> Any:
        raise StoreUnavailable("down")

    monkeypatch.setattr(objects, "about", down)
    answer = await client.get("/a")
    assert (answer.status_code, answer.json()["code"]) == (503, "store.unavailable")


@given(
    st.integers(0, 2000),
    st.one_of(st.none(), st.text(max_size=30), st.from_regex(r"bytes=[0-9]*-[0-9]*", fullmatch=True)),
)
def test_a_part_lies_within_the_object(size: int, header: str | None) -> None:
    try:
        found = ranges.part(header, size)
    except ServiceError:
        return
    if found is not None:
        assert 0 <= found.start < found.end <= size
