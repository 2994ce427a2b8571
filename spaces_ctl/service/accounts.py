"""Accounts: making and editing them, and every `AccountCommand`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl import commands as cmd
from spaces_ctl import events as ev
from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId, Actor
from spaces_ctl.policy.facts import AccountFacts, Needs
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.graph import WritableGraph
from spaces_ctl.service.ports import Principal
from spaces_ctl.store import accounts as store
from spaces_ctl.store.database import Database

__all__ = ["HANDLE", "Account", "Accounts", "Reaction", "account_of", "free_handle"]

HANDLE = re.compile(r"[a-z0-9_]{1,15}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")
_DAY_MS = 86_400_000

Reaction = Callable[[ev.AccountEvent, Actor], Awaitable[None]]
"""Told of account events after they are committed and before the command is answered; may be told twice."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as itself and the operator see it."""

    id: AccountId
    handle: str
    name: str
    description: str = ""
    picture: str = ""
    protected: bool = False
    listening_visible: bool = True
    moderator: bool = False
    operator: bool = False
    email: str | None = None
    email_verified: bool = False
    has_password: bool = False
    namespace: str | None = None
    """Whose user this is, if a service key's; `external` is their name over there."""
    external: str | None = None
    followers: int = 0
    created_ms: int = 0


class Accounts:
    """All that is done to accounts. Commands' reactions are added with `on_event` before the first command."""

    def __init__(
        self, *, db: Database, graph: WritableGraph, clock: Clock, next_id: Callable[[], int], limits: Limits
    ) -> None:
        """`next_id` makes ids for accounts and appeals (`service.snowflake`)."""
        self._db = db
        self._graph = graph
        self._clock = clock
        self._next_id = next_id
        self._limits = limits
        self._reactions: list[Reaction] = []
        self._violation: Callable[[AccountId, int], Awaitable[int | None]] | None = None

    def on_event(self, reaction: Reaction) -> None:
        """Adds somebody who reacts to account events, for example in live Spaces."""
        self._reactions.append(reaction)

    def violations_from(self, found: Callable[[AccountId, int], Awaitable[int | None]]) -> None:
        """Says where appeals learn when a violation was found in an account's Space (ms; None: there is none)."""
        self._violation = found

    # Making and editing

    async def create(
        self,
        *,
        handle: str,
        name: str = "",
        password_hash: str | None = None,
        email: str | None = None,
        moderator: bool = False,
        operator: bool = False,
        namespace: str | None = None,
        external: str | None = None,
    ) -> Account:
        """Makes an account. Raises ServiceError `request.invalid`, `account.exists`."""
        values: dict[str, Any] = {
            "id": self._next_id(),
            "handle": _valid_handle(handle),
            "name": _valid_text(name or handle, "name", 50),
            "password": password_hash,
            "email": _valid_email(email),
            "moderator": moderator,
            "operator": operator,
            "namespace": namespace,
            "external": external,
            "created_ms": self._clock.now_ms(),
        }
        if not await self._db.write(lambda c: store.insert(c, **values)):
            raise ServiceError("account.exists")
        return await self.get(values["id"])

    async def get(self, account: AccountId) -> Account:
        """One account. Raises ServiceError `account.not_found`."""
        row = await self._db.read(lambda c: store.one(c, account))
        if row is None:
            raise ServiceError("account.not_found")
        return account_of(row)

    async def by_handle(self, handle: str) -> Account:
        """One account. Raises ServiceError `account.not_found`."""
        rows = await self._db.read(lambda c: store.by_handles(c, [handle.lower()]))
        if not rows:
            raise ServiceError("account.not_found")
        return account_of(rows[0])

    async def external(self, namespace: str, external: str, name: str = "") -> Account:
        """The account that stands for another product's user, made at the first time."""
        found = await self._db.read(lambda c: store.by_external(c, namespace, external))
        if found is not None:
            return account_of(found)
        if not 1 <= len(external) <= 255:
            raise ServiceError("request.invalid", "An external id has 1 to 255 characters.")
        try:
            handle = await free_handle(self, name or external)
            return await self.create(handle=handle, name=name[:50], namespace=namespace, external=external)
        except ServiceError as error:
            # Somebody else made it in the meantime.
            found = await self._db.read(lambda c: store.by_external(c, namespace, external))
            if error.code != "account.exists" or found is None:
                raise
            return account_of(found)

    async def edit(
        self,
        account: AccountId,
        *,
        handle: str | None = None,
        name: str | None = None,
        description: str | None = None,
        picture: str | None = None,
    ) -> Account:
        """Changes the profile. Raises ServiceError `request.invalid`, `account.exists`, `account.not_found`."""
        values: dict[str, Any] = {}
        if handle is not None:
            values["handle"] = _valid_handle(handle)
        if name is not None:
            values["name"] = _valid_text(name, "name", 50)
        if description is not None:
            values["description"] = _valid_text(description, "description", 160, empty=True)
        if picture is not None:
            if picture and not picture.startswith("https://"):
                raise ServiceError("request.invalid", "A picture is an https URL.")
            values["picture"] = _valid_text(picture, "picture", 2048, empty=True)
        if values:
            await self._update(account, values)
        return await self.get(account)

    async def set_roles(self, account: AccountId, *, moderator: bool, operator: bool) -> Account:
        """Makes somebody a platform moderator or operator, or takes that away."""
        await self._update(account, {"moderator": moderator, "operator": operator})
        return await self.get(account)

    async def _update(self, account: AccountId, values: dict[str, Any]) -> None:
        try:
            if not await self._db.write(lambda c: store.update(c, account, **values)):
                raise ServiceError("account.not_found")
        except sa.exc.IntegrityError as error:
            raise ServiceError("account.exists") from error

    # Commands

    async def execute(self, principal: Principal, command: cmd.AccountCommand) -> ev.AccountEvent | None:
        """Carries a command out; the event, or None if it was so already.

        When it returns, reactions (a blocked speaker leaves the blocker's stage) are done. Raises ServiceError:
        `auth.token_missing`, `role.forbidden`, `target.self`, `account.not_found`, `setting.invalid`,
        `report.reason_required`, `appeal.*`.
        """
        actor, now = principal.actor(), self._clock.now_ms()
        if actor.account is None and not principal.operator:
            raise ServiceError("auth.token_missing")
        if isinstance(command, cmd.MuteAccount | cmd.UnmuteAccount):
            on = isinstance(command, cmd.MuteAccount)
            me = await self._towards(actor, command.account)
            await self._graph.mute(me, command.account, on, now)
            return None
        event = await self._decide(actor, principal, command, now)
        changed = await self._commit(event, actor, now)
        if changed or isinstance(event, ev.AccountBlocked | ev.LiveBanned):
            # Also when it was so already: the call before may have died between commit and reaction.
            for reaction in self._reactions:
                await reaction(event, actor)
        return event if changed else None

    async def _decide(
        self, actor: Actor, principal: Principal, command: cmd.AccountCommand, now: int
    ) -> ev.AccountEvent:
        match command:
            case cmd.Block(account=account):
                return ev.AccountBlocked(by=await self._towards(actor, account), account=account)
            case cmd.Unblock(account=account):
                return ev.AccountUnblocked(by=await self._towards(actor, account), account=account)
            case cmd.Follow(account=account):
                me = await self._towards(actor, account, may_follow=True)
                return ev.Followed(by=me, account=account)
            case cmd.Unfollow(account=account):
                return ev.Followed(by=await self._towards(actor, account), account=account, on=False)
            case cmd.SetProtected(on=on):
                return ev.Protected(account=_me(actor), on=on)
            case cmd.SetListeningVisibility(visible=visible):
                return ev.ListeningVisibility(account=_me(actor), visible=visible)
            case cmd.BanFromLive(account=account, reason=reason, until_ms=until_ms):
                _moderates(principal)
                await self._known(account, now)
                if not reason.strip() or len(reason) > 400:
                    raise ServiceError("report.reason_required")
                if until_ms is not None and until_ms <= now:
                    raise ServiceError("setting.invalid", "The ban would be over already.")
                return ev.LiveBanned(account=account, reason=reason, until_ms=until_ms)
            case cmd.LiftBan(account=account):
                _moderates(principal)
                await self._known(account, now)
                return ev.BanLifted(account=account)
            case cmd.Appeal(text=text, space=space):
                return await self._appeal(_me(actor), text, space, now)
            case cmd.ResolveAppeal(appeal=appeal, grant=grant, note=note):
                _moderates(principal)
                row = await self._db.read(lambda c: store.appeal(c, appeal))
                if row is None or row.resolved_ms is not None:
                    raise ServiceError("appeal.not_found")
                return ev.AppealResolved(appeal=appeal, account=row.account, granted=grant, note=note)
            case _:
                raise TypeError(f"not an account command: {command!r}")

    async def _towards(self, actor: Actor, target: AccountId, *, may_follow: bool = False) -> AccountId:
        me = _me(actor)
        if target == me:
            raise ServiceError("target.self")
        pairs = frozenset({(target, me), (me, target)}) if may_follow else frozenset()
        needs = Needs(accounts=frozenset({target}), blocks=pairs)
        facts = await self._graph.facts(needs, self._clock.now_ms())
        # Who blocks somebody is not there for them to follow.
        if not facts.accounts[target].exists or (target, me) in facts.blocks:
            raise ServiceError("account.not_found")
        if (me, target) in facts.blocks:
            raise ServiceError("role.forbidden", "Unblock the account first.")
        return me

    async def _known(self, account: AccountId, now: int) -> AccountFacts:
        facts = await self._graph.facts(Needs(accounts=frozenset({account})), now)
        if not facts.accounts[account].exists:
            raise ServiceError("account.not_found")
        return facts.accounts[account]

    async def _appeal(self, me: AccountId, text: str, space: int | None, now: int) -> ev.AppealFiled:
        text = _valid_text(text, "text", 4000)
        if space is None:
            ban = await self._db.read(lambda c: store.live_ban(c, me))
            against = ban.at_ms if ban is not None and (ban.until_ms is None or ban.until_ms > now) else None
        else:
            against = await self._violation(me, space) if self._violation else None
        if against is None:
            raise ServiceError("appeal.not_found", "There is nothing to appeal against.")
        if now > against + self._limits.appeal_days * _DAY_MS:
            raise ServiceError("appeal.window_closed")
        if await self._db.read(lambda c: store.open_appeals(c, me, space)):
            raise ServiceError("appeal.exists")
        return ev.AppealFiled(appeal=self._next_id(), account=me, text=text, space=space)

    async def _commit(self, event: ev.AccountEvent, actor: Actor, now: int) -> bool:
        match event:
            case ev.AppealFiled():
                filed = {"id": event.appeal, "account": event.account, "space": event.space, "text": event.text}
                await self._db.write(lambda c: store.file_appeal(c, **filed, filed_ms=now))
                return await self._graph.apply(event, actor, now)
            case ev.AppealResolved(appeal=appeal, granted=granted, note=note):
                by = actor.account
                if not await self._db.write(lambda c: store.resolve_appeal(c, appeal, granted, note, by, now)):
                    raise ServiceError("appeal.not_found")
                row = await self._db.read(lambda c: store.appeal(c, appeal))
                if granted and row is not None and row.space is None:
                    await self._commit(ev.BanLifted(account=event.account), actor, now)
                return await self._graph.apply(event, actor, now)
            case _:
                return await self._graph.apply(event, actor, now)


