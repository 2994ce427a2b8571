"""All tables; imported for its effect on `metadata` (migrations, tests)."""

from __future__ import annotations

from spaces_ctl.store.tables import log, metadata, search, spaces  # noqa: F401

__all__ = ["metadata"]
