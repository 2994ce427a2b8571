"""The review copy as a machine: `none -> audit_30 <-> held_120 -> purged`.

Every Space's audio and captions are kept for review (`Limits.audit_copy`); a violation holds them longer; then they are
deleted everywhere. Deleting the replay takes it from the public, never from here.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["RETENTION", "Retention", "RetentionStep", "next_retention"]


class Retention(StrEnum):
    """Where the review copy is."""

    NONE = "none"
    """Nothing is kept yet, or by setting."""
    AUDIT = "audit_30"
    HELD = "held_120"
    PURGED = "purged"


class RetentionStep(StrEnum):
    """What moves it."""

    KEEP = "keep"
    """The Space ended and its copy is kept."""
    VIOLATION = "violation"
    CLEARED = "cleared"
    """The finding was undone: the shorter time holds again, counted from the end of the Space."""
    PURGE = "purge"


_S, _E = Retention, RetentionStep

RETENTION: dict[tuple[Retention, RetentionStep], Retention] = {
    (_S.NONE, _E.KEEP): _S.AUDIT,
    (_S.AUDIT, _E.VIOLATION): _S.HELD,
    (_S.AUDIT, _E.PURGE): _S.PURGED,
    (_S.HELD, _E.CLEARED): _S.AUDIT,
    (_S.HELD, _E.PURGE): _S.PURGED,
}
"""What is not here does not happen."""


def next_retention(retention: Retention, step: RetentionStep) -> Retention:
    """The state after `step`; the same if the step does not apply."""
    return RETENTION.get((retention, step), retention)
