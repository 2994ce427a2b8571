"""Every reason for a refusal, once, for both languages: `tools/generate_codes.py` makes the Rust side of this list.

The names of the policy's guards are these codes. `http` is the status on our own API; `wire` is the application error
code with which the engine closes a connection, for those that it can give.
"""

from __future__ import annotations

from typing import NamedTuple


class Code(NamedTuple):
    """One reason."""

    http: int
    title: str
    """One line for people, without names."""
    wire: int | None = None


CODES: dict[str, Code] = {
    # auth: who are you
    "auth.token_missing": Code(401, "Sign in first.", 0x5301),
    "auth.token_invalid": Code(401, "The token is not valid.", 0x5302),
    "auth.token_expired": Code(401, "The token has expired.", 0x5303),
    "auth.session_revoked": Code(401, "The session was ended.", 0x5304),
    "auth.origin": Code(403, "This web origin may not connect.", 0x5305),
    "auth.credentials": Code(401, "Wrong name or password."),
    "auth.scope": Code(403, "The token does not allow this."),
    "auth.csrf": Code(403, "The request did not come from our page."),
    # who may
    "role.forbidden": Code(403, "Your role does not allow this.", 0x5323),
    "account.not_found": Code(404, "There is no such account."),
    "account.exists": Code(409, "The name is taken."),
    "account.protected": Code(403, "Protected accounts cannot create Spaces."),
    "account.live_banned": Code(403, "The account is banned from live features."),
    "account.followers_required": Code(403, "More followers are needed to host."),
    "community.role_required": Code(403, "Your role in the community does not allow this."),
    "community.not_found": Code(404, "There is no such community."),
    "client.not_allowed": Code(403, "This kind of client may not do this."),
    "participant.removed": Code(403, "Removed from this Space.", 0x5320),
    "participant.blocked_by_host": Code(403, "This Space is not available to you.", 0x5321),
    "participant.not_in_space": Code(404, "Not in this Space.", 0x5325),
    "target.outranks": Code(403, "Not against somebody of this rank."),
    "target.is_host": Code(403, "Not against the host."),
    "target.is_creator": Code(403, "Not against the creator."),
    "target.self": Code(403, "Not against oneself."),
    "clips.not_enabled_for_you": Code(403, "Clips are not enabled for you yet."),
    "captions.no_consent": Code(403, "Nobody consented to captions.", 0x5341),
    "captions.unavailable": Code(409, "No captions are made here."),
    # tickets
    "ticket.required": Code(402, "A ticket is needed.", 0x5322),
    "ticket.sold_out": Code(402, "The tickets are sold out."),
    "ticket.exists": Code(409, "There is a ticket already."),
    "ticket.not_found": Code(404, "There is no such ticket."),
    "ticket.not_ticketed": Code(409, "The Space needs no ticket."),
    "payment.invalid": Code(422, "The payment provider's message is not valid."),
    # what is not there
    "space.not_found": Code(404, "There is no such Space.", 0x5310),
    "replay.deleted": Code(404, "The replay was deleted."),
    "export.not_found": Code(404, "There is no such export."),
    "export.gone": Code(410, "The export was deleted."),
    "evidence.gone": Code(410, "The review copy was deleted."),
    "link.invalid": Code(403, "The link is not valid."),
    "link.expired": Code(410, "The link has expired; ask for a new one."),
    "post.not_found": Code(404, "There is no such post."),
    "clip.not_found": Code(404, "There is no such clip."),
    "poll.not_found": Code(404, "There is no such poll."),
    "report.not_found": Code(404, "There is no such report."),
    "appeal.not_found": Code(404, "There is no such appeal."),
    "track.not_found": Code(404, "There is no such track.", 0x5340),
    "resource.not_found": Code(404, "There is nothing here."),
    # not now: the state that forbids
    "state.lobby": Code(409, "The Space has not started yet."),
    "state.scheduled": Code(409, "The Space has not started yet.", 0x5311),
    "state.live": Code(409, "The Space is live."),
    "state.ended": Code(409, "The Space is over.", 0x5312),
    "state.canceled": Code(409, "The Space was canceled."),
    "host.already_live": Code(409, "The host has another live Space."),
    # not now: the stage
    "stage.full": Code(409, "The stage is full."),
    "stage.not_invited": Code(409, "Ask to speak first."),
    "cohosts.full": Code(409, "There are as many co-hosts as may be."),
    "cohost.blocks_host": Code(409, "The account blocks the host or a co-host."),
    "cohost.not_invited": Code(409, "Not invited to co-host."),
    "requests.closed": Code(409, "The host takes no requests."),
    "requests.duplicate": Code(409, "There is a request already."),
    "requests.none": Code(409, "There is no such request."),
    "invites.none": Code(409, "There is no such invitation."),
    "target.not_cohost": Code(409, "Not a co-host."),
    "target.not_speaker": Code(409, "Not a speaker."),
    "target.not_on_stage": Code(409, "Not on stage."),
    "target.not_removed": Code(409, "Was not removed."),
    "target.already_on_stage": Code(409, "On stage already."),
    "target.already_cohost": Code(409, "A co-host already."),
    "target.anonymous": Code(409, "An anonymous listener has to rejoin by name first."),
    "target.live_banned": Code(409, "The account is banned from live features."),
    "mic.closed": Code(409, "The host has closed the mics."),
    # not now: recordings, talk
    "record.frozen": Code(409, "Recording is chosen before the start."),
    "record.not_recording": Code(409, "Nothing is being recorded."),
    "clips.off": Code(409, "The host has switched clips off."),
    "clip.processing": Code(409, "The clip is not ready yet."),
    "replay.unavailable": Code(409, "There is no replay."),
    "replay.withheld": Code(409, "The replay is withheld."),
    "poll.open": Code(409, "There is an open poll already."),
    "poll.closed": Code(409, "The poll is closed."),
    "poll.voted": Code(409, "There is a vote already."),
    "export.not_ready": Code(409, "The export is not ready yet."),
    "evidence.none": Code(409, "Nothing was recorded in this stretch."),
    "evidence.held": Code(409, "A report about the Space is not settled."),
    "appeal.window_closed": Code(409, "The time to appeal is over."),
    "appeal.exists": Code(409, "There is an appeal already."),
    "version.conflict": Code(409, "Somebody was faster; try again."),
    "idempotency.conflict": Code(409, "The idempotency key was used for something else."),
    "session.superseded": Code(409, "The session connected again elsewhere.", 0x5324),
    # not so
    "schedule.out_of_range": Code(422, "Not a time to which a Space may be scheduled."),
    "schedule.quota": Code(422, "There are as many scheduled Spaces as may be."),
    "schedule.not_scheduled": Code(422, "The Space is not scheduled."),
    "topics.too_many": Code(422, "Too many topics."),
    "setting.invalid": Code(422, "Not a valid value."),
    "reaction.unknown": Code(422, "Not one of the reactions.", 0x5332),
    "report.reason_required": Code(422, "A reason is needed."),
    "request.invalid": Code(422, "The request is not valid."),
    "request.malformed": Code(400, "The request cannot be read."),
    "request.too_large": Code(413, "The request is too large."),
    "request.media_type": Code(415, "The request's body must be JSON."),
    "request.timeout": Code(408, "The request took too long to arrive."),
    "request.range": Code(416, "There is nothing in that range."),
    "request.cursor": Code(422, "The cursor is not one of this list's."),
    "method.not_allowed": Code(405, "Not with this method."),
    # too much, too little
    "rate.limited": Code(429, "Too many requests.", 0x5330),
    "node.timeout": Code(504, "The answer took too long."),
    "stream.slow": Code(503, "The events were not read fast enough."),
    "stream.position": Code(410, "The stream does not reach back that far."),
    "node.capacity": Code(503, "This node takes no more people.", 0x5331),
    "store.unavailable": Code(503, "The database does not answer."),
    "media.unavailable": Code(503, "Recordings cannot be read at the moment."),
    "graph.unavailable": Code(503, "The social graph does not answer."),
    "engine.unavailable": Code(503, "The media engine does not answer."),
    "provider.unavailable": Code(503, "The login provider does not answer."),
    "internal": Code(500, "Something went wrong here."),
}
