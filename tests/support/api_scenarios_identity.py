"""Scenarios, as in `api_scenarios`, of accounts, logins, apps and service keys."""

from __future__ import annotations

import re
from typing import Any

from spaces_ctl.api import wire
from spaces_ctl.store import accounts as account_store
from spaces_ctl.store import sessions as session_store
from tests.support.api_scenarios import Ready, Scenario, standing
from tests.support.api_services import PROVIDER
from tests.support.api_world import ANN, HOST, OPERATOR, ApiWorld, bearer

__all__ = ["SCENARIOS", "app_of", "grant_of", "new_email", "password_of", "service_key", "session_of", "token_mailed"]

PASSWORD = "correct horse"


def _plain(who: int | None, body: Any = None, query: dict[str, Any] | None = None, **path: str) -> Scenario:
    async def ready(world: ApiWorld) -> Ready:
        return Ready(who, path, body, query or {})

    return ready


async def session_of(world: ApiWorld, account: int) -> str:
    """A session with the id that `authenticate` says the account has."""
    session = f"s{account}"
    values = {"id": session, "digest": session.encode().ljust(32), "account": account, "kind": "bearer", "device": ""}
    now = world.clock.now_ms()
    times = {"created_ms": now, "rotated_ms": now, "seen_ms": now}
    await world.db.write(lambda c: session_store.delete(c, account, session))
    await world.db.write(lambda c: session_store.insert(c, **values, **times))
    return session


async def password_of(world: ApiWorld, account: int) -> str:
    """Sets it. Who has failed too often before may try again."""
    windows = world.more.windows
    for key in (("password", account), ("login", f"user{account}"), ("address", "127.0.0.1")):
        windows.clear(key)
    await world.more.sessions.set_password(account, PASSWORD)
    return PASSWORD


def new_email(world: ApiWorld) -> str:
    return f"u{world.ids.next()}@example.org"


def token_mailed(world: ApiWorld) -> str:
    """What the link of the last mail bears."""
    found = re.search(r"token=(\S+)", world.more.outbox.sent[-1][2])
    assert found is not None
    return found[1]


async def app_of(world: ApiWorld, owner: int) -> str:
    made = await world.more.oauth.apps.register(owner, name="App", redirect_uris=["https://app.example.org/back"])
    return made.app.client_id


async def grant_of(world: ApiWorld, account: int) -> str:
    await world.more.oauth.issue(await app_of(world, HOST), account, ["space.read"], life_ms=3_600_000)
    return (await world.more.oauth.grants(account))[0].id


async def service_key(world: ApiWorld, *scopes: str) -> str:
    made = await world.more.service_keys.create(name="Forum", namespace="forum", scopes_wanted=scopes)
    return made.key.id


async def _register(world: ApiWorld) -> Ready:
    return Ready(None, {}, {"handle": f"n{world.ids.next() % 10**13}", "password": PASSWORD})


async def _log_in(world: ApiWorld) -> Ready:
    password = await password_of(world, ANN)
    return Ready(None, {}, {"name": f"user{ANN}", "password": password})


async def _in_session(world: ApiWorld) -> Ready:
    return Ready(ANN, {"session": await session_of(world, ANN)})


async def _change_password(world: ApiWorld) -> Ready:
    old = await password_of(world, ANN)
    return Ready(ANN, {}, {"old": old, "new": "another horse"})


async def _address(world: ApiWorld) -> Ready:
    return Ready(ANN, {}, {"email": new_email(world)})


async def _verify(world: ApiWorld) -> Ready:
    await world.more.email_links.send_verification(ANN, new_email(world))
    return Ready(None, {}, {"token": token_mailed(world)})


async def _reset(world: ApiWorld) -> Ready:
    email = new_email(world)
    await world.db.write(lambda c: account_store.update(c, ANN, email=email, email_verified=True))
    await world.more.email_links.send_reset(email)
    return Ready(None, {}, {"token": token_mailed(world), "password": "another horse"})


async def _revoke_key(world: ApiWorld) -> Ready:
    return Ready(OPERATOR, {"key": await service_key(world, "space.read")})


async def _mint(world: ApiWorld) -> Ready:
    key = await service_key(world, "join_tokens")
    body = {"space": wire.space_text(await standing(world)), "user": "user-7", "name": "Grace"}
    return Ready(None, {}, body, headers=bearer(None, app=key, scopes="join_tokens"))


async def _app(world: ApiWorld) -> Ready:
    return Ready(ANN, {"client_id": await app_of(world, ANN)})


async def _grant(world: ApiWorld) -> Ready:
    return Ready(ANN, {"grant": await grant_of(world, ANN)})


SCENARIOS: dict[str, Scenario] = {
    "register": _register,
    "logIn": _log_in,
    "logOut": _in_session,
    "getSession": _in_session,
    "listSessions": _in_session,
    "endSession": _in_session,
    "endOtherSessions": _in_session,
    "changePassword": _change_password,
    "verifyAddress": _address,
    "addressVerified": _verify,
    "askForReset": _address,
    "resetPassword": _reset,
    "editMe": _plain(ANN, {"name": "Ann", "picture": "https://pictures.example.org/ann.png"}),
    "listBlocks": _plain(ANN),
    "listMutes": _plain(ANN),
    "listFollowing": _plain(ANN),
    "listFollowers": _plain(ANN),
    "listAccounts": _plain(None, query={"ids": f"{HOST},{ANN}"}),
    "getRelation": _plain(ANN, account=str(HOST)),
    "getAccount": _plain(None, account=str(HOST)),
    "getAccountByHandle": _plain(None, handle=f"User{HOST}"),
    "listProviders": _plain(None),
    "startProviderLogin": _plain(None, provider=PROVIDER),
    "linkProvider": _plain(ANN, provider=PROVIDER),
    "providerCallback": _plain(None, provider=PROVIDER),
    "createServiceKey": _plain(OPERATOR, {"name": "Forum", "namespace": "forum"}),
    "listServiceKeys": _plain(OPERATOR),
    "revokeServiceKey": _revoke_key,
    "mintJoinToken": _mint,
    "invalidateGraph": _plain(None),
    "registerApp": _plain(ANN, {"name": "App", "redirect_uris": ["https://app.example.org/back"]}),
    "listApps": _plain(ANN),
    "renewAppSecret": _app,
    "deleteApp": _app,
    "listGrants": _plain(ANN),
    "withdrawGrant": _grant,
}
"""`startProviderLogin` and `providerCallback` redirect, `invalidateGraph` is signed (tests/identity): no 2xx."""