def account_of(row: sa.Row[Any]) -> Account:
    """A row of `accounts` without its password."""
    return Account(
        **{name: getattr(row, name) for name in Account.__struct_fields__ if name != "has_password"},
        has_password=row.password is not None,
    )


async def free_handle(accounts: Accounts, wish: str) -> str:
    """A handle like `wish` that nobody has."""
    base = re.sub(r"[^a-z0-9_]+", "_", wish.lower()).strip("_")[:15] or "guest"
    for n in range(1000):
        suffix = str(n + 1) if n else ""
        handle = base[: 15 - len(suffix)] + suffix
        try:
            await accounts.by_handle(handle)
        except ServiceError:
            return handle
    return f"u{secrets.randbelow(10**14)}"


def _me(actor: Actor) -> AccountId:
    if actor.account is None:
        raise ServiceError("auth.token_missing")
    return actor.account


def _moderates(principal: Principal) -> None:
    if not (principal.moderator or principal.operator):
        raise ServiceError("role.forbidden")


def _valid_handle(handle: str) -> str:
    handle = handle.lower()
    if not HANDLE.fullmatch(handle):
        raise ServiceError("request.invalid", "A handle has 1 to 15 letters a-z, digits and underscores.")
    return handle


def _valid_text(text: str, what: str, longest: int, *, empty: bool = False) -> str:
    text = text.strip()
    if len(text) > longest or not (text or empty) or any(ord(letter) < 32 for letter in text if letter not in "\n"):
        raise ServiceError("request.invalid", f"{what}: 1 to {longest} characters, no control characters.")
    return text


def _valid_email(email: str | None) -> str | None:
    if email is None:
        return None
    email = email.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise ServiceError("request.invalid", "That is no e-mail address.")
    return email
