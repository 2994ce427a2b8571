"""`python tools/requirements.py EXTRA,…`: what this package needs with these extras, a requirement a line.

So that pip fetches it while the engine is compiled, instead of behind it.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def requirements(extras: list[str]) -> list[str]:
    """Sorted, each once. Raises KeyError for an extra that there is not."""
    optional = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    return sorted({requirement for extra in extras for requirement in optional[extra]})


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1].split(","))))
