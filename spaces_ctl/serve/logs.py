"""Logs on stderr: one JSON object a line for machines, or one readable line for people."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, ClassVar, TextIO

from spaces_ctl.settings.model import Logging

__all__ = ["JsonLines", "Pretty", "configure"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
"""What every record has; the rest was given with `extra`."""
_QUIET = ("uvicorn.error", "uvicorn.access", "asyncio", "httpx", "httpcore", "websockets", "aiosqlite", "alembic")
"""Libraries: from warnings on, unless debugging."""


def configure(settings: Logging, *, node: str, stream: TextIO = sys.stderr) -> None:
    """Sets the root logger up; replaces what was there, and what libraries have set up for themselves."""
    pretty = settings.format == "pretty" or (settings.format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Pretty(colours=stream.isatty()) if pretty else JsonLines(node))
    level = settings.level.upper()
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", *_QUIET):
        logger = logging.getLogger(name)
        logger.setLevel("DEBUG" if level == "DEBUG" else "WARNING")
        logger.handlers.clear()
        logger.propagate = True
    logging.captureWarnings(capture=True)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class JsonLines(logging.Formatter):
    """`{"at": …, "level": …, "logger": …, "message": …, "node": …}` and what was given with `extra`."""

    def __init__(self, node: str) -> None:
        super().__init__()
        self._node = node

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "node": self._node,
            **_extra(record),
        }
        if record.exc_info:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, default=str, ensure_ascii=False)


class Pretty(logging.Formatter):
    """`12:34:56.789 INFO  serve: message name=value`, in UTC."""

    _COLOURS: ClassVar = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        level = f"{record.levelname:<7}"
        if self._colours:
            level = f"\x1b[{self._COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
        extra = "".join(f" {name}={value}" for name, value in _extra(record).items())
        text = f"{at} {level} {record.name.removeprefix('spaces_ctl.')}: {record.getMessage()}{extra}"
        return f"{text}\n{self.formatException(record.exc_info).rstrip()}" if record.exc_info else text
