"""All tables; imported for its effect on `metadata` (migrations, tests)."""

from __future__ import annotations

from spaces_ctl.store.tables import metadata, reactors, webhooks

__all__ = ["metadata", "reactors", "webhooks"]
