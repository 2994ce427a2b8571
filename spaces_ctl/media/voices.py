"""Who is to be heard when: frames of the segment log by person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator

from spaces_ctl.segments import TICK_MS, Contents, SeatFrame

__all__ = ["NOBODY_KNOWN", "Holders", "Spans", "timeline"]

NOBODY_KNOWN = 0
"""Stands for whoever held a seat of which the log does not tell."""

_PAUSE_GROUPS = 25
"""Half a second of silence divides two turns."""


class Holders:
    """Whose a frame is. Feed it every file in order."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[int, int], int] = {}
        self._next: dict[int, int] = {}

    def frames(self, contents: Contents, from_group: int, to_group: int) -> Iterator[tuple[int, SeatFrame]]:
        """Account and frame, of the groups asked for. A frame that both spool and store tell of comes once."""
        for given in contents.seats:
            self._accounts[given.seat, given.generation] = given.account
        for frame in contents.frames:
            if from_group <= frame.group < to_group and frame.group >= self._next.get(frame.seat, 0):
                self._next[frame.seat] = frame.group + 1
                yield self._accounts.get((frame.seat, frame.generation), NOBODY_KNOWN), frame


class Spans:
    """Turns of everybody, and what is missing."""

    def __init__(self) -> None:
        self.people: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        """By account: from group, to group (exclusive)."""
        self.groups: defaultdict[int, int] = defaultdict(int)
        """By account: how many groups were recorded."""
        self.gaps: list[tuple[int, int, str]] = []
        """From group, to group, cause."""
        self.mix = False

    @classmethod
    async def of(cls, log: AsyncIterator[Contents], from_group: int, to_group: int) -> Spans:
        """Reads the log to its end; holds no sound."""
        spans, holders = cls(), Holders()
        async for contents in log:
            for account, frame in holders.frames(contents, from_group, to_group):
                spans._spoken(account, frame.group)
            for gap in contents.gaps:
                begin, end = max(gap.from_group, from_group), min(gap.from_group + gap.groups, to_group)
                if begin < end and (begin, end, gap.cause) not in spans.gaps:
                    spans.gaps.append((begin, end, gap.cause))
            spans.mix = spans.mix or any(from_group <= packet.group < to_group for packet in contents.mix)
        return spans

    def _spoken(self, account: int, group: int) -> None:
        self.groups[account] += 1
        turns = self.people[account]
        if turns and group - turns[-1][1] < _PAUSE_GROUPS:
            turns[-1] = (turns[-1][0], group + 1)
        else:
            turns.append((group, group + 1))


def timeline(spans: Spans, from_group: int, to_group: int, names: dict[int, str]) -> dict[str, object]:
    """For people and programs, as the replay's (`timeline.json`) with names: milliseconds since `from_group`."""

    def ms(group: int) -> int:
        return (group - from_group) * TICK_MS

    return {
        "duration_ms": ms(to_group),
        "people": [
            {
                "account": str(account),
                "name": names.get(account, str(account)),
                "spans": [[ms(begin), ms(end)] for begin, end in turns],
            }
            for account, turns in sorted(spans.people.items())
        ],
        "gaps": [{"from_ms": ms(begin), "to_ms": ms(end), "cause": cause} for begin, end, cause in spans.gaps],
    }
