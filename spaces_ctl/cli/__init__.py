"""The `spaces` command. Every group is a module here; what is heavy is imported by the command that needs it."""

from spaces_ctl.cli.program import app, main

__all__ = ["app", "main"]
