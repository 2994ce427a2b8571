"""A Space's life: created, edited, started, ended, canceled. POLICY section 3, "Life"."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import CommunityRole, Role, Status, Ticketing
from spaces_ctl.policy.case import Case, Table, outcomes, refuses, row
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.guards import (
    BEFORE,
    LIVE,
    OPEN,
    SCHEDULED,
    account_live_banned,
    ask_hosting,
    host_already_live,
)
from spaces_ctl.policy.leaving import ask_purge_by, purge
from spaces_ctl.policy.state import Space

DAY_MS = 86_400_000


def ask_community_asked_for(state: Space, command: c.Create, me: int) -> Needs:
    """The role in the community for which a Space is created."""
    return Needs() if command.community is None else Needs(community=(command.community, me))


def ask_purge_by_admin(state: Space, command: object, me: int) -> Needs:
    """Whom the host blocks."""
    return Needs() if state.admin is None else ask_purge_by(state, state.admin)


# Guards


@refuses("account.protected")
def account_protected(case: Case, command: c.Create) -> bool:
    """Protected accounts join and speak, but do not create."""
    return case.known(case.me).protected


@refuses("account.followers_required")
def account_followers_required(case: Case, command: c.Create) -> bool:
    """A deployment may ask for an audience (`Limits.min_followers_to_host`)."""
    return case.known(case.me).followers < case.limits.min_followers_to_host


@refuses("community.role_required", ask_community_asked_for)
def community_role_required(case: Case, command: c.Create) -> bool:
    """A community's Spaces are its admins' and moderators' to create."""
    may = (CommunityRole.MODERATOR, CommunityRole.ADMIN)
    return command.community is not None and case.facts.community_role not in may


@refuses("topics.too_many")
def topics_too_many(case: Case, command: c.Create | c.Edit) -> bool:
    """At most `Limits.max_topics`."""
    return command.topics is not None and len(command.topics) > case.limits.max_topics


@refuses("schedule.not_scheduled")
def schedule_not_scheduled(case: Case, command: c.Edit) -> bool:
    """Only a scheduled Space has a time to move."""
    return command.scheduled_start_ms is not None and case.state.status is not Status.SCHEDULED


@refuses("schedule.out_of_range")
def schedule_out_of_range(case: Case, command: c.Create | c.Edit) -> bool:
    """In the future, at most `Limits.horizon_days` ahead."""
    at_ms = command.scheduled_start_ms
    horizon_ms = case.limits.horizon_days * DAY_MS
    return at_ms is not None and not 0 < at_ms - case.now_ms <= horizon_ms


@refuses("schedule.quota", ask_hosting)
def schedule_quota(case: Case, command: c.Create) -> bool:
    """At most `Limits.scheduled_quota`; impromptu Spaces do not count."""
    return command.scheduled_start_ms is not None and case.facts.scheduled >= case.limits.scheduled_quota


@refuses("client.not_allowed")
def client_may_not_create(case: Case, command: c.Create) -> bool:
    """A deployment may let some kinds of client only listen."""
    return case.actor.client not in case.limits.create_clients


@refuses("setting.invalid")
def text_too_long(case: Case, command: c.Create | c.Edit) -> bool:
    """Title and description have lengths."""
    title, description = command.title or "", command.description or ""
    return len(title) > case.limits.max_title or len(description) > case.limits.max_description


@refuses("setting.invalid")
def tickets_invalid(case: Case, command: c.Create) -> bool:
    """Tickets have a price, a currency and a number."""
    return command.ticketing is not None and not _is_sane(command.ticketing)


def _is_sane(ticketing: Ticketing) -> bool:
    currency = ticketing.currency
    known_form = len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()
    return ticketing.price_minor > 0 and ticketing.quantity > 0 and known_form


# Handlers


def create(case: Case, command: c.Create) -> None:
    """In the lobby or scheduled; the host is in, muted and alone."""
    case.emit(
        ev.Created(
            creator=case.me,
            title=command.title,
            description=command.description,
            topics=command.topics,
            lang=command.lang,
            record=command.record,
            speak=command.speak,
            requests_open=command.requests_open,
            clips=command.clips,
            captions=command.captions,
            ticketing=command.ticketing,
            community=command.community,
            scheduled_start_ms=command.scheduled_start_ms,
        )
    )


