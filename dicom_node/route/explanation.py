"""Why a route fired or didn't: the tree of its conditions, each with what was found and whether it held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Weighed:
    """One condition, weighed against a series.

    Attributes:
        says: the condition in words, such as "Modality is CT".
        held: whether it held.
        actual: the value it looked at, as text; None where the series has none, and for `all of`,
            `any of` and `not`.
        parts: what it is made of.
        subject: what it looked at; empty for `all of`, `any of` and `not`.
    """

    says: str
    held: bool
    actual: str | None = None
    parts: tuple[Weighed, ...] = ()
    subject: str = ""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Weighed:
        """The tree that `asdict` gave."""
        parts = tuple(cls.from_json(one) for one in raw["parts"])
        return cls(raw["says"], raw["held"], raw["actual"], parts, raw.get("subject", ""))


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a route made of a series.

    Attributes:
        reason: in a few words: what decided.
        weighed: its conditions; None where they weren't looked at.
        brief: why, without any value of the header.
    """

    route: str
    matched: bool
    reason: str
    weighed: Weighed | None = None
    brief: str = ""

    def as_json(self) -> dict[str, Any]:
        """As plain values, to be kept."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Explanation:
        """The explanation that `as_json` gave."""
        weighed = Weighed.from_json(raw["weighed"]) if raw["weighed"] else None
        return cls(raw["route"], raw["matched"], raw["reason"], weighed, raw.get("brief", ""))
