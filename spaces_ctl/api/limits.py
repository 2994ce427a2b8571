"""How often somebody may ask: token buckets by account, app and address, a class of routes each.

Told in the headers of draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy: "read";q=300;w=30` and
`RateLimit: "read";r=299;t=1`; refused with `rate.limited` and `Retry-After` (RFC 9110 section 10.2.3). Kept in this
process, bounded: the bucket that was used longest ago goes first, and whoever it belonged to begins with a full one.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from spaces_ctl.api.settings import Rate
from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId

__all__ = ["Caller", "RateLimiter", "Verdict", "callers"]


class Caller(NamedTuple):
    """Somebody who is counted: a name and how many times the class's rate they get."""

    name: str
    factor: float = 1


class Verdict(NamedTuple):
    """Whether the request is let through, and what the tightest of its buckets says."""

    allowed: bool
    policy: str
    quota: int
    window_s: int
    remaining: int
    reset_s: int
    """Seconds until there is one more."""

    def headers(self) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
        """The two header fields of the draft."""
        policy = f'"{self.policy}";q={self.quota};w={self.window_s}'
        now = f'"{self.policy}";r={self.remaining};t={self.reset_s}'
        return (b"ratelimit-policy", policy.encode()), (b"ratelimit", now.encode())


class _Bucket:
    __slots__ = ("at_ms", "tokens")

    def __init__(self, tokens: float, at_ms: int) -> None:
        self.tokens = tokens
        self.at_ms = at_ms


class RateLimiter:
    """All buckets of this process."""

    def __init__(self, clock: Clock, rates: Mapping[str, Rate], *, most: int = 100_000) -> None:
        """`most` buckets are kept."""
        self._clock = clock
        self._rates = rates
        self._most = most
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, policy: str, whom: Iterable[Caller]) -> Verdict:
        """Takes one token of each caller's bucket, or none at all. Raises KeyError for an unknown policy."""
        rate = self._rates[policy]
        now = self._clock.now_ms()
        buckets = [(self._bucket(policy, caller, rate, now), caller) for caller in whom]
        allowed = all(bucket.tokens >= 1 for bucket, _ in buckets)
        if allowed:
            for bucket, _ in buckets:
                bucket.tokens -= 1
        # Relative to its size, so that the address's larger bucket does not hide the account's.
        bucket, caller = min(buckets, key=lambda pair: pair[0].tokens / pair[1].factor)
        burst, per_s = rate.burst * caller.factor, rate.per_minute * caller.factor / 60
        return Verdict(
            allowed=allowed,
            policy=policy,
            quota=math.floor(burst),
            window_s=math.ceil(burst / per_s),
            remaining=math.floor(bucket.tokens),
            reset_s=math.ceil((1 - (bucket.tokens % 1)) / per_s) if bucket.tokens < burst else 0,
        )

    def _bucket(self, policy: str, caller: Caller, rate: Rate, now: int) -> _Bucket:
        key = (policy, caller.name)
        burst = rate.burst * caller.factor
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(burst, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
            gained = max(0, now - bucket.at_ms) * rate.per_minute * caller.factor / 60_000
            bucket.tokens = min(burst, bucket.tokens + gained)
            bucket.at_ms = now
        return bucket


def callers(account: AccountId | None, app: str | None, address: str, address_factor: float) -> list[Caller]:
    """Who is counted for a request: the account (in the app that it uses), the app itself, and the address."""
    counted = [Caller(f"ip:{address}", address_factor)]
    if account is not None:
        counted.append(Caller(f"account:{account}"))
    if app is not None:
        # An app without a user may ask as often as a house full of people.
        counted.append(Caller(f"app:{app}:{account or ''}", 1 if account is not None else address_factor))
    return counted