def edit(case: Case, command: c.Edit) -> None:
    """Says what differs, and nothing if nothing does."""
    state = case.state
    title = command.title if command.title != state.title else None
    description = command.description if command.description != state.description else None
    topics = command.topics if command.topics != state.topics else None
    at_ms = command.scheduled_start_ms if command.scheduled_start_ms != state.scheduled_start_ms else None
    if any(value is not None for value in (title, description, topics, at_ms)):
        case.emit(ev.Edited(title=title, description=description, topics=topics, scheduled_start_ms=at_ms))


def cancel(case: Case, command: c.Cancel) -> None:
    """By the host, or by a moderator."""
    how = ev.CanceledHow.HOST if case.role is Role.HOST else ev.CanceledHow.MODERATOR
    case.emit(ev.Canceled(how=how))


def start(case: Case, command: c.Start) -> None:
    """Live, and the host's block list holds; what was invited in the meantime is looked through."""
    host = case.me
    case.emit(ev.Started(record=case.state.record))
    case.emit(ev.DenySetAttached(owner=host))
    purge(case, host)


def end(case: Case, command: c.End) -> None:
    """The cause follows from who ends it. Ending as a moderator is finding a violation."""
    match case.role:
        case Role.HOST:
            finish(case, ev.EndedHow.HOST)
        case Role.MODERATOR:
            finish(case, ev.EndedHow.VIOLATION)
            if not case.state.violation:
                case.emit(ev.ViolationFound())
        case _:
            finish(case, ev.EndedHow.VIOLATION if case.state.violation else ev.EndedHow.HOSTLESS)


def expire(case: Case, command: c.Expire) -> None:
    """Unless the start was moved meanwhile."""
    planned_ms = case.state.scheduled_start_ms
    if planned_ms is not None and case.now_ms >= planned_ms + case.limits.no_show_ms:
        case.emit(ev.Canceled(how=ev.CanceledHow.NO_SHOW))


def remind_host(case: Case, command: c.RemindHost) -> None:
    """Once for each of the times before the start that it is planned for now."""
    planned_ms = case.state.scheduled_start_ms
    due = planned_ms is not None and case.now_ms >= planned_ms - command.before_ms
    if due and command.before_ms not in case.state.reminded:
        case.emit(ev.HostReminded(before_ms=command.before_ms))


def hostless_expired(case: Case, command: c.HostlessExpired) -> None:
    """Unless somebody has become host meanwhile."""
    until_ms = case.state.hostless_until_ms
    if until_ms is not None and case.now_ms >= until_ms:
        finish(case, ev.EndedHow.HOSTLESS)


def finish(case: Case, how: ev.EndedHow) -> None:
    """Over. What was reported is kept for review even where nothing else is."""
    case.emit(ev.Ended(how=how, audit=case.limits.audit_copy or case.state.reported))


ROWS: Table = dict(
    (
        row(
            c.Create,
            "O",
            (Status.NEW,),
            account_live_banned,
            account_protected,
            account_followers_required,
            community_role_required,
            topics_too_many,
            schedule_out_of_range,
            schedule_quota,
            client_may_not_create,
            text_too_long,
            tickets_invalid,
            makes=outcomes(ev.Created),
        ),
        row(
            c.Edit,
            "H",
            OPEN,
            topics_too_many,
            schedule_not_scheduled,
            schedule_out_of_range,
            text_too_long,
            makes=outcomes(ev.Edited),
        ),
        row(
            c.Cancel,
            "H M",
            BEFORE,
            makes=outcomes((ev.Canceled, ev.CanceledHow.HOST, ev.CanceledHow.MODERATOR)),
        ),
        row(
            c.Start,
            "H",
            BEFORE,
            account_live_banned,
            host_already_live,
            makes=outcomes(ev.Started, ev.DenySetAttached, (ev.InviteClosed, ev.InviteClosedHow.BLOCKED)),
            asks=(ask_purge_by_admin,),
        ),
        row(
            c.End,
            "H M Y",
            (LIVE,),
            makes=outcomes(
                (ev.Ended, ev.EndedHow.HOST, ev.EndedHow.VIOLATION, ev.EndedHow.HOSTLESS), ev.ViolationFound
            ),
        ),
        row(c.Expire, "Y", (SCHEDULED,), makes=outcomes((ev.Canceled, ev.CanceledHow.NO_SHOW))),
        row(c.RemindHost, "Y", (SCHEDULED,), makes=outcomes(ev.HostReminded)),
        row(c.HostlessExpired, "Y", (LIVE,), makes=outcomes((ev.Ended, ev.EndedHow.HOSTLESS))),
    )
)
