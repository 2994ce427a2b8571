"""Reactions, pinned posts, polls, captions. POLICY section 3, "Talk"."""

from __future__ import annotations

from spaces_ctl import commands as c
from spaces_ctl import events as ev
from spaces_ctl.model import AccountId, Role
from spaces_ctl.policy.case import Case, Table, outcomes, refuses, row
from spaces_ctl.policy.facts import Needs
from spaces_ctl.policy.guards import LIVE, LOBBY
from spaces_ctl.policy.state import Space


def ask_post(state: Space, command: c.SharePost, me: AccountId) -> Needs:
    """Whether the post exists."""
    return Needs(post=command.post)


def ask_vote(state: Space, command: c.Vote, me: AccountId) -> Needs:
    """Whether they voted."""
    return Needs(vote=(command.poll, me))


# Guards


@refuses("reaction.unknown")
def reaction_unknown(case: Case, command: c.React) -> bool:
    """One of `Limits.reactions`."""
    return command.emoji not in case.limits.reactions


@refuses("post.not_found", ask_post)
def post_not_found(case: Case, command: c.SharePost) -> bool:
    """There is no such post to pin."""
    return not case.facts.post_exists


@refuses("post.not_found")
def post_not_pinned(case: Case, command: c.UnsharePost) -> bool:
    """There is no such pin."""
    return command.post not in case.state.posts


@refuses("role.forbidden")
def pinned_by_another(case: Case, command: c.UnsharePost) -> bool:
    """Who pinned it, host and co-hosts unpin."""
    return case.role not in (Role.HOST, Role.COHOST) and case.state.posts[command.post] != case.me


@refuses("poll.open")
def poll_open(case: Case, command: c.CreatePoll) -> bool:
    """One at a time."""
    return any(not poll.closed for poll in case.state.polls.values())


@refuses("setting.invalid")
def poll_invalid(case: Case, command: c.CreatePoll) -> bool:
    """A question and two to `Limits.max_poll_options` different answers, none empty, none too long."""
    options = command.options
    texts = (command.question, *options)
    if any(not text.strip() or len(text) > case.limits.max_poll_text for text in texts):
        return True
    return not 2 <= len(options) <= case.limits.max_poll_options or len(set(options)) < len(options)


@refuses("poll.not_found")
def poll_not_found(case: Case, command: c.Vote | c.ClosePoll) -> bool:
    """There is no such poll."""
    return command.poll not in case.state.polls


@refuses("poll.closed")
def poll_closed(case: Case, command: c.Vote | c.ClosePoll) -> bool:
    """No more votes."""
    return case.state.polls[command.poll].closed


@refuses("poll.voted", ask_vote)
def poll_voted(case: Case, command: c.Vote) -> bool:
    """One vote a person."""
    return case.facts.voted


@refuses("setting.invalid")
def option_invalid(case: Case, command: c.Vote) -> bool:
    """Not one of the answers."""
    return not 0 <= command.option < len(case.state.polls[command.poll].options)


@refuses("captions.no_consent")
def captions_no_consent(case: Case, command: c.ShowCaptions) -> bool:
    """Captions are off, or nobody on stage consented to theirs."""
    consenting = any(seat.account in case.state.consented for seat in case.state.stage)
    return not case.state.captions_on or not consenting


# Handlers


def react(case: Case, command: c.React) -> None:
    """Counted and fanned out by the engine."""


def share_post(case: Case, command: c.SharePost) -> None:
    """Pinned once, in their name who pinned it first."""
    if command.post not in case.state.posts:
        case.emit(ev.PostShared(post=command.post, by=case.me))


def unshare_post(case: Case, command: c.UnsharePost) -> None:
    """Unpinned."""
    case.emit(ev.PostUnshared(post=command.post))


def create_poll(case: Case, command: c.CreatePoll) -> None:
    """Numbered from 1 in the Space."""
    number = len(case.state.polls) + 1
    case.emit(ev.PollOpened(poll=number, by=case.me, question=command.question, options=command.options))


def vote(case: Case, command: c.Vote) -> None:
    """Counted."""
    case.emit(ev.PollVoted(poll=command.poll, account=case.me, option=command.option))


def close_poll(case: Case, command: c.ClosePoll) -> None:
    """No more votes."""
    case.emit(ev.PollClosed(poll=command.poll))


def caption_consent(case: Case, command: c.CaptionConsent) -> None:
    """Whether the own speech may be captioned."""
    if command.on != (case.me in case.state.consented):
        case.emit(ev.ConsentChanged(account=case.me, on=command.on))


def show_captions(case: Case, command: c.ShowCaptions) -> None:
    """The viewer's own affair."""


ROWS: Table = dict(
    (
        row(c.React, "H C S L", (LIVE,), reaction_unknown),
        row(c.SharePost, "H C S", (LIVE,), post_not_found, makes=outcomes(ev.PostShared)),
        row(c.UnsharePost, "H C S L", (LIVE,), post_not_pinned, pinned_by_another, makes=outcomes(ev.PostUnshared)),
        row(c.CreatePoll, "H C", (LIVE,), poll_open, poll_invalid, makes=outcomes(ev.PollOpened)),
        row(
            c.Vote,
            "H C S L",
            (LIVE,),
            poll_not_found,
            poll_closed,
            poll_voted,
            option_invalid,
            makes=outcomes(ev.PollVoted),
        ),
        row(c.ClosePoll, "H C", (LIVE,), poll_not_found, poll_closed, makes=outcomes(ev.PollClosed)),
        row(c.CaptionConsent, "H C S", (LOBBY, LIVE), makes=outcomes(ev.ConsentChanged)),
        row(c.ShowCaptions, "H C S L A G", (LOBBY, LIVE), captions_no_consent),
    )
)
