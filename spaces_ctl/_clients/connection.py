"""What every native client is: a connection that is opened, waited for and closed."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, Protocol, Self, TypeVar

from spaces_ctl._engine import ConnectionClosed

if TYPE_CHECKING:
    # Anything with the buffer protocol: bytes, `array('h')`, a numpy array of int16.
    from _typeshed import ReadableBuffer as Buffer

__all__ = ["Client", "MoqProtocol", "Native", "Transport", "as_samples"]

Transport = Literal["quic", "webtransport"]
MoqProtocol = Literal["moqt-18", "moq-lite-05"]
_CLOSING_S = 3.0


class Native(Protocol):
    @property
    def bell_fd(self) -> int: ...
    def clear_bell(self) -> None: ...
    def over(self) -> bool: ...
    def close(self) -> None: ...


N = TypeVar("N", bound=Native)
T = TypeVar("T")


class Client(ABC, Generic[N]):
    """The life of a native client on the running event loop, and waiting for its eventfd."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        certificate_sha256: bytes | None = None,
        roots: Path | None = None,
        transport: Transport = "quic",
        protocol: MoqProtocol = "moqt-18",
        idle_timeout_ms: int = 10_000,
    ) -> None:
        self._to = (url, token, certificate_sha256, roots, transport, protocol, idle_timeout_ms)
        self._open: N | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    def _destination(self) -> tuple[str, str | None, list[bytes], bytes | None, str, str, int]:
        url, token, pin, roots, transport, protocol, idle = self._to
        pem = None
        if pin is None:
            path = roots or ssl.get_default_verify_paths().cafile
            pem = Path(path).read_bytes() if path else None
        return url, token, [] if pin is None else [pin], pem, transport, protocol, idle

    @abstractmethod
    def _connect(self) -> N:
        """Begins to connect. May take long: not called on the loop's thread."""

    @abstractmethod
    def _is_ready(self, native: N) -> bool:
        """Entering is over. Raises why it will never be."""

    async def __aenter__(self) -> Self:
        """Connects."""
        if self._open is not None:
            raise ConnectionClosed("a client is entered once")
        # Looking a name up may take seconds: not on the loop's thread.
        native = await asyncio.to_thread(self._connect)
        self._open = native
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(native.bell_fd, self._ring)
        try:
            await self._until(lambda: self._is_ready(native))
        except BaseException:
            self._let_go()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connection."""
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connection. May be called again."""
        native, loop = self._open, self._loop
        if native is None or loop is None:
            return
        native.close()
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._until(native.over)
        except TimeoutError:
            pass  # its thread ends by itself
        finally:
            self._let_go()

    def _let_go(self) -> None:
        native, loop = self._open, self._loop
        if native is not None and loop is not None:
            self._loop = None
            loop.remove_reader(native.bell_fd)
            native.close()
            # Whoever still waits looks once more, and finds it closed.
            self._wake()

    @property
    def _native(self) -> N:
        if self._open is None:
            raise ConnectionClosed("the client is not open: use it with `async with`")
        return self._open

    def _ring(self) -> None:
        self._native.clear_bell()
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _batches(self, take: Callable[[], Iterable[T]]) -> AsyncIterator[list[T]]:
        """What `take` gives whenever it gives some, until the client is closed here. Raises why it ended otherwise."""
        native, batch = self._native, list[T]()

        def arrived() -> bool:
            batch.extend(take())
            if not batch:
                self._is_ready(native)  # raises why it is over
            return bool(batch)

        while True:
            try:
                await self._until(arrived)
            except ConnectionClosed:
                return
            yield batch.copy()
            batch.clear()

    async def _until(self, ready: Callable[[], bool]) -> None:
        """Returns when `ready`, which is asked whenever the engine's thread has done something."""
        while not ready():
            if self._loop is None:
                raise ConnectionClosed("closed")
            waiter = self._loop.create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)


def as_samples(buffer: Buffer) -> memoryview:
    view = memoryview(buffer)
    if view.format not in ("h", "<h", "=h", "@h", "B", "b", "c"):
        raise TypeError(f"PCM is 16 bits signed (or bytes of it), not of buffer format {view.format!r}")
    return view.cast("B") if view.format != "B" or view.ndim != 1 else view
