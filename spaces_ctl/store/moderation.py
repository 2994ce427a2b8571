"""Rows of the moderators' queue and of the trail of what they did."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from spaces_ctl.events import Reported
from spaces_ctl.model import AccountId, SpaceId
from spaces_ctl.store import event_log, reactors
from spaces_ctl.store.insert import insert_new
from spaces_ctl.store.rows import struct_of
from spaces_ctl.store.tables.accounts import appeals as appeals_table
from spaces_ctl.store.tables.moderation import moderation_actions, report_cases, reports

READER = "moderation"
"""The reader of the log that turns reports into cases."""

__all__ = [
    "READER",
    "Action",
    "Appeal",
    "Case",
    "Report",
    "actions",
    "add_report",
    "appeals",
    "append_action",
    "case",
    "cases",
    "change_case",
    "clip_needed",
    "evidence_needed",
    "held",
    "reports_of",
    "reports_since",
]


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What was reported of one subject, until it is resolved."""

    id: int
    space: SpaceId
    kind: str
    """space, account, clip."""
    subject: int
    state: str
    """open, claimed, resolved."""
    reporters: int
    opened_ms: int
    latest_ms: int
    evidence_from_ms: int
    evidence_to_ms: int
    moderator: AccountId | None = None
    outcome: str = ""
    resolved_ms: int | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One report."""

    sequence: int
    case: int
    by: AccountId
    reason: str
    detail: str
    at_ms: int


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the trail."""

    id: int
    of: int
    """The id of the line in which it was asked for."""
    at_ms: int
    moderator: AccountId | None
    action: str
    case: int | None = None
    space: SpaceId | None = None
    account: AccountId | None = None
    why: str = ""
    outcome: str = "asked"
    """asked, done, the code of the refusal; or logged: seen in a log, by whatever way it was done."""


class Appeal(msgspec.Struct, frozen=True, kw_only=True):
    """An appeal against a ban (no `space`) or a violation."""

    id: int
    account: AccountId
    space: SpaceId | None
    text: str
    filed_ms: int
    resolved_ms: int | None
    granted: bool | None
    note: str


def add_report(c: sa.Connection, new_case: Case, report: Report) -> None:
    """Adds a report to the subject's unresolved case, or opens `new_case`. Repeating changes nothing."""
    table = report_cases
    same = (table.c.space == new_case.space, table.c.kind == new_case.kind, table.c.subject == new_case.subject)
    found = c.execute(sa.select(table).where(*same, table.c.state != "resolved")).first()
    id_ = new_case.id if found is None else found.id
    if insert_new(c, reports, [{**msgspec.structs.asdict(report), "case": id_}]) == 0:
        return
    if found is None:
        c.execute(table.insert().values(**msgspec.structs.asdict(new_case)))
        return
    number = sa.select(sa.func.count(reports.c.by.distinct())).where(reports.c.case == id_).scalar_subquery()
    changed = {
        "reporters": number,
        "latest_ms": report.at_ms,
        "evidence_from_ms": min(found.evidence_from_ms, new_case.evidence_from_ms),
        "evidence_to_ms": max(found.evidence_to_ms, new_case.evidence_to_ms),
    }
    c.execute(table.update().where(table.c.id == id_).values(**changed))


def cases(c: sa.Connection, state: str | None, after: int, limit: int) -> list[Case]:
    """The queue, oldest first."""
    table = report_cases
    query = sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(limit)
    if state is not None:
        query = query.where(table.c.state == state)
    return [struct_of(row, Case) for row in c.execute(query)]


def case(c: sa.Connection, id: int, *, lock: bool = False) -> Case | None:
    """One case."""
    query = sa.select(report_cases).where(report_cases.c.id == id)
    row = c.execute(query.with_for_update() if lock else query).first()
    return None if row is None else struct_of(row, Case)


def change_case(c: sa.Connection, changed: Case) -> None:
    """Overwrites who has it and how it ended."""
    table = report_cases
    values = {
        "state": changed.state,
        "moderator": changed.moderator,
        "outcome": changed.outcome,
        "resolved_ms": changed.resolved_ms,
    }
    c.execute(table.update().where(table.c.id == changed.id).values(**values))


def reports_of(c: sa.Connection, case_id: int, limit: int) -> list[Report]:
    """A case's reports, oldest first."""
    query = sa.select(reports).where(reports.c.case == case_id).order_by(reports.c.sequence).limit(limit)
    return [struct_of(row, Report) for row in c.execute(query)]


def reports_since(c: sa.Connection, by: AccountId, since_ms: int) -> int:
    """How many reports an account made since, those that have not come into the queue yet included."""
    query = sa.select(sa.func.count()).where(reports.c.by == by, reports.c.at_ms > since_ms)
    queued: int = c.execute(query).scalar_one()
    coming = event_log.of_kind(c, Reported, reactors.cursor(c, READER))
    return queued + sum(isinstance(one.event, Reported) and one.event.by == by for one in coming)


def held(c: sa.Connection, space: SpaceId) -> list[tuple[int, int]]:
    """Stretches (from, to; ms) of the Space that unresolved cases need."""
    table = report_cases
    query = sa.select(table.c.evidence_from_ms, table.c.evidence_to_ms)
    rows = c.execute(query.where(table.c.space == space, table.c.state != "resolved").order_by(table.c.id))
    return [(row.evidence_from_ms, row.evidence_to_ms) for row in rows]


def evidence_needed(c: sa.Connection, space: SpaceId) -> bool:
    """Whether a case about the Space is unresolved, or a report has not come into the queue yet."""
    coming = event_log.of_kind(c, Reported, reactors.cursor(c, READER))
    return bool(held(c, space)) or any(one.space == space for one in coming)


def clip_needed(c: sa.Connection, space: SpaceId, clip: int) -> bool:
    """Whether a case about the clip is unresolved, or a report of it has not come into the queue yet."""
    table = report_cases
    same = (table.c.space == space, table.c.kind == "clip", table.c.subject == clip, table.c.state != "resolved")
    if c.execute(sa.select(table.c.id).where(*same)).first() is not None:
        return True
    coming = event_log.of_kind(c, Reported, reactors.cursor(c, READER))
    return any(one.space == space and isinstance(one.event, Reported) and one.event.clip == clip for one in coming)


def append_action(c: sa.Connection, action: Action) -> None:
    """Adds a line to the trail."""
    c.execute(moderation_actions.insert().values(**msgspec.structs.asdict(action)))


def actions(c: sa.Connection, before: int | None, limit: int, **where: Any) -> list[Action]:
    """The trail, latest first; `where` by column."""
    table = moderation_actions
    query = sa.select(table).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.c.id < before)
    for name, value in where.items():
        query = query.where(table.c[name] == value)
    return [struct_of(row, Action) for row in c.execute(query)]


def appeals(c: sa.Connection, *, unresolved: bool, after: int, limit: int) -> list[Appeal]:
    """Appeals, oldest first."""
    table = appeals_table
    query = sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(limit)
    if unresolved:
        query = query.where(table.c.resolved_ms.is_(None))
    return [struct_of(row, Appeal) for row in c.execute(query)]
