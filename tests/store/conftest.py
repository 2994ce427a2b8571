from __future__ import annotations

from tests.support.databases import *  # noqa: F403
