"""All tables; imported for its effect on `metadata` (migrations, tests)."""

from __future__ import annotations

from spaces_ctl.store.tables import joins, metadata

__all__ = ["joins", "metadata"]
