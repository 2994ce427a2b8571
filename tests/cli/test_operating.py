"""What an operator does on the server's machine, beside the running server: accounts, keys, tokens, the database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from spaces_ctl.cli.exits import Exit
from tests.support.databases import PostgresCluster
from tests.support.real_server import RealServer, real_server

API = "/api/v1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("operating")) as running:
        yield running


def token_for(server: RealServer, handle: str) -> str:
    """A token of an account that is made for it."""
    assert server.command("account", "create", handle, "--json").code == 0
    return str(server.command("token", "mint", handle).out.strip())


def me(server: RealServer, token: str) -> httpx.Response:
    return httpx.get(f"{server.url}{API}/me", headers={"Authorization": f"Bearer {token}"})


# spaces account, spaces token


def test_an_account_from_its_creation_to_another_password_and_role(server: RealServer) -> None:
    made = server.command(
        "account", "create", "alice", "--name", "Alice A",
        "--email", "a@b.example", "--password", "--role", "moderator",
        "--json", given="first password\n",
    )  # fmt: skip
    assert made.code == Exit.OK, made.err
    told = {name: made.json[name] for name in ("handle", "name", "role", "email", "has_password")}
    assert told == {
        "handle": "alice",
        "name": "Alice A",
        "role": "moderator",
        "email": "a@b.example",
        "has_password": True,
    }
    assert server.command("account", "show", "alice", "--json").json == made.json
    assert made.json in server.command("account", "list", "--json").json
    plain = server.command("account", "list")
    assert [line for line in plain.out.splitlines() if "Alice A" in line and "moderator" in line and "alice" in line]

    token = server.command("token", "mint", "alice", "--device", "test", "--json").json["token"]
    assert me(server, token).json()["account"]["moderator"] is True

    changed = server.command("account", "password", "alice", "--json", given="second password\n")
    assert (changed.code, changed.json) == (Exit.OK, {"handle": "alice"})
    assert me(server, token).status_code == 401, "all sessions are ended"
    old = server.command("login", "alice", given="first password\n")
    assert (old.code, old.err.split(":")[1]) == (Exit.REFUSED, " auth.credentials")

    role = server.command("account", "role", "alice", "operator", "--json")
    assert (role.code, role.json["role"]) == (Exit.OK, "operator")
    fresh = server.command("token", "mint", "alice").out.strip()
    assert me(server, fresh).json()["account"]["operator"] is True
    assert server.command("account", "role", "alice", "none").code == Exit.OK
    assert me(server, fresh).json()["account"]["operator"] is False


def test_accounts_that_cannot_be(server: RealServer) -> None:
    token_for(server, "twice")
    again = server.command("account", "create", "twice")
    assert (again.code, again.err.split(":")[1]) == (Exit.REFUSED, " account.exists")
    for command in (("show", "nobody"), ("role", "nobody", "operator"), ("password", "nobody")):
        ran = server.command("account", *command, "--json", given="long enough\n")
        assert (ran.code, '"code": "account.not_found"' in ran.err) == (Exit.REFUSED, True), ran.err
    assert server.command("account", "role", "twice", "king").code == Exit.USAGE
    short = server.command("account", "create", "short", "--password", given="short\n")
    assert (short.code, short.err.split(":")[1]) == (Exit.REFUSED, " request.invalid")
    assert server.command("account", "create", "none", "--password").err == "spaces: no password on standard input\n"
    assert server.command("token", "mint", "nobody").code == Exit.REFUSED


def test_login_does_not_send_the_kept_token_of_an_ended_session(server: RealServer) -> None:
    assert server.command("account", "create", "again", "--password", given="some password\n").code == Exit.OK
    assert server.command("login", "again", given="some password\n").code == Exit.OK
    assert server.command("account", "password", "again", given="new password\n").code == Exit.OK
    login = server.command("login", "again", given="new password\n")
    assert login.code == Exit.OK, login.err
    # Nor does logout of one complain.
    assert server.command("account", "password", "again", given="newer password\n").code == Exit.OK
    logout = server.command("logout")
    assert (logout.code, logout.out) == (Exit.OK, "logged out\n"), logout.err


# spaces key


def test_a_service_key_mints_until_it_is_revoked(server: RealServer) -> None:
    host = token_for(server, "keyhost")
    made = server.command("key", "create", "Embedder", "--namespace", "shop", "--json")
    assert (made.code, made.json["scopes"]) == (Exit.OK, ["join_tokens"]), made.err
    space = server.command("space", "create", "Shop", "--start", "--json", SPACES_TOKEN=host).json["id"]

    def mint() -> httpx.Response:
        return httpx.post(
            f"{server.url}{API}/join-tokens",
            headers={"Authorization": f"Bearer {made.json['secret']}"},
            json={"space": space, "user": "customer-1", "name": "Cust"},
        )

    assert mint().status_code < 300, mint().text
    [listed] = [key for key in server.command("key", "list", "--json").json if key["id"] == made.json["id"]]
    assert (listed["namespace"], listed["revoked_at"]) == ("shop", None)
    assert "Embedder" in server.command("key", "list").out
    revoked = server.command("key", "revoke", made.json["id"])
    assert (revoked.code, revoked.out) == (Exit.OK, f"{made.json['id']}: revoked\n")
    assert mint().status_code == 401
    [listed] = [key for key in server.command("key", "list", "--json").json if key["id"] == made.json["id"]]
    assert listed["revoked_at"] is not None
    unknown = server.command("key", "revoke", "nothing", "--json")
    assert (unknown.code, '"exit": 1' in unknown.err) == (Exit.REFUSED, True), unknown.err
    assert server.command("key", "create", "Bad", "--scope", "everything").code == Exit.REFUSED


# spaces space


def test_spaces_of_the_running_server_in_json(server: RealServer) -> None:
    token = token_for(server, "spacehost")
    made = server.command("space", "create", "Tea", "--json", SPACES_TOKEN=token)
    assert (made.code, made.json["status"]) == (Exit.OK, "lobby")
    space = made.json["id"]
    started = server.command("space", "start", space, "--json", SPACES_TOKEN=token)
    assert (started.code, started.json["space"]) == (Exit.OK, space)
    assert space in [one["id"] for one in server.command("space", "list", "--json").json]
    shown = server.command("space", "show", space, "--json")
    assert (shown.code, shown.json["status"], shown.json["stage"][0]["role"]) == (Exit.OK, "live", "host")
    ended = server.command("space", "end", space, "--json", SPACES_TOKEN=token)
    assert (ended.code, ended.json["version"] > started.json["version"]) == (Exit.OK, True)
    gone = server.command("space", "show", "1nothing", "--json")
    assert (gone.code, '"code": "space.not_found"' in gone.err) == (Exit.REFUSED, True)


# spaces db


async def test_a_deployment_moves_from_sqlite_to_postgresql(
    server: RealServer, tmp_path: Path, postgres_cluster: PostgresCluster
) -> None:
    token = token_for(server, "mover")
    space = server.command("space", "create", "Moving", "--start", "--json", SPACES_TOKEN=token).json["id"]
    file = tmp_path / "spaces.backup"
    saved = server.command("db", "backup", str(file), "--json")
    assert saved.code == Exit.OK, saved.err
    assert saved.json["rows"]["accounts"] >= 1
    assert server.command("db", "backup", str(file)).code != Exit.OK, "a backup is not written over"
    assert file.stat().st_mode & 0o077 == 0

    name = await postgres_cluster.create(tables=False)
    moved = RealServer(tmp_path, database=postgres_cluster.url(name))
    assert moved.command("db", "status", "--json").json["ok"] is False
    assert moved.command("db", "status").code == Exit.SCHEMA
    before = moved.command("account", "list")
    assert (before.code, "run `spaces db migrate`" in before.err) == (Exit.SCHEMA, True)
    restored = moved.command("db", "restore", str(file), "--json")
    assert restored.code == Exit.OK, restored.err
    assert restored.json["rows"] == saved.json["rows"]
    status = moved.command("db", "status", "--json")
    assert (status.code, status.json["ok"]) == (Exit.OK, True)
    assert moved.command("db", "migrate", "--json").json["before"] == status.json["revision"]
    twice = moved.command("db", "restore", str(file))
    assert (twice.code, "not empty" in twice.err) == (Exit.REFUSED, True)
    try:
        moved.start()
        # The old token, the live Space and new ids, on the new database.
        shown = moved.command("space", "show", space, "--json")
        assert shown.json["status"] == "live"
        assert moved.command("space", "end", space, SPACES_TOKEN=token).code == Exit.OK
        assert moved.command("space", "create", "New", "--start", SPACES_TOKEN=token).code == Exit.OK
        moved.stop()
    finally:
        moved.kill()
    await postgres_cluster.drop(name)


def test_files_that_are_no_backups(server: RealServer, tmp_path: Path) -> None:
    missing = server.command("db", "restore", str(tmp_path / "none"))
    assert (missing.code, missing.err) == (Exit.USAGE, f"spaces: {tmp_path}/none: No such file or directory\n")
    (tmp_path / "text").write_text("no backup")
    empty = f"sqlite:///{tmp_path}/new.db"
    bad = server.command("db", "restore", str(tmp_path / "text"), SPACES_DATABASE__URL=empty)
    assert bad.code == Exit.REFUSED
    assert len(bad.err.splitlines()) == 1
