"""Who speaks when, from the seats that each packet of the mix tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from spaces_ctl.media.replay_files import Person, Timeline, Unrecorded
from spaces_ctl.segments import TICK_MS

__all__ = ["Given", "Missing", "spans", "timeline"]

Given = tuple[int, int, int]
"""From group, seat, account (0: nobody's)."""
Missing = tuple[int, int, str]
"""From group, groups, cause."""

_BREATH_TICKS = 25
"""A pause of less than this (500 ms) does not end a turn."""
_APART_TICKS = 10
"""Sounds less than this (200 ms) apart are of one word, or of words that follow each other."""
_SHORTEST_TICKS = 5
"""Less than 100 ms is no word: a noise in the room neither begins nor prolongs a turn."""
_SEATS = 13


def spans(talks: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Turns, as ticks from and to, of one who talks in some ticks."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], talks, [False]]).astype(np.int8)))
    words = _joined(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True), _APART_TICKS)
    return _joined(((start, end) for start, end in words if end - start >= _SHORTEST_TICKS), _BREATH_TICKS)


def _joined(parts: Iterable[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    """Parts in order, as one where they are less than `gap` apart."""
    whole: list[tuple[int, int]] = []
    for start, end in parts:
        if whole and start - whole[-1][1] < gap:
            whole[-1] = whole[-1][0], end
        else:
            whole.append((start, end))
    return whole


def timeline(
    speaking: npt.NDArray[np.uint16], given: Iterable[Given], missing: Iterable[Missing], start_group: int
) -> Timeline:
    """`speaking` has a mask of seats for every group from `start_group` on."""
    end_group = start_group + len(speaking)
    held: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for group, seat, account in sorted(given):
        held[seat].append((group, account))
    talks: dict[int, npt.NDArray[np.bool_]] = {}
    for seat in range(_SEATS):
        heard = (speaking >> seat & 1).astype(bool)
        if heard.any():
            for account, first, last in _tenures(held[seat], start_group, end_group):
                own = talks.setdefault(account, np.zeros(len(speaking), bool))
                own[first - start_group : last - start_group] |= heard[first - start_group : last - start_group]
    people = [
        Person(account=str(account), spans=[(start * TICK_MS, end * TICK_MS) for start, end in turns])
        for account, own in talks.items()
        if (turns := spans(own))
    ]
    people.sort(key=lambda person: person.spans[0])
    gaps = [
        Unrecorded(
            from_ms=(max(first, start_group) - start_group) * TICK_MS,
            to_ms=(min(first + groups, end_group) - start_group) * TICK_MS,
            cause=cause,
        )
        for first, groups, cause in sorted(missing)
        if first + groups > start_group and first < end_group
    ]
    return Timeline(duration_ms=len(speaking) * TICK_MS, people=people, gaps=gaps)


def _tenures(held: Sequence[tuple[int, int]], start: int, end: int) -> Iterable[tuple[int, int, int]]:
    """Account, from group and to group of each who had the seat between `start` and `end`."""
    for number, (group, account) in enumerate(held):
        until = held[number + 1][0] if number + 1 < len(held) else end
        first, last = max(group, start), min(until, end)
        if account and first < last:
            yield account, first, last
