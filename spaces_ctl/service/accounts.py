"""Accounts: making and editing them, and every `AccountCommand`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl import commands as cmd
from spaces_ctl import events as ev
from spaces_ctl.clock import Clock
from spaces_ctl.model import AccountId, Actor, SpaceId
from spaces_ctl.policy import Denied
from spaces_ctl.policy.accounts import Appealed, PlatformFacts, decide_account
from spaces_ctl.policy.facts import AccountFacts, Needs
from spaces_ctl.policy.limits import Limits
from spaces_ctl.service.answering import AnsweringDatabase, answering
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.graph import WritableGraph
from spaces_ctl.service.ports import Principal
from spaces_ctl.store import accounts as store
from spaces_ctl.store.database import Database

__all__ = ["HANDLE", "Account", "Accounts", "Reaction", "UndoViolation", "account_of", "free_handle"]

HANDLE = re.compile(r"[a-z0-9_]{1,15}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")

Reaction = Callable[[ev.AccountEvent, Actor], Awaitable[None]]
"""Told of account events after they are committed and before the command is answered; may be told twice."""

UndoViolation = Callable[[Actor, SpaceId], Awaitable[None]]
"""Clears the violation that a granted appeal was against. Called before the appeal is closed, so that a crash leaves it
open; undoing twice is undoing once."""


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
        self._db = AnsweringDatabase(db)
        self._graph = graph
        self._clock = clock
        self._next_id = next_id
        self._limits = limits
        self._reactions: list[Reaction] = []
        self.undo_violation: UndoViolation | None = None
        """Without it, a granted appeal about a Space is recorded and the violation stands."""
        self.edited: Callable[[Sequence[AccountId]], None] = lambda accounts: None
        """Told whose profiles have changed."""

    def on_event(self, reaction: Reaction) -> None:
        """Adds somebody who reacts to account events, for example in live Spaces."""
        self._reactions.append(reaction)

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
            self.edited([account])
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
        """Carries a command out; the event that answers it, or None if it was so already.

        When it returns, reactions (a blocked speaker leaves the blocker's stage) are done. Raises ServiceError: the
        policy's refusals (`policy.accounts`), `auth.token_missing`, `request.invalid`, `graph.unavailable`.
        """
        with answering():
            return await self._execute(principal, command)

    async def _execute(self, principal: Principal, command: cmd.AccountCommand) -> ev.AccountEvent | None:
        actor, now = principal.actor(), self._clock.now_ms()
        if principal.operator:
            actor = msgspec.structs.replace(actor, moderator=True)
        if actor.account is None and not actor.moderator:
            raise ServiceError("auth.token_missing")
        facts = await self._facts(actor, _tidied(command), now)
        decision = decide_account(command, actor, facts, self._limits, now)
        if isinstance(decision, Denied):
            raise ServiceError(decision.code, decision.detail)
        if isinstance(command, cmd.MuteAccount | cmd.UnmuteAccount):
            await self._graph.mute(_me(actor), command.account, isinstance(command, cmd.MuteAccount), now)
            return None
        violated = facts.appeal.space if facts.appeal is not None else None
        if isinstance(command, cmd.ResolveAppeal) and command.grant and violated is not None and self.undo_violation:
            await self.undo_violation(actor, violated)
        await self._keep_appeals(decision, actor, now)
        changed = [event for event in decision if await self._graph.apply(event, actor, now)]
        # What was so already is reacted to as well: the call before may have died between commit and reaction.
        again = (ev.AccountBlocked(by=_me(actor), account=command.account),) if isinstance(command, cmd.Block) else ()
        for event in dict.fromkeys((*changed, *again)):
            for reaction in self._reactions:
                await reaction(event, actor)
        answers = [event for event in changed if not isinstance(event, ev.Followed) or len(changed) == 1]
        return answers[0] if answers else None

    async def _facts(self, actor: Actor, command: cmd.AccountCommand, now: int) -> PlatformFacts:
        me, target = actor.account, getattr(command, "account", None)
        both = frozenset({(me, target), (target, me)}) if me is not None and target is not None else frozenset()
        accounts = frozenset(account for account in (me, target) if account is not None)
        needs = Needs(accounts=accounts, blocks=both, follows=both)
        known = await self._graph.facts(needs, now)
        values: dict[str, Any] = {
            "actor": known.accounts.get(me, AccountFacts()) if me is not None else AccountFacts(),
            "target": known.accounts.get(target, AccountFacts()) if target is not None else AccountFacts(),
            "blocks": (me, target) in known.blocks,
            "blocked": (target, me) in known.blocks,
            "follows": (me, target) in known.follows,
            "followed": (target, me) in known.follows,
        }
        match command:
            case cmd.SetListeningVisibility():
                own = (await self._graph.profiles([_me(actor)])).get(_me(actor))
                values["listening_visible"] = own is None or own.listening_visible
            case cmd.Appeal(space=space):
                values |= await self._about_appeal(_me(actor), space, now)
            case cmd.ResolveAppeal(appeal=appeal):
                row = await self._db.read(lambda c: store.appeal(c, appeal))
                if row is not None:
                    resolved = row.resolved_ms is not None
                    values["appeal"] = Appealed(account=row.account, space=row.space, resolved=resolved)
        return PlatformFacts(**values)

    async def _about_appeal(self, me: AccountId, space: SpaceId | None, now: int) -> dict[str, Any]:
        def read(c: sa.Connection) -> dict[str, Any]:
            decided_ms, created = None, False
            if space is None:
                ban = store.live_ban(c, me)
                if ban is not None and (ban.until_ms is None or ban.until_ms > now):
                    decided_ms = ban.at_ms
            else:
                creator, decided_ms = store.violation(c, space)
                created = creator == me
            appealed = store.has_open_appeal(c, me, space)
            return {"decided_ms": decided_ms, "created_space": created, "appealed": appealed}

        return {**await self._db.read(read), "next_appeal": self._next_id()}

    async def _keep_appeals(self, events: Sequence[ev.AccountEvent], actor: Actor, now: int) -> None:
        for event in events:
            match event:
                case ev.AppealFiled(appeal=appeal, account=account, space=space, text=text):
                    file = partial(store.file_appeal, id=appeal, account=account, space=space, text=text, filed_ms=now)
                    await self._db.write(file)
                case ev.AppealResolved(appeal=appeal, granted=granted, note=note):
                    by = actor.account
                    resolve = partial(
                        store.resolve_appeal, appeal_id=appeal, granted=granted, note=note, by=by, at_ms=now
                    )
                    if not await self._db.write(resolve):
                        raise ServiceError("appeal.not_found")
                case _:
                    pass


def _tidied(command: cmd.AccountCommand) -> cmd.AccountCommand:
    """Raises ServiceError `request.invalid` for texts that are too long."""
    match command:
        case cmd.Appeal(text=text):
            _valid_text(text, "text", 4000)
        case cmd.BanFromLive(reason=reason):
            _valid_text(reason, "reason", 400, empty=True)
        case cmd.ResolveAppeal(note=note):
            _valid_text(note, "note", 4000, empty=True)
        case _:
            pass
    return command


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
