"""All tables; imported for its effect on `metadata` (migrations, tests). Finds every module of this package."""

from __future__ import annotations

import importlib
import pkgutil

from spaces_ctl.store import tables
from spaces_ctl.store.tables import metadata

__all__ = ["metadata"]

for _module in pkgutil.iter_modules(tables.__path__):
    importlib.import_module(f"{tables.__name__}.{_module.name}")
