"""Ids of Spaces as people and URLs have them: base62, digits before capitals before small letters.

The engine writes the same (`engine.space_name`).
"""

from __future__ import annotations

__all__ = ["decode", "encode"]

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}


def encode(value: int) -> str:
    """Without leading zeros."""
    if value == 0:
        return "0"
    digits: list[str] = []
    while value:
        value, digit = divmod(value, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def decode(text: str) -> int:
    """Raises ValueError for what is none, or has more than 11 digits."""
    if not 1 <= len(text) <= 11:
        raise ValueError("expected 1 to 11 characters of base62")
    value = 0
    for character in text:
        if character not in _VALUES:
            raise ValueError(f"not a base62 digit: {character!r}")
        value = value * 62 + _VALUES[character]
    return value
