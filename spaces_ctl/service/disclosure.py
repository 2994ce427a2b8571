"""What somebody is told before they come in: what becomes of what they hear and say."""

from __future__ import annotations

import msgspec

from spaces_ctl.policy.limits import Limits
from spaces_ctl.policy.state import Space

__all__ = ["Disclosure", "disclosure"]


class Disclosure(msgspec.Struct, frozen=True, kw_only=True):
    """Of one Space, by its settings and the deployment's."""

    recorded: bool
    """There will be, or is, a public replay."""
    replay_days: int | None
    """How long it is there; None: until its creator deletes it."""
    review_days: int | None
    """Audio and captions are kept for moderators for so long after the end, recorded or not; None: they are not."""
    violation_days: int | None
    """The same if a violation is found."""
    clips: bool
    """Listeners may cut the last half minute and share it."""
    captions: bool
    """What those say who consent is shown as text."""


def disclosure(space: Space, limits: Limits) -> Disclosure:
    """What holds for the Space. A report changes nothing in it: nobody learns of one from here."""
    kept = limits.audit_copy
    return Disclosure(
        recorded=space.record,
        replay_days=limits.replay_ttl_days if space.record else None,
        review_days=limits.audit_days if kept else None,
        violation_days=limits.hold_days if kept else None,
        clips=space.clips_on,
        captions=space.captions_on,
    )
