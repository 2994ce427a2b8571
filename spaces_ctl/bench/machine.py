"""Where and with what a measurement was made."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

__all__ = ["commit", "description", "our_version"]


def our_version() -> str:
    """Of this package."""
    try:
        return metadata.version("spaces-ctl")
    except metadata.PackageNotFoundError:
        return "unknown"


def commit() -> str:
    """The checkout's commit, with `+` if files differ from it; empty outside a checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", here, *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        found = git("rev-parse", "--short=12", "HEAD")
        return found + ("+" if found and git("status", "--porcelain", "--untracked-files=no") else "")
    except OSError:
        return ""


def description() -> dict[str, str]:
    """Processor, cores, memory, kernel, compilers: what figures depend on."""
    found = {"kernel": f"{platform.system()} {platform.release()}", "python": platform.python_version()}
    for line in _text("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            found["processor"] = value.strip()
            break
    found["cores"] = str(os.cpu_count() or 0)
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            found["memory"] = f"{int(line.split()[1]) / (1 << 20):.1f} GiB"
    found["hypervisor"] = "yes" if " hypervisor" in _text("/proc/cpuinfo") else "no"
    try:
        done = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False)
        found["rustc"] = done.stdout.strip().removeprefix("rustc ").partition(" (")[0] or "unknown"
    except OSError:
        found["rustc"] = "none here"
    return found


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
