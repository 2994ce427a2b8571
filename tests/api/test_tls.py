"""A new certificate without a restart, over real sockets."""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest

from spaces_ctl.api.tls import CertificateFiles
from tests.support.api_server import serving
from tests.support.certificates import subject_served, write_certificate
from tests.support.patience import PATIENCE_S


async def app(scope: object, receive: object, send: object) -> None:
    raise AssertionError("nothing is asked of the application")


def address(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("https://").split(":")
    return host, int(port)


def put(source: tuple[Path, Path], target: tuple[Path, Path]) -> None:
    for one, other in zip(source, target, strict=True):
        shutil.copy(one, other)


async def test_new_handshakes_take_the_new_certificate_and_open_connections_live_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = write_certificate(tmp_path, "first"), write_certificate(tmp_path, "second")
    used = (tmp_path / "chain.pem", tmp_path / "key.pem")
    put(first, used)
    told: list[tuple[bytes, bytes]] = []

    async def renewed(chain: bytes, key: bytes) -> None:
        told.append((chain, key))

    files = CertificateFiles(*used, on_renewed=renewed)
    factory: dict[str, Any] = {"ssl_context_factory": lambda config, default: files.context, "lifespan": "off"}
    async with serving(app, **factory) as url:
        assert await asyncio.to_thread(subject_served, address(url)) == "first"
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(*address(url), ssl=trusting)
        assert not await files.renew()

        put(second, used)
        assert await files.renew()
        assert await asyncio.to_thread(subject_served, address(url)) == "second"
        assert told == [(second[0].read_bytes(), second[1].read_bytes())]
        assert not reader.at_eof()

        # A certificate without its key, and none at all: the one in force stays.
        with caplog.at_level(logging.ERROR, logger="spaces.api"):
            shutil.copy(first[0], used[0])
            assert not await files.renew()
            used[1].unlink()
            assert not await files.renew()
        assert caplog.text.count("the old one stays") == 2
        assert await asyncio.to_thread(subject_served, address(url)) == "second"
        writer.close()


async def test_changed_files_are_seen_without_being_told(tmp_path: Path) -> None:
    first, second = write_certificate(tmp_path, "first"), write_certificate(tmp_path, "second")
    used = (tmp_path / "chain.pem", tmp_path / "key.pem")
    put(first, used)
    seen = asyncio.Event()

    async def renewed(chain: bytes, key: bytes) -> None:
        seen.set()

    async with CertificateFiles(*used, on_renewed=renewed, every_s=0.005):
        put(second, used)
        await asyncio.wait_for(seen.wait(), PATIENCE_S)


async def test_a_listener_that_fails_does_not_undo_the_renewal_and_is_told_again(tmp_path: Path) -> None:
    first, second = write_certificate(tmp_path, "first"), write_certificate(tmp_path, "second")
    used = (tmp_path / "chain.pem", tmp_path / "key.pem")
    put(first, used)
    failures, told = [RuntimeError("busy"), RuntimeError("still busy")], 0

    async def fails(chain: bytes, key: bytes) -> None:
        nonlocal told
        if failures:
            raise failures.pop()
        told += 1

    files = CertificateFiles(*used, on_renewed=fails)
    put(second, used)
    assert await files.renew()
    assert [await files.renew() for _ in range(3)] == [False] * 3
    assert (failures, told) == ([], 1)


def test_renewals_after_the_watching_loop_has_died(tmp_path: Path) -> None:
    """A lock that waits on one loop is of no use on the next."""
    used = write_certificate(tmp_path, "first")
    files = CertificateFiles(*used)

    async def life() -> None:
        async with files:
            assert not any(await asyncio.gather(files.renew(), files.renew(), files.renew()))

    for _ in range(2):
        asyncio.run(life())


def test_files_that_are_none_are_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        CertificateFiles(tmp_path / "nowhere.pem", tmp_path / "nowhere.key")
    first, second = write_certificate(tmp_path, "first"), write_certificate(tmp_path, "second")
    with pytest.raises(ssl.SSLError):
        CertificateFiles(first[0], second[1])
