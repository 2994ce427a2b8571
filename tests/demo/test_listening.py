"""A listening that was spoilt is done again; anything else is not."""

import asyncio

import pytest

from tests.support.listening import TRIES, Spoilt, again_if_spoilt


async def test_what_is_spoilt_each_time_fails() -> None:
    heard: list[int] = []

    @again_if_spoilt
    async def listens() -> None:
        heard.append(1)
        raise Spoilt("noise")

    with pytest.raises(Spoilt):
        await listens()
    assert len(heard) == TRIES


async def test_what_is_spoilt_once_is_forgiven_also_in_a_group_of_tasks() -> None:
    heard: list[int] = []

    async def hears() -> None:
        heard.append(1)
        if len(heard) == 1:
            raise Spoilt("noise")

    @again_if_spoilt
    async def listens() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(hears())

    await listens()
    assert len(heard) == 2


def test_what_is_wrong_is_never_forgiven() -> None:
    heard: list[int] = []

    @again_if_spoilt
    def listens() -> None:
        heard.append(1)
        raise ExceptionGroup("both", [Spoilt("noise"), AssertionError("wrong")])

    with pytest.raises(ExceptionGroup):
        listens()
    assert heard == [1]
