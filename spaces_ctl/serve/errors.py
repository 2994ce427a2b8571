"""Why a server did not start, in one line each."""

from __future__ import annotations


class CannotStart(Exception):
    """The message is for the operator and says what to do."""


class PortTaken(CannotStart):
    """Somebody listens there already, or the address is not this machine's."""


class DatabaseUnreachable(CannotStart):
    """No answer, wrong login, or no such database."""


class SchemaOutdated(CannotStart):
    """The tables are of another version."""


class BadSettings(CannotStart):
    """A value that turned out wrong only when it was used: a certificate, a key, a directory."""
