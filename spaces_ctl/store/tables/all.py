"""All tables; imported for its effect on `metadata` (migrations, tests)."""

from __future__ import annotations

from spaces_ctl.store.tables import idempotency, joins, metadata

__all__ = ["idempotency", "joins", "metadata"]
