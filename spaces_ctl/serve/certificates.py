"""The certificates of HTTP and of the audio, which may be one, and new ones without a restart.

Files are taken again when their content changes or at SIGHUP. Audio without files has a development certificate, which
clients pin for its two weeks at most; it is replaced in good time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

from spaces_ctl.api.tls import CertificateFiles, OnRenewed
from spaces_ctl.engine import Engine, EngineError
from spaces_ctl.serve.errors import BadSettings
from spaces_ctl.settings.model import Settings

__all__ = ["Certificates"]

log = logging.getLogger(__name__)

_DEVELOPMENT_S = 6 * 24 * 3600.0
"""A development certificate lasts 13 days. Who joined with it can come back for at least a week after it was shown."""
_AGAIN_S = 600.0


class Certificates:
    """What the settings name, over all lives of the control loop."""

    def __init__(self, settings: Settings, names: list[str], *, development_s: float = _DEVELOPMENT_S) -> None:
        """`names` are in a development certificate, which is replaced every `development_s` seconds. Raises
        BadSettings.
        """
        http, media = settings.http, settings.media
        own = media.tls_certificate is not None and media.tls_key is not None
        self._names = names
        self._development_s = development_s
        self._engine: Engine | None = None
        self.http = _files("http", http.tls_certificate, http.tls_key, None if own else self._renew_audio)
        """None: plain HTTP."""
        self._media = _files("media", media.tls_certificate, media.tls_key, self._renew_audio)
        self.media_files: tuple[Path, Path] | None = None
        """Chain and key of the audio; None: it has a development certificate."""
        for chain, key in ((http.tls_certificate, http.tls_key), (media.tls_certificate, media.tls_key)):
            if chain is not None and key is not None:
                self.media_files = chain, key

    def pin(self) -> bytes | None:
        """SHA-256 that clients have to pin now: of the development certificate."""
        return None if self.media_files or self._engine is None else self._engine.certificate_sha256

    @contextlib.asynccontextmanager
    async def watched(self, engine: Engine) -> AsyncIterator[None]:
        """Inside the block, what is new is taken by itself, by `engine` too."""
        self._engine = engine
        async with AsyncExitStack() as stack:
            for files in (self.http, self._media):
                if files is not None:
                    await stack.enter_async_context(files)
            if self.media_files is None:
                replacing = asyncio.create_task(self._replace(engine), name="development certificate")
                stack.push_async_callback(_end, replacing)
            yield

    async def renew(self) -> bool:
        """Reads all files again; whether there was a new certificate."""
        return any([await files.renew() for files in (self.http, self._media) if files is not None])

    async def _renew_audio(self, chain: bytes, key: bytes) -> None:
        if self._engine is not None:
            await self._engine.set_certificate(chain, key)

    async def _replace(self, engine: Engine) -> None:
        wait_s = self._development_s
        while True:
            await asyncio.sleep(wait_s)
            try:
                await engine.renew_development_certificate(self._names)
            except EngineError:
                log.exception("the development certificate of the audio is not renewed")
                wait_s = _AGAIN_S
            else:
                log.info("the audio has a new development certificate")
                wait_s = self._development_s


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _files(section: str, chain: Path | None, key: Path | None, on_renewed: OnRenewed | None) -> CertificateFiles | None:
    if chain is None or key is None:
        return None
    try:
        return CertificateFiles(chain, key, on_renewed=on_renewed)
    except ssl.SSLError as error:
        wrong = "do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "are not PEM certificate and key"
        raise BadSettings(f"{section}.tls_certificate {chain} and {section}.tls_key {key} {wrong}") from error
    except OSError as error:
        name = error.filename or chain
        text = f"{section}.tls_certificate, {section}.tls_key: cannot read {name}: {error.strerror}"
        raise BadSettings(text) from error
