"""All tables, imported for the effect on `metadata` (migrations, tests): every module beside this one has some."""

from __future__ import annotations

from spaces_ctl.store.tables import importlib, joins, log, metadata, pkgutil, tables, tmp_timers  # noqa: F401
