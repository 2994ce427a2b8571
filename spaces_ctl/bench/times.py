"""Distributions of times, as counts: what several loads measured is added, quantiles come after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Times"]


@dataclass(frozen=True, slots=True)
class Times:
    """How often which time was seen, in microseconds, ascending; three digits of each are exact.

    A frame's time runs from when it was *due* to be sent, a join's from when the listener was *to* join, so what waits
    because something stalls is counted with all its waiting (no coordinated omission). What never came is not in here:
    it is loss.
    """

    counts: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, counts: Iterable[Sequence[int]]) -> Times:
        """From `[[µs, count], …]` in any order. Raises ValueError for a negative time or count."""
        sums: dict[int, int] = {}
        for micros, count in counts:
            if micros < 0 or count < 0:
                raise ValueError(f"{count} times {micros} µs")
            sums[micros] = sums.get(micros, 0) + count
        return cls(tuple(sorted((micros, count) for micros, count in sums.items() if count)))

    def __add__(self, other: Times) -> Times:
        return Times.of((*self.counts, *other.counts))

    def __len__(self) -> int:
        return sum(count for _, count in self.counts)

    def quantile_ms(self, share: float) -> float | None:
        """The time within which this share came, in milliseconds; None if nothing came."""
        rank = share * len(self)
        seen = 0
        for micros, count in self.counts:
            seen += count
            if seen >= rank:
                return micros / 1000
        return None

    def cdf(self) -> tuple[list[float], list[float]]:
        """Milliseconds, and the share that came within each."""
        total = len(self)
        seen = 0
        shares = []
        for _, count in self.counts:
            seen += count
            shares.append(seen / total)
        return [micros / 1000 for micros, _ in self.counts], shares
