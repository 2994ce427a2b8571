"""The pieces of `spaces serve`: socket, certificate, logs, systemd, the key of join tokens."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import logging.config
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn.config

from spaces_ctl.engine import ConnectionFailed, Engine, Listener, UpsertSpace, space_name
from spaces_ctl.serve.certificates import Certificates
from spaces_ctl.serve.errors import BadSettings, PortTaken
from spaces_ctl.serve.logs import JsonLines, Pretty, configure
from spaces_ctl.serve.secrets import FILE, join_signer
from spaces_ctl.serve.sockets import bind_tcp, listening
from spaces_ctl.serve.systemd import Notifier
from spaces_ctl.serve.web import WebServer
from spaces_ctl.settings.model import Auth, Http, Logging, Media, Node, Settings
from tests.support.certificates import write_certificate
from tests.support.patience import PATIENCE_S
from tests.support.small_server import lifespan

# The socket


def test_a_used_port_is_one_clear_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            bind_tcp("127.0.0.1", port)
    expected = (
        f"HTTP cannot listen on 127.0.0.1 port {port} (TCP): the port is in use; stop who has it or set http.port"
    )
    assert str(caught.value) == expected


def test_an_address_of_another_machine() -> None:
    with pytest.raises(PortTaken, match=r"this machine has no such address; set http\.bind"):
        bind_tcp("192.0.2.1", 0)


def test_nobody_is_let_in_before_all_is_ready() -> None:
    with bind_tcp("127.0.0.1", 0) as bound:
        address = bound.getsockname()
        with socket.socket() as early, pytest.raises(ConnectionRefusedError):
            early.connect(address)
        with listening(bound), socket.socket() as late:
            late.connect(address)


def test_the_port_outlives_the_loop() -> None:
    """The control loop closes its socket when it dies; the next one listens on the same port."""
    with bind_tcp("127.0.0.1", 0) as bound:
        listening(bound).close()
        with listening(bound) as again, socket.socket() as client:
            assert again.getsockname() == bound.getsockname()
            client.connect(bound.getsockname())


# HTTP


async def _app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    await asyncio.sleep(0.2 if scope["path"] == "/slow" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def test_requests_under_way_are_finished() -> None:
    with bind_tcp("127.0.0.1", 0) as bound:
        url = "http://{}:{}".format(*bound.getsockname())
        async with httpx.AsyncClient(base_url=url) as client:
            server = WebServer(_app, Http(), None, grace_s=5)
            async with server.running(listening(bound)):
                slow = asyncio.create_task(client.get("/slow"))
                assert (await client.get("/")).text == "ok"
            assert (await slow).text == "ok"


# Certificates


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    def taken(chain: Path, key: Path) -> Certificates:
        return Certificates(Settings(http=Http(tls_certificate=chain, tls_key=key)), [])

    chain, key = write_certificate(tmp_path, "a")
    with pytest.raises(BadSettings, match=r"http\.tls_key: cannot read .*nowhere\.pem: No such file"):
        taken(tmp_path / "nowhere.pem", key)
    key.write_text("hello")
    with pytest.raises(BadSettings, match="are not PEM certificate and key"):
        taken(chain, key)
    other = write_certificate(tmp_path, "b")
    with pytest.raises(BadSettings, match="do not belong together"):
        taken(chain, other[1])
    with pytest.raises(BadSettings, match=r"media\.tls_certificate .* do not belong together"):
        Certificates(Settings(media=Media(tls_certificate=chain, tls_key=other[1])), [])


def test_the_audio_has_its_own_files_or_those_of_http_or_a_development_certificate(tmp_path: Path) -> None:
    one, two = write_certificate(tmp_path, "one"), write_certificate(tmp_path, "two")
    http, media = Http(tls_certificate=one[0], tls_key=one[1]), Media(tls_certificate=two[0], tls_key=two[1])
    both = Certificates(Settings(http=http, media=media), [])
    assert (both.http is not None, both.media_files) == (True, two)
    shared = Certificates(Settings(http=http), [])
    assert (shared.http is not None, shared.media_files) == (True, one)
    plain = Certificates(Settings(media=media), [])
    assert (plain.http, plain.media_files) == (None, two)
    none = Certificates(Settings(), [])
    assert (none.http, none.media_files) == (None, None)


async def test_a_development_certificate_is_replaced_in_time() -> None:
    certificates = Certificates(Settings(), ["127.0.0.1"], development_s=0.3)
    async with Engine() as engine:
        await engine.apply(UpsertSpace(space=5, version=1))
        url, first = f"https://127.0.0.1:{engine.port}/spaces/{space_name(5)}", engine.certificate_sha256
        async with certificates.watched(engine), asyncio.timeout(PATIENCE_S):
            assert certificates.pin() == first
            while certificates.pin() == first:
                await asyncio.sleep(0.005)
        second = certificates.pin()
        assert second == engine.certificate_sha256
        async with Listener(url, certificate_sha256=second):
            pass
        with pytest.raises(ConnectionFailed):
            async with Listener(url, certificate_sha256=first):
                pass


# Logs


def record(**extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "spaces_ctl.serve.run", "levelname": "INFO", "msg": "up on %d", "args": (5,)})
    made.created = 1_700_000_000.123
    vars(made).update(extra)
    return made


def test_json_lines() -> None:
    line = json.loads(JsonLines("n1").format(record(space="abc", file=Path("x"))))
    assert line == {
        "at": "2023-11-14T22:13:20.123Z",
        "level": "info",
        "logger": "spaces_ctl.serve.run",
        "message": "up on 5",
        "node": "n1",
        "space": "abc",
        "file": "x",
    }


def test_json_lines_of_errors_are_one_line() -> None:
    try:
        raise ValueError("no\nno")
    except ValueError as error:
        made = record(exc_info=(type(error), error, error.__traceback__))
    text = JsonLines("n1").format(made)
    assert "\n" not in text
    assert "ValueError" in json.loads(text)["error"]


def test_pretty_lines() -> None:
    assert Pretty(colours=False).format(record(space="abc")) == "22:13:20.123 INFO    serve.run: up on 5 space=abc"
    assert "\x1b[36mINFO" in Pretty(colours=True).format(record())


@pytest.fixture
def _loggers_back() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.usefixtures("_loggers_back")
def test_libraries_are_quiet_and_machines_get_json() -> None:
    """Also when uvicorn has set its loggers up before: they kept their handlers, and warnings were lost."""
    logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
    stream = io.StringIO()
    configure(Logging(), node="n1", stream=stream)
    logging.getLogger("spaces_ctl.x").info("ours")
    logging.getLogger("uvicorn.error").info("theirs")
    logging.getLogger("uvicorn.error").warning("theirs, important")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["ours", "theirs, important"]


# systemd


def test_systemd_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())})
        notifier.ready("on 5")
        notifier.reloading()
        notifier.alive()
        notifier.stopping()
        told = [manager.recv(200).decode() for _ in range(4)]
    assert told[0] == "READY=1\nSTATUS=on 5"
    assert told[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert told[2:] == ["WATCHDOG=1", "STOPPING=1"]
    assert notifier.watchdog_s == 1.5
    notifier.ready("nobody hears it")


def test_without_systemd_nothing_is_told() -> None:
    notifier = Notifier({"WATCHDOG_USEC": "3000000"})
    assert notifier.watchdog_s is None
    notifier.ready("x")
    assert Notifier({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}).watchdog_s is None


# The key of join tokens


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    settings = Settings(node=Node(data_directory=tmp_path / "data"))
    first = join_signer(settings)
    assert join_signer(settings).public_key == first.public_key
    assert join_signer(settings).kid == first.kid
    assert stat.S_IMODE((tmp_path / "data" / FILE).stat().st_mode) == 0o600
    other = join_signer(Settings(node=Node(data_directory=tmp_path / "other")))
    assert other.public_key != first.public_key
    assert other.kid != first.kid


def test_the_key_of_the_settings_wins(tmp_path: Path) -> None:
    settings = Settings(node=Node(data_directory=tmp_path), auth=Auth(signing_key="A" * 43))
    join_signer(settings)
    assert not list(tmp_path.iterdir())


def test_a_key_that_cannot_be_had(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("short")
    with pytest.raises(BadSettings, match="expected 32 bytes in base64url"):
        join_signer(Settings(node=Node(data_directory=tmp_path)))
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSettings, match=r"node\.data_directory: cannot keep the key"):
        join_signer(Settings(node=Node(data_directory=tmp_path / "file")))
