"""What ffmpeg, a player that shares no code with ours, makes of a file or an address."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import numpy.typing as npt

__all__ = ["duration_s", "loudness_lufs", "played"]

RATE = 48_000
_PATIENCE_S = 120


def played(source: str, *, start_s: float = 0.0, seconds: float | None = None) -> npt.NDArray[np.float32]:
    """All that is heard, from `start_s` on. AssertionError for anything that it complains about."""
    seek = ["-ss", str(start_s)] if start_s else []
    until = ["-t", str(seconds)] if seconds else []
    command = ["ffmpeg", "-v", "warning", "-xerror", *seek, "-i", source, *until, "-f", "f32le", "-ac", "1"]
    done = subprocess.run([*command, "-ar", str(RATE), "-"], capture_output=True, check=False, timeout=_PATIENCE_S)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b"", done.stderr.decode()
    return np.frombuffer(done.stdout, "<f4")


def loudness_lufs(source: str) -> float:
    """Integrated, by ffmpeg's ebur128."""
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", source, "-af", "ebur128", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=_PATIENCE_S)
    return float(re.findall(r"I:\s+(-?[\d.]+) LUFS", done.stderr)[-1])


def duration_s(source: str) -> float:
    """As the container says."""
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", source]
    return float(subprocess.run(command, capture_output=True, check=True, text=True, timeout=_PATIENCE_S).stdout)
