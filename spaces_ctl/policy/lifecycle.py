"""A Space's life as a machine: `new -> lobby | scheduled -> live -> ended`, `lobby | scheduled -> canceled`."""

from __future__ import annotations

from enum import StrEnum

from spaces_ctl.model import Status

__all__ = ["LIFECYCLE", "LifeStep", "next_status"]


class LifeStep(StrEnum):
    """What moves a Space through its life."""

    CREATE = "create"
    SCHEDULE = "schedule"
    START = "start"
    END = "end"
    CANCEL = "cancel"


LIFECYCLE: dict[tuple[Status, LifeStep], Status] = {
    (Status.NEW, LifeStep.CREATE): Status.LOBBY,
    (Status.NEW, LifeStep.SCHEDULE): Status.SCHEDULED,
    (Status.LOBBY, LifeStep.START): Status.LIVE,
    (Status.LOBBY, LifeStep.CANCEL): Status.CANCELED,
    (Status.SCHEDULED, LifeStep.START): Status.LIVE,
    (Status.SCHEDULED, LifeStep.CANCEL): Status.CANCELED,
    (Status.LIVE, LifeStep.END): Status.ENDED,
}
"""What is not here does not happen."""


def next_status(status: Status, step: LifeStep) -> Status:
    """The status after `step`; the same if the step does not apply."""
    return LIFECYCLE.get((status, step), status)
