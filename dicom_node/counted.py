"""Numbers of things, in words."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """A number with what it counts: "1 slice", "3 slices"."""
    return f"{number} {what}{'' if number == 1 else 's'}"
