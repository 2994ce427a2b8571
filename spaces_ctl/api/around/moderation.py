"""The moderators' queue, trail and appeals. Actions on Spaces and accounts are commands (`routes`)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Router, get, post
from litestar.params import JSONBody, QueryParameter

from spaces_ctl.api import wire
from spaces_ctl.api.around.views import IdParam, before, next_before, read_id, time_of
from spaces_ctl.api.openapi import problems
from spaces_ctl.api.paging import CursorText, Limit
from spaces_ctl.api.spaces.params import Asker, Injected, SpaceParam, read_space
from spaces_ctl.service.moderation import Case

__all__ = ["router"]

State = Annotated[Literal["open", "claimed", "resolved"], QueryParameter(name="state", description="Which cases.")]
Unresolved = Annotated[bool, QueryParameter(description="Only those that are not resolved.")]
SpaceQuery = Annotated[str | None, QueryParameter(pattern=wire.SPACE_PATTERN, description="About this Space only.")]
AccountQuery = Annotated[
    str | None, QueryParameter(pattern=wire.ACCOUNT_PATTERN, description="About this account only.")
]


class StretchView(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when."""

    since: str
    until: str


class CaseView(msgspec.Struct, frozen=True, kw_only=True):
    """What was reported of one subject; the audio of `evidence` is kept until it is resolved."""

    id: str
    space: str
    kind: str
    subject: str
    state: str
    reporters: int
    opened: str
    latest: str
    evidence: StretchView
    moderator: str | None
    outcome: str
    resolved: str | None


class ReportView(msgspec.Struct, frozen=True, kw_only=True):
    """One report."""

    by: str
    reason: str
    detail: str
    at: str


class CaseWhole(msgspec.Struct, frozen=True, kw_only=True):
    """A case with its reports."""

    case: CaseView
    reports: list[ReportView]


