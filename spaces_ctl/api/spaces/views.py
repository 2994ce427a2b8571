"""What Spaces, people and answers look like on the wire. A view depends on who looks: roles, requests, blocks."""

from __future__ import annotations

import msgspec

from spaces_ctl import events as e
from spaces_ctl.api import wire
from spaces_ctl.model import AccountId, Role, Seat, Status
from spaces_ctl.policy.state import Invitation, Space
from spaces_ctl.service.joins import Admission, Person
from spaces_ctl.service.ports import Profile
from spaces_ctl.service.reading import Look
from spaces_ctl.service.spaces import Outcome
from spaces_ctl.service.tables import Audience

__all__ = [
    "AdmissionView",
    "CountsView",
    "Done",
    "InviteView",
    "PersonView",
    "ProfileView",
    "RequestView",
    "SpaceView",
    "admission_view",
    "counts_view",
    "done",
    "invite_view",
    "person_view",
    "profile_view",
    "space_view",
]

_HOSTS = (Role.HOST, Role.COHOST)


class _View(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Done(_View, frozen=True, kw_only=True):
    """A command was carried out; the engine has applied it."""

    space: str
    version: int
    """Of the Space afterwards: the position of the event stream."""
    fence_group: int | None
    """No audio of somebody silenced by this lies in a later group. None: the engine had nothing to change."""
    number: int | None = None
    """Of the poll or clip that was made."""


class ProfileView(_View, frozen=True, kw_only=True):
    """An account as others see it."""

    id: str
    handle: str
    name: str
    picture: str
    protected: bool


class PersonView(_View, frozen=True, kw_only=True):
    """Somebody in a Space, as the viewer sees them."""

    profile: ProfileView
    role: Role
    seat: int | None
    muted: bool
    away: bool
    blocked: bool
    """The viewer blocks them; nobody else is told."""


class SeatView(_View, frozen=True, kw_only=True):
    """One seat of the stage."""

    seat: int
    account: str
    role: Role
    muted: bool
    muted_by: str | None
    """Told to the muted and to the hosts."""
    away: bool
    since: str
    blocked: bool
    """The viewer blocks them; nobody else is told."""


class InvitationView(_View, frozen=True, kw_only=True):
    """The viewer's own invitation."""

    role: Role
    by: str | None
    since: str
    expires: str | None


class You(_View, frozen=True, kw_only=True):
    """What the viewer is to the Space."""

    role: Role
    requested: str | None
    """Since when."""
    ahead: int | None
    """How many asked to speak before the viewer and still wait; null: the viewer does not wait."""
    invited: InvitationView | None
    may_take_mic: bool
    """Was invited before, and that was not taken back."""
    consented: bool
    """To captions."""


class TicketingView(_View, frozen=True, kw_only=True):
    """Price and number of tickets."""

    price_minor: int
    currency: str
    quantity: int
    sold: int


class PollView(_View, frozen=True, kw_only=True):
    """A poll and its counts."""

    poll: int
    question: str
    options: tuple[str, ...]
    votes: tuple[int, ...]
    by: str
    closed: bool


class PinnedView(_View, frozen=True, kw_only=True):
    """A pinned post."""

    post: str
    by: str


class ReplayView(_View, frozen=True, kw_only=True):
    """The public recording."""

    status: str
    duration_ms: int
    start_ms: int


class DisclosureView(_View, frozen=True, kw_only=True):
    """What becomes of what is said: recorded, kept for review, clipped, captioned."""

    recorded: bool
    """A public replay is made."""
    replay_days: int | None
    """How long it is there; null: until its creator deletes it."""
    review_days: int | None
    """A copy is kept for moderators for so long after the end, recorded or not; null: none is."""
    violation_days: int | None
    """The same if a violation is found."""
    clips: bool
    captions: bool
    """Of those who consent."""


class SpaceView(_View, frozen=True, kw_only=True):
    """A Space as the viewer sees it."""

    id: str
    version: int
    status: Status
    title: str
    description: str
    topics: tuple[str, ...]
    lang: str
    community: str | None
    creator: str
    admin: str | None
    stage: tuple[SeatView, ...]
    speak: str
    requests_open: bool
    mic_open: bool
    clips: bool
    captions: bool
    record: bool
    recording: bool
    """Is being recorded now."""
    ticketing: TicketingView | None
    created: str
    scheduled_start: str | None
    started: str | None
    ended: str | None
    updated: str
    pinned: tuple[PinnedView, ...]
    polls: tuple[PollView, ...]
    subscribers: int
    requests: int | None
    """Waiting; told to the hosts."""
    replay: ReplayView
    disclosure: DisclosureView
    """To be shown before anybody joins."""
    you: You


class CountsView(_View, frozen=True, kw_only=True):
    """People connected now."""

    named: int
    anonymous: int
    guests: int


class RequestView(_View, frozen=True, kw_only=True):
    """A request to speak."""

    profile: ProfileView
    since: str


class InviteView(_View, frozen=True, kw_only=True):
    """An open invitation."""

    profile: ProfileView
    role: Role
    by: str | None
    since: str
    expires: str | None


class AdmissionView(_View, frozen=True, kw_only=True):
    """How to connect."""

    urls: tuple[str, ...]
    certificate_sha256: str | None
    """Hexadecimal, to be pinned; None if the certificate is one that everybody trusts."""
    token: str
    expires: str
    role: Role
    seat: int | None
    muted: bool
    notices: tuple[str, ...]


def done(outcome: Outcome) -> Done:
    """The answer to a command."""
    number = None
    for recorded in outcome.events:
        match recorded.event:
            case e.PollOpened(poll=made) | e.ClipCreated(clip=made):
                number = made
    return Done(
        space=wire.space_text(outcome.space.id),
        version=outcome.space.version,
        fence_group=outcome.fence_group,
        number=number,
    )


def profile_view(profile: Profile) -> ProfileView:
    """As everybody sees it."""
    return ProfileView(
        id=wire.account_text(profile.id),
        handle=profile.handle,
        name=profile.name,
        picture=profile.picture,
        protected=profile.protected,
    )


def person_view(person: Person) -> PersonView:
    """As the service says."""
    return PersonView(
        profile=profile_view(person.profile),
        role=person.role,
        seat=person.seat,
        muted=person.muted,
        away=person.away,
        blocked=person.blocked,
    )


def space_view(look: Look, viewer: AccountId | None) -> SpaceView:
    """As `viewer` sees it."""
    space = look.space
    hosting = look.role in _HOSTS
    ticketing = space.ticketing
    return SpaceView(
        id=wire.space_text(space.id),
        version=space.version,
        status=space.status,
        title=space.title,
        description=space.description,
        topics=space.topics,
        lang=space.lang,
        community=_id(space.community),
        creator=wire.account_text(space.creator),
        admin=_id(space.admin),
        stage=tuple(_seat(seat, viewer, hosting, seat.account in look.blocked) for seat in space.stage),
        speak=space.speak.value,
        requests_open=space.requests_open,
        mic_open=space.mic_open,
        clips=space.clips_on,
        captions=space.captions_on,
        record=space.record,
        recording=space.status is Status.LIVE and space.record and not space.recording_stopped,
        ticketing=None
        if ticketing is None
        else TicketingView(
            price_minor=ticketing.price_minor,
            currency=ticketing.currency,
            quantity=ticketing.quantity,
            sold=space.tickets,
        ),
        created=wire.timestamp(space.created_ms),
        scheduled_start=_time(space.scheduled_start_ms),
        started=_time(space.started_ms),
        ended=_time(space.ended_ms),
        updated=wire.timestamp(space.updated_ms),
        pinned=tuple(
            PinnedView(post=wire.account_text(post), by=wire.account_text(by)) for post, by in space.posts.items()
        ),
        polls=tuple(
            PollView(
                poll=number,
                question=poll.question,
                options=poll.options,
                votes=poll.votes,
                by=wire.account_text(poll.by),
                closed=poll.closed,
            )
            for number, poll in space.polls.items()
        ),
        subscribers=space.subscribers,
        requests=len(space.requests) if hosting else None,
        replay=ReplayView(
            status=space.replay.status.value, duration_ms=space.replay.duration_ms, start_ms=space.replay.start_ms
        ),
        disclosure=DisclosureView(**msgspec.structs.asdict(look.disclosure)),
        you=_you(space, look.role, viewer),
    )


def _you(space: Space, role: Role, viewer: AccountId | None) -> You:
    invitation = space.invites.get(viewer) if viewer is not None else None
    return You(
        role=role,
        requested=_time(space.requests.get(viewer)) if viewer is not None else None,
        # Oldest first.
        ahead=list(space.requests).index(viewer) if viewer in space.requests else None,
        invited=None if invitation is None else _invitation(invitation),
        may_take_mic=viewer in space.invited_ever,
        consented=viewer in space.consented,
    )


def _invitation(invitation: Invitation) -> InvitationView:
    return InvitationView(
        role=Role(invitation.role.value),
        by=_id(invitation.by),
        since=wire.timestamp(invitation.since_ms),
        expires=_time(invitation.expires_ms),
    )


def _seat(seat: Seat, viewer: AccountId | None, hosting: bool, blocked: bool) -> SeatView:
    return SeatView(
        seat=seat.seat,
        account=wire.account_text(seat.account),
        role=Role(seat.role.value),
        muted=seat.muted,
        muted_by=_id(seat.muted_by) if hosting or viewer == seat.account else None,
        away=seat.away,
        since=wire.timestamp(seat.since_ms),
        blocked=blocked,
    )


def invite_view(profile: Profile, invitation: Invitation) -> InviteView:
    """One of the hosts' list."""
    return InviteView(
        profile=profile_view(profile),
        role=Role(invitation.role.value),
        by=_id(invitation.by),
        since=wire.timestamp(invitation.since_ms),
        expires=_time(invitation.expires_ms),
    )


def admission_view(admission: Admission) -> AdmissionView:
    """The answer to `join`."""
    certificate = admission.certificate_sha256
    return AdmissionView(
        urls=admission.urls,
        certificate_sha256=None if certificate is None else certificate.hex(),
        token=admission.token,
        expires=wire.timestamp(admission.expires_ms),
        role=admission.role,
        seat=admission.seat,
        muted=admission.muted,
        notices=admission.notices,
    )


def counts_view(audience: Audience) -> CountsView:
    """People connected."""
    return CountsView(named=audience.named, anonymous=audience.anonymous, guests=audience.guests)


def _id(value: int | None) -> str | None:
    return None if value is None else wire.account_text(value)


def _time(ms: int | None) -> str | None:
    return None if ms is None else wire.timestamp(ms)
