"""Verifying addresses and resetting passwords by links in e-mails."""

from __future__ import annotations

import re

import httpx
import pytest

from spaces_ctl.api.pages import ADDRESSES
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.store.database import Database
from tests.support.identity import Identity


@pytest.fixture
def db(sqlite_db: Database) -> Database:
    return sqlite_db


def link(identity: Identity) -> str:
    found = re.search(r"token=(\S+)", identity.outbox.sent[-1][2])
    assert found is not None
    return found[1]


async def verified(identity: Identity, handle: str, email: str) -> int:
    account = await identity.person(handle)
    await identity.email_links.send_verification(account, email)
    assert await identity.email_links.verify(link(identity)) == account
    return account


async def test_an_address_is_verified_by_its_link_once_and_in_time(identity: Identity) -> None:
    account = await identity.person("ada", email="ada@example.org")
    assert not (await identity.accounts.get(account)).email_verified
    await identity.email_links.send_verification(account, "ada@example.org")
    first = link(identity)
    await identity.email_links.send_verification(account, "ada@example.org")
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await identity.email_links.verify(first)  # a newer one was sent
    await identity.email_links.verify(link(identity))
    assert (await identity.accounts.get(account)).email_verified
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await identity.email_links.verify(link(identity))
    identity.clock.advance(days=1)
    await identity.email_links.send_verification(account, "new@example.org")
    identity.clock.advance(days=2.1)
    with pytest.raises(ServiceError, match=r"auth\.token_invalid"):
        await identity.email_links.verify(link(identity))
    assert (await identity.accounts.get(account)).email == "ada@example.org"


async def test_an_address_belongs_to_whom_verified_it_first(identity: Identity) -> None:
    ada, bob = await identity.person("ada"), await identity.person("bob")
    await identity.email_links.send_verification(ada, "both@example.org")
    adas = link(identity)
    await identity.email_links.send_verification(bob, "both@example.org")
    await identity.email_links.verify(link(identity))
    with pytest.raises(ServiceError, match=r"account\.exists"):
        await identity.email_links.verify(adas)
    assert (await identity.accounts.get(bob)).email == "both@example.org"


async def test_log_in_with_a_verified_address_only(browser: httpx.AsyncClient, identity: Identity) -> None:
    await verified(identity, "ada", "ada@example.org")
    await identity.person("bob", email="bob@example.org")
    for name, status in (("Ada@Example.org", 200), ("bob@example.org", 401)):
        login = {"name": name, "password": "correct horse", "session": "bearer"}
        assert (await browser.post("/api/v1/auth/login", json=login)).status_code == status


async def test_registering_does_not_tell_whether_an_address_is_known(
    browser: httpx.AsyncClient, identity: Identity
) -> None:
    await verified(identity, "ada", "ada@example.org")
    account = {"handle": "eve", "password": "correct horse", "email": "ada@example.org", "session": "bearer"}
    assert (await browser.post("/api/v1/auth/register", json=account)).status_code == 201


async def test_a_reset_sets_the_password_and_ends_all_sessions(browser: httpx.AsyncClient, identity: Identity) -> None:
    await verified(identity, "ada", "ada@example.org")
    old = {"name": "ada", "password": "correct horse"}
    assert (await browser.post("/api/v1/auth/login", json=old)).status_code == 200
    csrf = {"x-csrf-token": (await browser.get("/api/v1/auth/session")).json()["csrf"]}
    sent = len(identity.outbox.sent)
    known = await browser.post("/api/v1/auth/password-reset", json={"email": "ADA@example.org"}, headers=csrf)
    unknown = await browser.post("/api/v1/auth/password-reset", json={"email": "eve@example.org"}, headers=csrf)
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text) == (202, "")
    await browser.get("/api/v1/auth/session")  # the mail goes out after the answer; the connection is free then
    assert [to for to, _, _ in identity.outbox.sent[sent:]] == ["ada@example.org"]
    token = link(identity)
    short = await browser.put("/api/v1/auth/password-reset", json={"token": token, "password": "short"})
    assert short.status_code == 422
    done = await browser.put("/api/v1/auth/password-reset", json={"token": token, "password": "battery staple"})
    assert done.status_code == 204, "a password too short does not use the link up"
    assert (await browser.get("/api/v1/me")).status_code == 401
    browser.cookies.clear()
    assert (await browser.post("/api/v1/auth/login", json=old)).status_code == 401
    new = {**old, "password": "battery staple"}
    assert (await browser.post("/api/v1/auth/login", json=new)).status_code == 200
    again = await browser.put(
        "/api/v1/auth/password-reset", json={"token": token, "password": "battery staple"}, headers=csrf
    )
    assert again.status_code in {401, 403}


async def test_nobodys_mailbox_is_flooded(identity: Identity) -> None:
    await verified(identity, "ada", "ada@example.org")
    for _ in range(9):
        await identity.email_links.send_reset("ada@example.org")
    assert len(identity.outbox.sent) == 3


async def test_the_links_lead_to_addresses_of_the_app(identity: Identity) -> None:
    account = await verified(identity, "ada", "ada@example.org")
    await identity.email_links.send_verification(account, "ada@example.com")
    await identity.email_links.send_reset("ada@example.org")
    paths = [re.search(r"https?://[^/]+(/[a-z]+)\?token=", sent[2]) for sent in identity.outbox.sent[-2:]]
    assert [path and path[1] for path in paths] == ["/verify", "/reset"]
    assert {"/verify", "/reset"} <= set(ADDRESSES)