class CasePage(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first."""

    data: list[CaseView]
    next: str | None


class Resolution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a case ends, and why."""

    outcome: Literal["dismissed", "upheld"]
    why: str


class Why(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The reason, for the trail."""

    why: str


class ActionView(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the trail; `outcome`: asked, done, logged or the code of a refusal."""

    id: str
    of: str
    at: str
    moderator: str | None
    action: str
    case: str | None
    space: str | None
    account: str | None
    why: str
    outcome: str


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """Latest first."""

    data: list[ActionView]
    next: str | None


class AppealView(msgspec.Struct, frozen=True, kw_only=True):
    """An appeal against a ban, or a violation in `space`."""

    id: str
    account: str
    space: str | None
    text: str
    filed: str
    resolved: str | None
    granted: bool | None


class Appeals(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first."""

    data: list[AppealView]
    next: str | None


def _text(id: int | None) -> str | None:
    return None if id is None else str(id)


def _case(one: Case) -> CaseView:
    return CaseView(
        id=str(one.id),
        space=wire.space_text(one.space),
        kind=one.kind,
        subject=wire.space_text(one.subject) if one.kind == "space" else str(one.subject),
        state=one.state,
        reporters=one.reporters,
        opened=wire.timestamp(one.opened_ms),
        latest=wire.timestamp(one.latest_ms),
        evidence=StretchView(since=wire.timestamp(one.evidence_from_ms), until=wire.timestamp(one.evidence_to_ms)),
        moderator=_text(one.moderator),
        outcome=one.outcome,
        resolved=time_of(one.resolved_ms),
    )


def _id(text: str) -> int:
    return read_id(text, "report.not_found")


_MODERATORS = problems("role.forbidden", "request.cursor")
_OF_CASE = problems("role.forbidden", "report.not_found", "report.reason_required")


@get("/moderation/cases", operation_id="listCases", summary="The queue", responses=_MODERATORS)
async def cases(
    principal: Asker,
    moderation: Injected,
    cursors: Injected,
    which: State = "open",
    limit: Limit = 50,
    cursor: CursorText = None,
) -> CasePage:
    """Oldest first."""
    name = f"cases:{which}"
    page = await moderation.cases(principal, which, before(cursors, name, cursor) or 0, limit)
    following = next_before(cursors, name, [one.id for one in page], limit)
    return CasePage(data=[_case(one) for one in page], next=following)


@get("/moderation/cases/{id:str}", operation_id="getCase", summary="A case", responses=_OF_CASE)
async def case(id: IdParam, principal: Asker, moderation: Injected) -> CaseWhole:
    """With its reports."""
    found, reports = await moderation.case(principal, _id(id))
    return CaseWhole(
        case=_case(found),
        reports=[
            ReportView(by=str(one.by), reason=one.reason, detail=one.detail, at=wire.timestamp(one.at_ms))
            for one in reports
        ],
    )


@post(
    "/moderation/cases/{id:str}/claim",
    operation_id="claimCase",
    summary="Takes a case",
    status_code=200,
    responses=_OF_CASE,
)
async def claim(id: IdParam, principal: Asker, moderation: Injected) -> CaseView:
    """So that others see that somebody is at it."""
    return _case(await moderation.claim(principal, _id(id)))


@post(
    "/moderation/cases/{id:str}/release",
    operation_id="releaseCase",
    summary="Gives a case back",
    status_code=200,
    responses=_OF_CASE,
)
async def release(id: IdParam, principal: Asker, moderation: Injected) -> CaseView:
    """To the queue."""
    return _case(await moderation.release(principal, _id(id)))


@post(
    "/moderation/cases/{id:str}/resolve",
    operation_id="resolveCase",
    summary="Ends a case",
    status_code=200,
    responses=_OF_CASE,
)
async def resolve(id: IdParam, data: JSONBody[Resolution], principal: Asker, moderation: Injected) -> CaseView:
    """What was held for it is free."""
    settle = moderation.dismiss if data.outcome == "dismissed" else moderation.uphold
    return _case(await settle(principal, _id(id), data.why))


@post(
    "/moderation/spaces/{space:str}/end",
    operation_id="endForViolation",
    summary="Ends a Space for breaking the rules",
    status_code=204,
    responses=problems(
        "role.forbidden",
        "report.reason_required",
        "space.not_found",
        "state.lobby",
        "state.scheduled",
        "state.ended",
        "state.canceled",
    ),
)
async def end(space: SpaceParam, data: JSONBody[Why], principal: Asker, moderation: Injected) -> None:
    """With the reason in the trail."""
    await moderation.end(principal, read_space(space), data.why)


@get("/moderation/trail", operation_id="listModeration", summary="What moderators did", responses=_MODERATORS)
async def trail(
    principal: Asker,
    moderation: Injected,
    cursors: Injected,
    space: SpaceQuery = None,
    account: AccountQuery = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Trail:
    """Latest first. Nothing is ever taken out."""
    about_space = None if space is None else read_space(space)
    about_account = None if account is None else read_id(account)
    start = before(cursors, "trail", cursor)
    page = await moderation.trail(principal, space=about_space, account=about_account, before=start, limit=limit)
    return Trail(
        data=[
            ActionView(
                id=str(one.id),
                of=str(one.of),
                at=wire.timestamp(one.at_ms),
                moderator=_text(one.moderator),
                action=one.action,
                case=_text(one.case),
                space=None if one.space is None else wire.space_text(one.space),
                account=_text(one.account),
                why=one.why,
                outcome=one.outcome,
            )
            for one in page
        ],
        next=next_before(cursors, "trail", [one.id for one in page], limit),
    )


@get("/moderation/appeals", operation_id="listAppeals", summary="Appeals", responses=_MODERATORS)
async def appeals(
    principal: Asker,
    moderation: Injected,
    cursors: Injected,
    unresolved: Unresolved = True,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Appeals:
    """Oldest first."""
    start = before(cursors, "appeals", cursor) or 0
    page = await moderation.appeals(principal, unresolved=unresolved, after=start, limit=limit)
    return Appeals(
        data=[
            AppealView(
                id=str(one.id),
                account=str(one.account),
                space=None if one.space is None else wire.space_text(one.space),
                text=one.text,
                filed=wire.timestamp(one.filed_ms),
                resolved=time_of(one.resolved_ms),
                granted=one.granted,
            )
            for one in page
        ],
        next=next_before(cursors, "appeals", [one.id for one in page], limit),
    )


router = Router(
    path="",
    route_handlers=[cases, case, claim, release, resolve, end, trail, appeals],
    tags=["Moderation"],
)
