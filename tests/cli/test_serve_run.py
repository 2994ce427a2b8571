"""A server's life: signals, drain, the death of its control loop, certificates read again."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import socket
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from spaces_ctl.engine import ConnectionFailed, Listener, space_name
from tests.support.certificates import subject_served, write_certificate
from tests.support.patience import PATIENCE_S

SETTINGS = """
[http]
port = 0
{http}
[media]
port = {udp}
{media}
[node]
drain_seconds = {drain}
"""


@asynccontextmanager
async def process(
    directory: Path, *, http: str = "", media: str = "", more: str = "", udp: int = 0, drain: int = 5
) -> AsyncIterator[Process]:
    file = directory / "spaces.toml"
    file.write_text(SETTINGS.format(http=http, media=media, udp=udp, drain=drain) + more)
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


def pin(certificate: Path) -> bytes:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).digest()


@pytest.mark.parametrize("own", [False, True], ids=["one certificate", "the audio has its own"])
async def test_sighup_reads_the_certificate_again_for_http_and_audio(tmp_path: Path, own: bool) -> None:
    certificate, key = write_certificate(tmp_path, "old")
    new = write_certificate(tmp_path, "new")
    old_pin, new_pin = pin(certificate), pin(new[0])
    files = f'tls_certificate = "{certificate}"\ntls_key = "{key}"'
    static = write_certificate(tmp_path, "static")
    http = f'tls_certificate = "{static[0]}"\ntls_key = "{static[1]}"' if own else files
    async with process(tmp_path, http=http, media=files if own else "") as child:
        url = urlsplit(await line(child))
        assert url.scheme == "https"
        assert url.hostname is not None
        assert url.port is not None
        address = url.hostname, url.port
        async with httpx.AsyncClient(base_url=url.geturl(), verify=False) as client:
            port = (await client.get("/life")).text.split()[1]
        audio = f"https://127.0.0.1:{port}/spaces/{space_name(5)}"

        async def shown() -> str:
            return await asyncio.to_thread(subject_served, address)

        assert await shown() == ("static" if own else "old")
        key.write_bytes(new[1].read_bytes())
        child.send_signal(signal.SIGHUP)
        await logged(child, "the old one stays")
        await logged(child, "certificates were read again")
        assert await shown() == ("static" if own else "old")
        async with Listener(audio, certificate_sha256=old_pin):
            pass
        certificate.write_bytes(new[0].read_bytes())
        child.send_signal(signal.SIGHUP)
        await logged(child, "certificates were read again")
        assert await shown() == ("static" if own else "new")
        with pytest.raises(ConnectionFailed):
            async with Listener(audio, certificate_sha256=old_pin):
                pass
        async with Listener(audio, certificate_sha256=new_pin):
            pass
        child.send_signal(signal.SIGTERM)
        assert await ended(child) == 0


async def test_the_engine_knows_as_many_reactions_as_the_limits(tmp_path: Path) -> None:
    six = '[limits.override]\nreactions = ["a", "b", "c", "d", "e", "f"]\n'
    async with process(tmp_path, more=six) as child, httpx.AsyncClient(base_url=await line(child)) as client:
        assert (await client.get("/react?5")).text == "counted"
        assert (await client.get("/react?6")).text == "reaction.unknown"


async def test_a_used_udp_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        async with process(tmp_path, udp=port) as child:
            assert await line(child) == (
                f"PortTaken: the audio cannot listen on 127.0.0.1 port {port} (UDP) or port {port} (TCP): "
                "the port is in use; stop who has it or set media.port"
            )
            assert await ended(child) == 3
