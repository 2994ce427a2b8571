"""Fail if a Rust dependency's licence is not in deny.toml's allow list.

The same rule as `cargo deny check licenses`, without having to build that tool: an SPDX expression passes when one
side of each OR, and all sides of each AND, are allowed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def allowed(expression: str, allow: frozenset[str]) -> bool:
    """Evaluate an SPDX expression; `/` is the old way of writing OR."""
    tokens = expression.replace("/", " OR ").replace("(", " ( ").replace(")", " ) ").split()
    position = 0

    def peek() -> str | None:
        return tokens[position] if position < len(tokens) else None

    def take() -> str:
        nonlocal position
        position += 1
        return tokens[position - 1]

    def disjunction() -> bool:
        value = conjunction()
        while peek() == "OR":
            take()
            right = conjunction()
            value = value or right
        return value

    def conjunction() -> bool:
        value = term()
        while peek() == "AND":
            take()
            right = term()
            value = value and right
        return value

    def term() -> bool:
        if peek() == "(":
            take()
            value = disjunction()
            take()
            return value
        name = take()
        if peek() == "WITH":
            take()
            name = f"{name} WITH {take()}"
        return name in allow

    return disjunction()


def main() -> int:
    """Print every package that is not allowed; 1 if there is one."""
    allow = frozenset(tomllib.loads((ROOT / "deny.toml").read_text())["licenses"]["allow"])
    listing = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--locked"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    packages = json.loads(listing)["packages"]
    refused = [p for p in packages if p["source"] and not allowed(p["license"] or "none", allow)]
    for package in refused:
        print(f"{package['name']} {package['version']}: licence {package['license']} is not allowed by deny.toml")
    print(f"{len(packages)} packages, {len(refused)} refused")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
