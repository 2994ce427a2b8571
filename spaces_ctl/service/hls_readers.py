"""Who hears a live Space by HLS: the engine does not see them, so they are counted by their asking for the playlist.

A player asks for the list of segments about every `LIVE_MS` (RFC 8216, 6.3.4: after a target duration, or half of one
if nothing changed). Who has asked within `HEARS_MS` hears. An account is one listener, however many players it has;
guests are told apart by address and program, so those behind one address with equal browsers count as one. Nobody of
them is listed: accounts count as anonymous. Kept in memory only, and no longer than that.
"""

from __future__ import annotations

from collections.abc import Collection

from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.service.tables import Audience

__all__ = ["HEARS_MS", "HlsReaders"]

HEARS_MS = 10_000
"""Five segments: what a player has at hand before it falls silent."""

Reader = AccountId | str


class HlsReaders:
    """Of all Spaces of this process."""

    def __init__(self, clock: Clock) -> None:
        """Times are the clock's."""
        self._clock = clock
        self._asked: dict[SpaceId, dict[Reader, int]] = {}

    def asked(self, space: SpaceId, account: AccountId | None, guest: str) -> None:
        """Somebody asked for the newest segments; `guest` tells apart those without an account."""
        # The latest last: those who have stopped are in front.
        readers = self._asked.setdefault(space, {})
        reader: Reader = guest if account is None else account
        readers.pop(reader, None)
        readers[reader] = self._clock.now_ms()

    def audience(self, space: SpaceId) -> Audience:
        """Those who hear it now."""
        readers = self._asked.get(space)
        if readers is None:
            return Audience()
        until = self._clock.now_ms() - HEARS_MS
        while readers and readers[first := next(iter(readers))] <= until:
            del readers[first]
        if not readers:
            del self._asked[space]
        accounts = sum(isinstance(reader, int) for reader in readers)
        return Audience(anonymous=accounts, guests=len(readers) - accounts)

    @property
    def spaces(self) -> Collection[SpaceId]:
        """Those that somebody has asked for."""
        return tuple(self._asked)

    def close(self, space: SpaceId) -> None:
        """It is over."""
        self._asked.pop(space, None)
