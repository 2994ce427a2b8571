"""The table of all rules: one row a command, gathered from the areas. `docs/permissions.md` is printed from it."""

from __future__ import annotations

from spaces_ctl.policy import around, cohosts, door, life, mic, record, safety, settings, stage, talk
from spaces_ctl.policy.case import Table

__all__ = ["AREAS", "RULES"]

AREAS: dict[str, Table] = {
    "Life": life.ROWS,
    "Settings": settings.ROWS,
    "In and out": door.ROWS,
    "Speakers": stage.ROWS,
    "Co-hosts and host": cohosts.ROWS,
    "Mics": mic.ROWS,
    "Safety": safety.ROWS,
    "Talk": talk.ROWS,
    "Recording": record.ROWS,
    "Around": around.ROWS,
}
"""Rows by area, in the order of the catalogue."""

RULES: Table = {command: rule for table in AREAS.values() for command, rule in table.items()}
"""Who may what, when, and what forbids it."""
