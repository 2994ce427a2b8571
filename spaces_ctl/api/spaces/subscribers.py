"""One reader of a stream: a bounded queue of messages that are made once and shared by all who see the same."""

from __future__ import annotations

import asyncio
from collections import deque

from spaces_ctl.api.spaces.event_frames import Frame
from spaces_ctl.model import AccountId

__all__ = ["Subscriber"]


class Subscriber:
    """Put into by the feed, read by the connection's handler."""

    __slots__ = ("_closed", "_frames", "_most", "_ready", "account", "captions")

    def __init__(self, account: AccountId | None, most: int, *, captions: bool = False) -> None:
        """`account` None: a guest. `most` messages may wait. `captions`: wants them, and may hear the Space."""
        self.account = account
        self.captions = captions
        self._most = most
        self._frames: deque[Frame] = deque()
        self._ready = asyncio.Event()
        self._closed: str | None = None

    @property
    def closed(self) -> str | None:
        """The code with which the stream ends, if it does."""
        return self._closed

    def offer(self, frame: Frame) -> None:
        """Never waits: a reader that lags behind is closed (`stream.slow`)."""
        if self._closed is not None:
            return
        if len(self._frames) >= self._most:
            # What waits is dropped: the reader resumes after what it has read.
            self._frames.clear()
            self.close("stream.slow")
            return
        self._frames.append(frame)
        self._ready.set()

    def close(self, code: str) -> None:
        """Ends the stream after what waits."""
        if self._closed is None:
            self._closed = code
            self._ready.set()

    async def take(self, patience_s: float) -> Frame | None:
        """The next message; None when none came in time or the stream is closed (`closed`)."""
        if not self._frames:
            if self._closed is not None:
                return None
            self._ready.clear()
            try:
                async with asyncio.timeout(patience_s):
                    await self._ready.wait()
            except TimeoutError:
                return None
        return self._frames.popleft() if self._frames else None
