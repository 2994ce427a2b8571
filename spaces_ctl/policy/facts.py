"""What the rules need to know that is not in the Space's own log, named first (`Needs`), then handed in (`Facts`).

Facts are about the social graph, the platform and who is connected. They are loaded under the Space's lock, so that a
decision and the facts that it rests on belong together.
"""

from __future__ import annotations

import msgspec

from spaces_ctl.model import AccountId, CommunityRole


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What to load for one command."""

    accounts: frozenset[AccountId] = frozenset()
    """Standing (`AccountFacts`) and presence of these."""
    blocks: frozenset[tuple[AccountId, AccountId]] = frozenset()
    """(blocker, blocked) pairs to be looked at."""
    follows: frozenset[tuple[AccountId, AccountId]] = frozenset()
    """(follower, followed) pairs to be looked at."""
    community: tuple[int, AccountId] | None = None
    """Role of the account in the community."""
    hosting: AccountId | None = None
    """Other live Spaces and the scheduled ones of this account."""
    ticket: AccountId | None = None
    """This account's ticket and the number sold."""
    subscribed: AccountId | None = None
    post: int | None = None
    vote: tuple[int, AccountId] | None = None
    """(poll, account)."""
    reports: AccountId | None = None
    """How much this account has reported of late."""
    evidence: bool = False
    """Whether the moderators need what is kept of the Space."""

    def __or__(self, other: Needs) -> Needs:
        """Both."""
        return Needs(
            accounts=self.accounts | other.accounts,
            blocks=self.blocks | other.blocks,
            follows=self.follows | other.follows,
            community=self.community or other.community,
            hosting=self.hosting if self.hosting is not None else other.hosting,
            ticket=self.ticket if self.ticket is not None else other.ticket,
            subscribed=self.subscribed if self.subscribed is not None else other.subscribed,
            post=self.post if self.post is not None else other.post,
            vote=self.vote or other.vote,
            reports=self.reports if self.reports is not None else other.reports,
            evidence=self.evidence or other.evidence,
        )


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Standing of one account."""

    exists: bool = True
    protected: bool = False
    live_banned: bool = False
    followers: int = 0
    present: bool = False
    """Connected to this Space by name now."""
    anonymous: bool = False
    """Connected to this Space, but unnamed."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `Needs`."""

    accounts: dict[AccountId, AccountFacts] = {}
    blocks: frozenset[tuple[AccountId, AccountId]] = frozenset()
    """Those of the pairs asked for that hold."""
    follows: frozenset[tuple[AccountId, AccountId]] = frozenset()
    community_role: CommunityRole = CommunityRole.NONE
    live_elsewhere: bool = False
    scheduled: int = 0
    """Scheduled Spaces of the account asked for, this one not counted."""
    has_ticket: bool = False
    tickets_sold: int = 0
    subscribed: bool = False
    post_exists: bool = False
    voted: bool = False
    reports_lately: int = 0
    """Reports within the last hour, in all Spaces, of the account asked for."""
    evidence_needed: bool = False
    """A report about the Space is not settled yet."""
