"""A server's life: signals, drain, the death of its control loop, certificates read again."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.certificates import subject_served, write_certificate

PATIENCE_S = 20.0
SETTINGS = """
[http]
port = 0
{http}
[media]
port = {udp}
[node]
drain_seconds = {drain}
"""


@asynccontextmanager
async def process(directory: Path, *, http: str = "", udp: int = 0, drain: int = 5) -> AsyncIterator[Process]:
    file = directory / "spaces.toml"
    file.write_text(SETTINGS.format(http=http, udp=udp, drain=drain))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.small_server", str(file), stdout=PIPE, stderr=PIPE
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def line(child: Process) -> str:
    assert child.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        return (await child.stdout.readline()).decode().strip()


async def logged(child: Process, message: str) -> None:
    assert child.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        while message not in (text := (await child.stderr.readline()).decode()):
            assert text, f"{message!r} was not logged"


async def ended(child: Process) -> int:
    async with asyncio.timeout(PATIENCE_S):
        return await child.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_finishes_requests_and_ends_all(tmp_path: Path, number: int) -> None:
    async with process(tmp_path) as child, httpx.AsyncClient(base_url=await line(child)) as client:
        slow = asyncio.create_task(client.get("/slow"))
        await asyncio.sleep(0)
        assert (await client.get("/")).status_code == 200
        child.send_signal(number)
        assert await line(child) == "draining"
        assert (await slow).status_code == 200
        assert await line(child) == "closed"
        assert await ended(child) == 0


async def test_a_second_signal_waits_for_nobody(tmp_path: Path) -> None:
    async with process(tmp_path, drain=60) as child, httpx.AsyncClient(base_url=await line(child)) as client:
        never = asyncio.create_task(client.get("/never"))
        assert (await client.get("/")).status_code == 200
        child.send_signal(signal.SIGTERM)
        assert await line(child) == "draining"
        child.send_signal(signal.SIGTERM)
        assert await ended(child) == 0
        (answer,) = await asyncio.gather(never, return_exceptions=True)
        assert isinstance(answer, httpx.TransportError) or (
            isinstance(answer, httpx.Response) and answer.status_code == 500
        )


async def test_the_control_loop_dies_and_the_engine_does_not(tmp_path: Path) -> None:
    async with process(tmp_path) as child, httpx.AsyncClient(base_url=await line(child)) as client:
        _, port, known = (await client.get("/life")).text.split()
        assert known == "True"
        await client.get("/die")
        await logged(child, "the control loop died")
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    answer = (await client.get("/life")).text.split()
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
        assert answer == ["1", port, "True"], "the same engine, with what it was told before"
        child.send_signal(signal.SIGTERM)
        assert await ended(child) == 0


async def test_sighup_reads_the_certificate_again(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, "old")
    new = write_certificate(tmp_path, "new")
    http = f'tls_certificate = "{certificate}"\ntls_key = "{key}"'
    async with process(tmp_path, http=http) as child:
        url = urlsplit(await line(child))
        assert url.scheme == "https"
        assert url.hostname is not None
        assert url.port is not None
        address = url.hostname, url.port
        assert await asyncio.to_thread(subject_served, address) == "old"
        key.write_bytes(new[1].read_bytes())
        child.send_signal(signal.SIGHUP)
        await logged(child, "the old one stays")
        assert await asyncio.to_thread(subject_served, address) == "old"
        certificate.write_bytes(new[0].read_bytes())
        child.send_signal(signal.SIGHUP)
        await logged(child, "a new certificate is in force")
        assert await asyncio.to_thread(subject_served, address) == "new"
        child.send_signal(signal.SIGTERM)
        assert await ended(child) == 0


async def test_a_used_udp_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        async with process(tmp_path, udp=port) as child:
            assert await line(child) == (
                f"PortTaken: the audio cannot listen on 127.0.0.1 port {port} (UDP): "
                "the port is in use; stop who has it or set media.port"
            )
            assert await ended(child) == 3
