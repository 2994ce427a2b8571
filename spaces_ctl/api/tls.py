"""TLS for HTTP from PEM files, and new files without a restart: when they change, or at once by `renew` (SIGHUP).

Every handshake takes the certificate of that moment; connections that are open keep theirs. Files that do not belong
together, or cannot be read, change nothing: the old certificate stays and the log says why.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["CertificateFiles", "OnRenewed"]

_log = logging.getLogger("spaces.api")

OnRenewed = Callable[[bytes, bytes], Awaitable[object]]
"""Told (chain, key) in PEM after a new certificate is in force, to renew QUIC's as well. If it raises, it is told again
at the next look."""


class CertificateFiles:
    """A chain and its key; `context` is for the server and stays the same for ever.

    `async with files:` watches them. A watch looks at the content, not at the time of change: certbot and lego replace
    links, Kubernetes replaces a directory.
    """

    def __init__(self, chain: Path, key: Path, *, on_renewed: OnRenewed | None = None, every_s: float = 10) -> None:
        """Raises OSError, ssl.SSLError."""
        self._chain = chain
        self._key = key
        self._on_renewed = on_renewed
        self._every_s = every_s
        self._taken = self._read()
        self._untold = False
        self._one_at_a_time = asyncio.Lock()
        self._current = _context(chain, key)
        self._task: asyncio.Task[None] | None = None
        self.context = _context(chain, key)
        # Called in each handshake before a certificate is chosen, with or without SNI.
        self.context.sni_callback = self._choose

    async def __aenter__(self) -> CertificateFiles:
        """Watches the files, on this event loop."""
        self._one_at_a_time = asyncio.Lock()
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Watches no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def renew(self) -> bool:
        """Takes the files as they are now; False if they are the same as before or cannot be used."""
        async with self._one_at_a_time:
            renewed = await self._take()
            if self._untold:
                await self._tell()
            return renewed

    async def _take(self) -> bool:
        try:
            read = await asyncio.to_thread(self._read)
            if read == self._taken:
                return False
            fresh = await asyncio.to_thread(_context, self._chain, self._key)
            if await asyncio.to_thread(self._read) != read:
                # Somebody is writing them. What is told must be what is served.
                return False
        except (OSError, ssl.SSLError) as error:
            _log.error("the certificate in %s is not taken, the old one stays: %s", self._chain, error)
            return False
        self._current, self._taken = fresh, read
        self._untold = self._on_renewed is not None
        _log.info("a new certificate is in force: %s", self._chain)
        return True

    async def _tell(self) -> None:
        if self._on_renewed is None:
            return
        try:
            await self._on_renewed(*self._taken)
        except Exception:
            _log.exception("the new certificate in %s is not everywhere in force", self._chain)
        else:
            self._untold = False

    def _choose(self, connection: Any, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._current

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self.renew()

    def _read(self) -> tuple[bytes, bytes]:
        return self._chain.read_bytes(), self._key.read_bytes()


def _context(chain: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(chain, key)
    return context
