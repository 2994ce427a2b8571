"""Fail if a dependency's licence does not let the project be distributed under MIT or Apache-2.0.

Rust: the allow list of deny.toml, the same rule as `cargo deny check licenses` without having to build that tool: an
SPDX expression passes when one side of each OR, and all sides of each AND, are allowed.

npm: what the web app is made of, by the same rule; its licence texts are `licences.txt` beside the built app. What only
builds or tests it (`dev`) is not handed out.

Python: what the extra `server` pulls in. Wheels are installed beside ours, not linked into it, so a copyleft that ends
at its own files (MPL) is fine, and one that reaches further (GPL, AGPL, LGPL, SSPL) is not.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageMetadata, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FAR_REACHING = re.compile(r"\b(A|L)?GPL|SSPL|GNU .*General Public", re.IGNORECASE)


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


def licence_of(metadata: PackageMetadata) -> str:
    """What a wheel says of itself: SPDX expression, else classifiers, else the first line of the old free text."""
    classifiers = [name for name in metadata.get_all("Classifier") or [] if name.startswith("License")]
    expression, free = ((metadata.get_all(name) or [""])[0] for name in ("License-Expression", "License"))
    return expression or "; ".join(classifiers) or free.partition("\n")[0] or "none given"


def closure(root: Requirement) -> dict[str, str]:
    """Licences of everything installed that `root` requires, by name."""
    found: dict[str, str] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    waiting = [root]
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # for another system or Python
        found[name] = licence_of(package.metadata)
        for text in package.requires or []:
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
                waiting.append(needed)
    return found


def shipped_by_npm() -> dict[str, str]:
    """Licences of the packages that the web app contains, by name and version."""
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    return {
        f"{path.removeprefix('node_modules/')} {package['version']}": package.get("license", "none")
        for path, package in packages.items()
        if path and not package.get("dev")
    }


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
    scripts = shipped_by_npm()
    strange = {name: licence for name, licence in scripts.items() if not allowed(licence, allow)}
    for name, licence in strange.items():
        print(f"npm {name}: licence {licence} is not allowed by deny.toml")
    wheels = closure(Requirement("spaces-ctl[server]"))
    reaching = {name: licence for name, licence in wheels.items() if FAR_REACHING.search(licence)}
    for name, licence in reaching.items():
        print(f"{name}: licence {licence} reaches into what it is used by")
    count = len(refused) + len(strange) + len(reaching)
    print(f"{len(packages)} crates, {len(scripts)} npm packages, {len(wheels)} wheels, {count} refused")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
