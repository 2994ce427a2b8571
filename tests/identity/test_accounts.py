"""Account commands: the policy's refusals, what they change, and who is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.clock import ManualClock
from spaces_ctl.model import Actor
from spaces_ctl.policy.facts import Needs
from spaces_ctl.service import redirects
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.windows import Window, Windows
from spaces_ctl.store import account_log
from tests.support.identity import Identity

DAY_MS = 86_400_000


@pytest.fixture
async def people(identity: Identity) -> tuple[Principal, Principal, Principal]:
    ada, bob = await identity.person("ada"), await identity.person("bob")
    mod = await identity.person("mod", moderator=True)
    return Principal(account=ada), Principal(account=bob), Principal(account=mod, moderator=True)


def key(principal: Principal) -> int:
    assert principal.account is not None
    return principal.account


async def refused(identity: Identity, who: Principal, command: c.AccountCommand) -> str:
    with pytest.raises(ServiceError) as error:
        await identity.accounts.execute(who, command)
    return error.value.code


async def test_a_block_is_told_before_it_is_answered_and_again_when_repeated(
    identity: Identity, people: tuple[Principal, ...]
) -> None:
    ada, bob, _ = people
    told: list[tuple[ev.AccountEvent, Actor]] = []

    async def note(event: ev.AccountEvent, actor: Actor) -> None:
        told.append((event, actor))

    identity.accounts.on_event(note)
    await identity.accounts.execute(bob, c.Follow(account=key(ada)))
    told.clear()
    blocked = ev.AccountBlocked(by=key(ada), account=key(bob))
    assert await identity.accounts.execute(ada, c.Block(account=key(bob))) == blocked
    assert told[-1] == (blocked, ada.actor())
    assert list(await identity.graph.followers(key(ada))) == []
    told.clear()
    assert await identity.accounts.execute(ada, c.Block(account=key(bob))) is None
    assert told == [(blocked, ada.actor())], "the first call may have died before its reaction"
    assert await refused(identity, bob, c.Follow(account=key(ada))) == "account.not_found", "nobody learns of a block"
    assert await refused(identity, ada, c.Follow(account=key(bob))) == "role.forbidden"
    unblocked = await identity.accounts.execute(ada, c.Unblock(account=key(bob)))
    assert unblocked == ev.AccountUnblocked(by=key(ada), account=key(bob))
    assert await identity.accounts.execute(ada, c.Unblock(account=key(bob))) is None


async def test_what_the_rules_forbid(identity: Identity, people: tuple[Principal, ...]) -> None:
    ada, bob, mod = people
    guest = Principal()
    for who, command, code in (
        (ada, c.Block(account=key(ada)), "target.self"),
        (ada, c.Follow(account=999), "account.not_found"),
        (ada, c.MuteAccount(account=999), "account.not_found"),
        (guest, c.Follow(account=key(ada)), "auth.token_missing"),
        (ada, c.BanFromLive(account=key(bob), reason="spam"), "role.forbidden"),
        (mod, c.BanFromLive(account=key(bob), reason=" "), "report.reason_required"),
        (mod, c.BanFromLive(account=key(bob), reason="spam", until_ms=1), "setting.invalid"),
        (mod, c.BanFromLive(account=999, reason="spam"), "account.not_found"),
        (ada, c.LiftBan(account=key(bob)), "role.forbidden"),
        (ada, c.ResolveAppeal(appeal=1, grant=True), "role.forbidden"),
        (mod, c.ResolveAppeal(appeal=1, grant=True), "appeal.not_found"),
        (ada, c.Appeal(text="why?"), "appeal.not_found"),
        (ada, c.Appeal(text=""), "request.invalid"),
        (ada, c.Appeal(text="why?", space=7), "appeal.not_found"),
    ):
        assert await refused(identity, who, command) == code, command
    assert not await identity.db.read(lambda connection: account_log.read_all(connection, 0, 10))


async def test_settings_and_mutes(identity: Identity, people: tuple[Principal, ...]) -> None:
    ada, bob, _ = people
    assert await identity.accounts.execute(ada, c.SetProtected(on=True)) == ev.Protected(account=key(ada), on=True)
    assert await identity.accounts.execute(ada, c.SetProtected(on=True)) is None
    hidden = await identity.accounts.execute(ada, c.SetListeningVisibility(visible=False))
    assert hidden == ev.ListeningVisibility(account=key(ada), visible=False)
    assert await identity.accounts.execute(ada, c.SetListeningVisibility(visible=False)) is None
    assert await identity.accounts.execute(ada, c.MuteAccount(account=key(bob))) is None
    assert list(await identity.graph.muted_by(key(ada))) == [key(bob)]
    assert await identity.accounts.execute(ada, c.UnmuteAccount(account=key(bob))) is None
    assert list(await identity.graph.muted_by(key(ada))) == []


@pytest.mark.parametrize("granted", [True, False])
async def test_a_ban_appealed_against(identity: Identity, people: tuple[Principal, ...], granted: bool) -> None:
    ada, _, mod = people
    until = identity.clock.now_ms() + 90 * DAY_MS
    await identity.accounts.execute(mod, c.BanFromLive(account=key(ada), reason="spam", until_ms=until))
    identity.clock.advance(days=29)
    filed = await identity.accounts.execute(ada, c.Appeal(text="It was not me"))
    assert isinstance(filed, ev.AppealFiled)
    assert await refused(identity, ada, c.Appeal(text="Again")) == "appeal.exists"
    resolved = await identity.accounts.execute(
        mod, c.ResolveAppeal(appeal=filed.appeal, grant=granted, note="so be it")
    )
    assert resolved == ev.AppealResolved(appeal=filed.appeal, account=key(ada), granted=granted, note="so be it")
    facts = await identity.graph.facts(Needs(accounts=frozenset({key(ada)})), identity.clock.now_ms())
    assert facts.accounts[key(ada)].live_banned is not granted
    assert await refused(identity, mod, c.ResolveAppeal(appeal=filed.appeal, grant=True)) == "appeal.not_found"
    log = await identity.db.read(lambda connection: account_log.read_all(connection, 0, 10))
    kinds = [type(entry.event).__name__ for entry in log]
    assert kinds == ["LiveBanned", "AppealFiled", "AppealResolved", *(["BanLifted"] if granted else [])]


async def test_an_appeal_comes_too_late(identity: Identity, people: tuple[Principal, ...]) -> None:
    ada, _, mod = people
    await identity.accounts.execute(mod, c.BanFromLive(account=key(ada), reason="spam"))
    identity.clock.advance(days=30, ms=1)
    assert await refused(identity, ada, c.Appeal(text="It was not me")) == "appeal.window_closed"


async def test_operators_moderate_too(identity: Identity, people: tuple[Principal, ...]) -> None:
    operator = Principal(operator=True, app="key", scopes=frozenset({"*"}))
    banned = await identity.accounts.execute(operator, c.BanFromLive(account=key(people[0]), reason="spam"))
    assert isinstance(banned, ev.LiveBanned)


# Pure parts


@given(st.text())
def test_a_login_never_leads_to_another_host(target: str) -> None:
    path = redirects.local_path(target)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert "\\" not in path
    assert path in {"/", target}


@given(st.sampled_from(["https", "http", "javascript", "com.example.app", "file"]), st.text(max_size=20))
def test_acceptable_redirects_match_themselves_and_have_no_fragment(scheme: str, rest: str) -> None:
    uri = f"{scheme}://{rest}"
    if redirects.acceptable(uri):
        assert "#" not in uri
        assert scheme not in {"javascript", "file"}
        assert redirects.matches(uri, uri)


def test_a_window_counts_refuses_and_forgets() -> None:
    clock = ManualClock()
    windows, window = Windows(clock, most_keys=3), Window(2, 1_000)
    assert [windows.take("a", window).remaining for _ in range(2)] == [1, 0]
    refused = windows.take("a", window)
    assert not refused.allowed
    assert refused.reset_ms == clock.now_ms() + 1_000
    clock.advance(ms=999)
    assert not windows.take("a", window).allowed
    clock.advance(ms=1)
    assert windows.take("a", window).remaining == 1
    for name in ("b", "c", "d", "e"):
        windows.take(name, window)
    assert len(windows._used) <= 3
