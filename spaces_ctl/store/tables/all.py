"""All tables; imported for its effect on `metadata` (migrations, tests)."""

from __future__ import annotations

from spaces_ctl.store.tables import metadata, notifications, reactors, webhooks

__all__ = ["metadata", "notifications", "reactors", "webhooks"]
