"""Moderation: a queue of reports in cases, held evidence, what moderators may do, and a trail of all they did.

Every action is written down before it is taken and again with its outcome, so that no crash leaves one unseen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from spaces_ctl import commands, events
from spaces_ctl.clock import Clock
from spaces_ctl.events import AccountEvent, Recorded
from spaces_ctl.model import AccountId, Actor, SpaceId
from spaces_ctl.service.errors import ServiceError
from spaces_ctl.service.ports import Principal
from spaces_ctl.service.reactor import Unit
from spaces_ctl.store import moderation as store
from spaces_ctl.store.database import Database
from spaces_ctl.store.moderation import Action, Appeal, Case, Report

__all__ = ["Case", "Moderation", "ModerationReaction"]

T = TypeVar("T")

Execute = Callable[[Actor, SpaceId, commands.SpaceCommand], Awaitable[object]]
ExecuteAccount = Callable[[Principal, commands.AccountCommand], Awaitable[AccountEvent | None]]


class Moderation:
    """What reporters, moderators and those who appeal do."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        new_id: Callable[[], int],
        execute: Execute,
        execute_account: ExecuteAccount,
    ) -> None:
        """`execute` is that of `Spaces`, `execute_account` that of `Accounts`."""
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._execute = execute
        self._execute_account = execute_account

    # The queue

    async def cases(
        self, principal: Principal, state: str | None = "open", after: int = 0, limit: int = 50
    ) -> Sequence[Case]:
        """Oldest first. Raises ServiceError role.forbidden."""
        _moderates(principal)
        return await self._db.read(lambda c: store.cases(c, state, after, min(limit, 200)))

    async def case(self, principal: Principal, id: int) -> tuple[Case, Sequence[Report]]:
        """A case and its reports. Raises ServiceError report.not_found."""
        _moderates(principal)

        def read(c: sa.Connection) -> tuple[Case, Sequence[Report]]:
            return _found(store.case(c, id)), store.reports_of(c, id, 200)

        return await self._db.read(read)

    async def claim(self, principal: Principal, id: int) -> Case:
        """Takes a case, so that others see that somebody is at it. Raises ServiceError report.not_found."""

        def claimed(case: Case) -> Case:
            return msgspec.structs.replace(case, state="claimed", moderator=principal.account)

        return await self._settle(principal, id, "claim", "", claimed)

    async def release(self, principal: Principal, id: int) -> Case:
        """Gives a case back to the queue."""

        def released(case: Case) -> Case:
            return msgspec.structs.replace(case, state="open", moderator=None)

        return await self._settle(principal, id, "release", "", released)

    async def dismiss(self, principal: Principal, id: int, why: str) -> Case:
        """Nothing is wrong; what was held is free."""
        return await self._resolve(principal, id, "dismissed", why)

    async def uphold(self, principal: Principal, id: int, why: str) -> Case:
        """Something was wrong, and what was to be done is done (`end`, `mark_violation`, `ban`)."""
        return await self._resolve(principal, id, "upheld", why)

    async def held(self, space: SpaceId) -> Sequence[tuple[int, int]]:
        """Stretches (from, to; ms of the day) that must not be deleted; for retention."""
        return await self._db.read(lambda c: store.held(c, space))

    # Actions

    async def end(self, principal: Principal, space: SpaceId, why: str) -> None:
        """Ends a Space for breaking the rules. Raises ServiceError: the refusals of `End`."""
        await self._act(principal, "end", why, lambda: self._give(principal, space, commands.End()), space=space)

    async def mark_violation(self, principal: Principal, space: SpaceId, why: str) -> None:
        """The recording is kept longer and the replay withheld."""
        command = commands.MarkViolation(note=why)
        await self._act(principal, "mark_violation", why, lambda: self._give(principal, space, command), space=space)

    async def clear_violation(self, principal: Principal, space: SpaceId, why: str) -> None:
        """Undoes `mark_violation`."""
        command = commands.ClearViolation()
        await self._act(principal, "clear_violation", why, lambda: self._give(principal, space, command), space=space)

    async def ban(self, principal: Principal, account: AccountId, why: str, until_ms: int | None) -> None:
        """No live features for the account until then (None: for good). Raises ServiceError."""
        command = commands.BanFromLive(account=account, reason=why, until_ms=until_ms)
        await self._act(principal, "ban", why, lambda: self._execute_account(principal, command), account=account)

    async def lift_ban(self, principal: Principal, account: AccountId, why: str) -> None:
        """Undoes `ban`."""
        command = commands.LiftBan(account=account)
        await self._act(principal, "lift_ban", why, lambda: self._execute_account(principal, command), account=account)

    async def hear(
        self,
        principal: Principal,
        case: Case,
        why: str,
        record: Callable[[sa.Connection], None],
        listen: Callable[[], Awaitable[T]],
    ) -> T:
        """A moderator listens to what is kept of a case's Space. `record` is committed with the trail's line, before
        `listen` is called. Raises what `listen` raises, ServiceError role.forbidden, report.reason_required.
        """
        heard: list[T] = []

        async def do() -> None:
            heard.append(await listen())

        await self._act(principal, "hear", why, do, space=case.space, case=case.id, record=record)
        return heard[0]

    # Appeals

    async def appeal(self, principal: Principal, text: str, space: SpaceId | None = None) -> int:
        """Files an appeal against the own ban, or a violation of an own Space; returns its id.

        Raises ServiceError appeal.*.
        """
        event = await self._execute_account(principal, commands.Appeal(text=text, space=space))
        if not isinstance(event, events.AppealFiled):
            raise ServiceError("appeal.exists")
        return event.appeal

    async def appeals(
        self, principal: Principal, *, unresolved: bool = True, after: int = 0, limit: int = 50
    ) -> Sequence[Appeal]:
        """Oldest first. Raises ServiceError role.forbidden."""
        _moderates(principal)
        return await self._db.read(
            lambda c: store.appeals(c, unresolved=unresolved, after=after, limit=min(limit, 200))
        )

    async def resolve_appeal(self, principal: Principal, id: int, grant: bool, why: str) -> None:
        """Grants (undoes what was appealed against) or denies. Raises ServiceError appeal.not_found."""
        found = await self._db.read(lambda c: store.appeals(c, unresolved=True, after=id - 1, limit=1))
        if not found or found[0].id != id:
            raise ServiceError("appeal.not_found")
        appeal = found[0]
        command = commands.ResolveAppeal(appeal=id, grant=grant, note=why)
        await self._act(
            principal,
            "grant_appeal" if grant else "deny_appeal",
            why,
            lambda: self._execute_account(principal, command),
            account=appeal.account,
            space=appeal.space,
        )

    async def undo_violation(self, actor: Actor, space: SpaceId) -> None:
        """For `Accounts.undo_violation`: an appeal is granted, by whatever way. Raises ServiceError."""
        try:
            await self._execute(actor, space, commands.ClearViolation())
        except ServiceError as refused:
            if refused.info.http >= 500:
                raise
            # The Space is gone, or there is no violation any more: nothing to undo.

    async def on_account_event(self, event: AccountEvent, actor: Actor) -> None:
        """A reaction for `Accounts.on_event`: bans and appeals by whatever way are in the trail."""
        match event:
            case events.LiveBanned(account=account, reason=reason):
                await self._log("live_banned", actor, reason, account=account)
            case events.BanLifted(account=account):
                await self._log("ban_lifted", actor, "", account=account)
            case events.AppealResolved(appeal=appeal, account=account, note=note):
                found = await self._db.read(lambda c: store.appeals(c, unresolved=False, after=appeal - 1, limit=1))
                space = found[0].space if found and found[0].id == appeal else None
                await self._log("appeal_resolved", actor, note, account=account, space=space)

    async def _log(
        self, action: str, actor: Actor, why: str, *, account: AccountId, space: SpaceId | None = None
    ) -> None:
        who = Principal(account=actor.account, moderator=True)
        line = self._line(who, action, why, account=account, space=space)
        await self._db.write(lambda c: store.append_action(c, msgspec.structs.replace(line, outcome="logged")))

    # The trail

    async def trail(
        self,
        principal: Principal,
        *,
        space: SpaceId | None = None,
        account: AccountId | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Action]:
        """What moderators did, latest first. Raises ServiceError role.forbidden."""
        _moderates(principal)
        where = {name: value for name, value in (("space", space), ("account", account)) if value is not None}
        return await self._db.read(lambda c: store.actions(c, before, min(limit, 200), **where))

    async def _resolve(self, principal: Principal, id: int, outcome: str, why: str) -> Case:
        now = self._clock.now_ms()

        def resolved(case: Case) -> Case:
            return msgspec.structs.replace(
                case, state="resolved", outcome=outcome, moderator=principal.account, resolved_ms=now
            )

        return await self._settle(principal, id, outcome, _why(why), resolved)

    async def _settle(
        self, principal: Principal, id: int, action: str, why: str, change: Callable[[Case], Case]
    ) -> Case:
        _moderates(principal)
        line = self._line(principal, action, why, case=id)

        def write(c: sa.Connection) -> Case:
            case = _found(store.case(c, id, lock=True))
            if case.state == "resolved":
                raise ServiceError("report.not_found", "The case is resolved.")
            changed = change(case)
            store.change_case(c, changed)
            store.append_action(c, msgspec.structs.replace(line, space=case.space, outcome="done"))
            return changed

        return await self._db.write(write)

    async def _act(
        self,
        principal: Principal,
        action: str,
        why: str,
        do: Callable[[], Awaitable[object]],
        *,
        space: SpaceId | None = None,
        account: AccountId | None = None,
        case: int | None = None,
        record: Callable[[sa.Connection], None] = lambda c: None,
    ) -> None:
        _moderates(principal)
        line = self._line(principal, action, _why(why), space=space, account=account, case=case)

        def asked(c: sa.Connection) -> None:
            store.append_action(c, line)
            record(c)

        await self._db.write(asked)
        outcome = "done"
        try:
            await do()
        except ServiceError as refused:
            outcome = refused.code
            raise
        except Exception:
            outcome = "internal"
            raise
        finally:
            end = msgspec.structs.replace(line, id=self._new_id(), at_ms=self._clock.now_ms(), outcome=outcome)
            await self._db.write(lambda c: store.append_action(c, end))

    def _line(
        self,
        principal: Principal,
        action: str,
        why: str,
        *,
        case: int | None = None,
        space: SpaceId | None = None,
        account: AccountId | None = None,
    ) -> Action:
        id_ = self._new_id()
        return Action(
            id=id_,
            of=id_,
            at_ms=self._clock.now_ms(),
            moderator=principal.account,
            action=action,
            case=case,
            space=space,
            account=account,
            why=why,
        )

    async def _give(self, principal: Principal, space: SpaceId, command: commands.SpaceCommand) -> None:
        # An operator (the command line) acts as a moderator without a name.
        await self._execute(Actor(account=principal.account, moderator=True, client=principal.client), space, command)


