"""All tables; imported for its effect on `metadata` (migrations, tests)."""

from __future__ import annotations

from spaces_ctl.store.tables import accounts, graph, logins, metadata

__all__ = ["accounts", "graph", "logins", "metadata"]
