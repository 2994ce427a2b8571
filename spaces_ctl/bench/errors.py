"""Why a bench does not go on."""

from __future__ import annotations

__all__ = ["BenchFailed", "Missing"]


class BenchFailed(Exception):
    """A server or load did not do its part; the message says which and how."""


class Missing(BenchFailed):
    """A program that is to be measured, or to measure, is not there; the message says how to get it."""
