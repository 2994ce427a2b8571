"""The command line without a server: help, settings, completion, and failures in one line each."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from spaces_ctl.cli.exits import Exit
from spaces_ctl.cli.program import app
from spaces_ctl.cli.remote import Login
from tests.support.commands import spaces

GROUPS = {"account", "config", "db", "key", "moderation", "recording", "space", "token"}


def test_help_names_every_group_and_the_exit_codes(tmp_path: Path) -> None:
    began = time.monotonic()
    ran = spaces("--help", cwd=tmp_path)
    print(f"spaces --help: {time.monotonic() - began:.2f} s")
    assert ran.code == 0
    for word in (*GROUPS, "serve", "demo", "login", "logout"):
        assert f"│ {word} " in ran.out
    text = " ".join(ran.out.split())
    for code in (Exit.REFUSED, Exit.USAGE, Exit.UNREACHABLE, Exit.SCHEMA, Exit.FAILED, Exit.DAMAGED, Exit.INTERRUPTED):
        assert f" {int(code)} " in text


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys; import spaces_ctl.cli; print([name for name in sys.modules if '.' not in name])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("litestar", "sqlalchemy", "uvicorn", "httpx", "numpy", "alembic", "argon2", "authlib"):
        assert f"'{heavy}'" not in out


def test_every_command_takes_json() -> None:
    import typer.main

    def walk(command: Any, path: str) -> list[str]:
        below = getattr(command, "commands", None)
        if below is not None:
            return [name for part, inner in below.items() for name in walk(inner, f"{path} {part}")]
        options = [option for parameter in command.params for option in parameter.opts]
        return [] if "--json" in options else [path]

    # These are a file in themselves, or write files.
    assert sorted(walk(typer.main.get_command(app), "spaces")) == [
        "spaces bench results",
        "spaces bench suite",
        "spaces config example",
        "spaces openapi",
    ]


def test_completion_is_offered(tmp_path: Path) -> None:
    ran = spaces("--show-completion", "bash", cwd=tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert ran.code == 0
    assert "complete" in ran.out


# spaces config


def test_config_check_names_a_typo_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "spaces.toml").write_text("[http]\nprot = 1\n")
    ran = spaces("config", "check", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "http.prot: unknown; did you mean http.port? (spaces.toml:2)\n")
    ran = spaces("config", "check", "--json", cwd=tmp_path)
    assert ran.code == 2
    assert ran.json["problems"] == [
        {"path": "http.prot", "message": "unknown; did you mean http.port?", "where": "spaces.toml:2"}
    ]


def test_config_check_is_content(tmp_path: Path) -> None:
    assert spaces("config", "check", cwd=tmp_path).out == "defaults and environment: all right\n"
    (tmp_path / "other.toml").write_text("[http]\nport = 1\n")
    assert spaces("config", "check", cwd=tmp_path, SPACES_CONFIG="other.toml").out == "other.toml: all right\n"
    ran = spaces("config", "check", "--config", "other.toml", "--json", cwd=tmp_path)
    assert (ran.code, ran.json) == (0, {"file": "other.toml", "ok": True, "problems": []})


def test_config_show_tells_where_from(tmp_path: Path) -> None:
    (tmp_path / "spaces.toml").write_text("[http]\nport = 1\n[mail]\npassword = 'topsecret'")
    ran = spaces("config", "show", "--json", cwd=tmp_path, SPACES_MEDIA__PORT="2")
    values = {value["path"]: (value["value"], value["source"]) for value in ran.json["values"]}
    assert values["http.port"] == (1, "spaces.toml:2")
    assert values["media.port"] == (2, "SPACES_MEDIA__PORT")
    assert values["http.bind"] == ("127.0.0.1", "default")
    plain = spaces("config", "show", cwd=tmp_path)
    assert "topsecret" not in plain.out + ran.out
    assert "http.port" in plain.out


def test_config_example_is_content(tmp_path: Path) -> None:
    (tmp_path / "spaces.toml").write_text(spaces("config", "example", cwd=tmp_path).out)
    assert spaces("config", "check", cwd=tmp_path).code == 0


# Failures


def test_wrong_arguments(tmp_path: Path) -> None:
    assert spaces("space", "sow", cwd=tmp_path).code == Exit.USAGE
    assert spaces("serve", "--port", "x", cwd=tmp_path).code == Exit.USAGE


def test_settings_are_checked_before_anything_else(tmp_path: Path) -> None:
    for command in (["serve"], ["account", "list"], ["db", "status"]):
        ran = spaces(*command, cwd=tmp_path, SPACES_HTTP__PROT="1", SPACES_HTTP__BIND="x")
        assert ran.code == Exit.USAGE
        assert ran.err == "spaces: http.prot: unknown; did you mean SPACES_HTTP__PORT? (SPACES_HTTP__PROT)\n"


def test_an_unreadable_file(tmp_path: Path) -> None:
    ran = spaces("serve", "--config", "no.toml", cwd=tmp_path)
    assert (ran.code, ran.err) == (2, "spaces: cannot read no.toml: No such file or directory\n")


def test_no_server(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        ran = spaces("space", "show", "abc", "--url", url, cwd=tmp_path)
        assert (ran.code, ran.err) == (3, f"spaces: {url} does not answer: Connection refused\n")
        ran = spaces("space", "show", "abc", "--json", cwd=tmp_path, SPACES_URL=url)
    failure = {"error": f"{url} does not answer: Connection refused", "code": "", "exit": 3}
    assert json.loads(ran.err) == failure


@pytest.mark.parametrize(
    "command", [["space", "create", "--at", "soon"], ["moderation", "ban", "1", "--reason", "x", "--until", "soon"]]
)
def test_a_time_that_is_none(tmp_path: Path, command: list[str]) -> None:
    ran = spaces(*command, cwd=tmp_path)
    assert ran.code == Exit.USAGE
    assert "not a time: 'soon'" in ran.err


def test_a_kept_token_goes_to_its_own_server_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that was kept for one server must not be sent to another one."""
    from spaces_ctl import client
    from spaces_ctl.cli import remote

    used: list[tuple[str, str | None]] = []

    class Noting(client.SpacesClient):
        def __init__(self, url: str, *, token: str | None = None, **more: object) -> None:
            used.append((url, token))
            super().__init__(url, token=token)

    async def nothing(_: client.SpacesClient) -> None:
        return

    monkeypatch.setattr(client, "SpacesClient", Noting)
    monkeypatch.setattr(remote, "_file", lambda: tmp_path / "login.json")
    remote.save(Login("https://a.example", "secret", "me"))
    assert (tmp_path / "login.json").stat().st_mode & 0o077 == 0
    remote.remote(None, None, nothing)
    remote.remote("https://a.example", None, nothing)
    remote.remote("https://b.example", None, nothing)
    remote.remote("https://b.example", "other", nothing)
    remote.forget()
    remote.remote(None, None, nothing)
    assert used == [
        ("https://a.example", "secret"),
        ("https://a.example", "secret"),
        ("https://b.example", None),
        ("https://b.example", "other"),
        ("http://127.0.0.1:8420", None),
    ]