class ModerationReaction:
    """Turns `Reported` into the queue, and puts what moderators did in Spaces into the trail, by whatever way."""

    def __init__(self, *, new_id: Callable[[], int], before_ms: int = 600_000, after_ms: int = 120_000) -> None:
        """`before_ms` and `after_ms`: how much of the audio around a report is held."""
        self._new_id = new_id
        self._before_ms = before_ms
        self._after_ms = after_ms

    async def prepare(self, recorded: Sequence[Recorded]) -> Unit:
        """See `Reaction`."""

        def unit(c: sa.Connection) -> None:
            for item in recorded:
                if isinstance(item.event, events.Reported):
                    self._report(c, item, item.event)
                elif (action := _moderated(item)) is not None:
                    self._trail(c, item, action)

        return unit

    def _trail(self, c: sa.Connection, item: Recorded, action: str) -> None:
        id_ = self._new_id()
        line = Action(
            id=id_,
            of=id_,
            at_ms=item.at_ms,
            moderator=item.actor.account,
            action=action,
            space=item.space,
            account=getattr(item.event, "account", None),
            why=getattr(item.event, "note", ""),
            outcome="logged",
        )
        store.append_action(c, line)

    def _report(self, c: sa.Connection, item: Recorded, event: events.Reported) -> None:
        kind, subject = "space", item.space
        if event.account is not None:
            kind, subject = "account", event.account
        elif event.clip is not None:
            kind, subject = "clip", event.clip
        id_ = self._new_id()
        case = Case(
            id=id_,
            space=item.space,
            kind=kind,
            subject=subject,
            state="open",
            reporters=1,
            opened_ms=item.at_ms,
            latest_ms=item.at_ms,
            evidence_from_ms=item.at_ms - self._before_ms,
            evidence_to_ms=item.at_ms + self._after_ms,
        )
        report = Report(
            sequence=item.sequence,
            case=id_,
            by=event.by,
            reason=event.reason,
            detail=event.detail,
            at_ms=item.at_ms,
        )
        store.add_report(c, case, report)


def _moderated(item: Recorded) -> str | None:
    """What a moderator did there, if one did."""
    match item.event:
        case events.Ended(how=events.EndedHow.VIOLATION):
            return "space_ended"
        case events.Canceled(how=events.CanceledHow.MODERATOR):
            return "space_canceled"
        case events.Removed(how=events.RemovedHow.MODERATOR):
            return "account_removed"
        case events.ViolationFound():
            return "violation_found"
        case events.ViolationCleared():
            return "violation_cleared"
    return None


def _moderates(principal: Principal) -> None:
    if not (principal.moderator or principal.operator):
        raise ServiceError("role.forbidden")


def _why(why: str) -> str:
    why = why.strip()
    if not why or len(why) > 1000:
        raise ServiceError("report.reason_required")
    return why


def _found(case: Case | None) -> Case:
    if case is None:
        raise ServiceError("report.not_found")
    return case
