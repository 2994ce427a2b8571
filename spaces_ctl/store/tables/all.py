"""All tables; imported for its effect on `metadata` (migrations, tests)."""

from __future__ import annotations

from spaces_ctl.store.tables import joins, log, metadata, tmp_timers  # noqa: F401

__all__ = ["metadata"]
