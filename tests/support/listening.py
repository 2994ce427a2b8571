"""Judging what was heard while it was spoken: a machine that does other things may spoil one listening, not all."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from tests.support.audio import Pcm, Quality, Unaligned, compare

__all__ = ["TRIES", "Spoilt", "again_if_spoilt", "clear", "whole"]

TRIES = 4
Test = TypeVar("Test", bound=Callable[..., Any])


class Spoilt(AssertionError):
    """What was heard is not all of what was said, or not clear."""


def whole(said: Pcm, heard: Pcm, *, stoi: float = 0.9, dropouts: int | None = None, about: object = None) -> Quality:
    """Sees that `said` was heard with this STOI and without an interruption of more than 60 ms, and, if given, with so
    many silent frames of 20 ms at most. `about` is told otherwise. Raises Spoilt.
    """
    quality = clear(said, heard, stoi=stoi, about=about)
    if quality.holes_ms or (dropouts is not None and quality.dropout_frames > dropouts):
        raise Spoilt(f"{quality}: {about}")
    return quality


def clear(said: Pcm, heard: Pcm, *, stoi: float = 0.9, about: object = None) -> Quality:
    """Sees that `said` was heard with this STOI, whatever was interrupted. Raises Spoilt."""
    try:
        quality = compare(said, heard)
    except Unaligned as error:
        raise Spoilt(f"{error}: {about}") from error
    if quality.stoi < stoi:
        raise Spoilt(f"{quality}: {about}")
    return quality


def again_if_spoilt(test: Test) -> Test:
    """A test that is done again, from its beginning, if what it heard was `Spoilt`; anything else fails at once.

    Only for what a busy machine alone can spoil: a fault that is there now and then is found more seldom.
    """
    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def done(*arguments: Any, **named: Any) -> Any:
            for _ in range(TRIES - 1):
                try:
                    return await test(*arguments, **named)
                except (Spoilt, BaseExceptionGroup) as error:
                    _forgive(error)
            return await test(*arguments, **named)

        return cast("Test", done)

    @functools.wraps(test)
    def done_at_once(*arguments: Any, **named: Any) -> Any:
        for _ in range(TRIES - 1):
            try:
                return test(*arguments, **named)
            except (Spoilt, BaseExceptionGroup) as error:
                _forgive(error)
        return test(*arguments, **named)

    return cast("Test", done_at_once)


def _forgive(error: BaseException) -> None:
    """Tells of it and returns if it is nothing but what was spoilt, in a task group or not; else raises it."""
    if isinstance(error, BaseExceptionGroup) and error.split(Spoilt)[1] is not None:
        raise error
    print(f"again: {error!r}")
