"""From clues to answers: clues for the same value strengthen each other, clues for others weaken them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

Value = str | float | int | bool
LIKELY = 0.5
"""An answer below this confidence is shown, but no rule sees it."""


@dataclass(frozen=True, slots=True)
class Clue:
    """Something in a header that speaks for a value.

    Attributes:
        weight: how often, of a hundredth part, the clue alone would be right: 0..1, 1 excluded.
        because: where it stands, in words without the patient's data; empty for what is so mostly.
    """

    value: Value
    weight: float
    because: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a series is in one respect.

    Attributes:
        fact: the name by which rules ask for it (`config.facts`).
        confidence: 0..1.
        because: the clues that speak for it, and those against it.
    """

    fact: str
    value: Value
    confidence: float
    because: tuple[str, ...]

    @property
    def likely(self) -> bool:
        """Whether rules see it."""
        return self.confidence >= LIKELY


def decide(fact: str, clues: Iterable[Clue]) -> Answer | None:
    """The value that clues speak for most, of values that exclude each other; None without clues.

    Clues for one value are taken as independent (their doubts multiply); the confidence is the share of
    its odds among those of all values and of "none of these".
    """
    by_value = _by_value(clues)
    if not by_value:
        return None
    odds = {value: 1 / doubt - 1 for value, doubt in _doubts(by_value).items()}
    value = max(odds, key=lambda one: odds[one])
    told = [clue.because for clue in by_value[value] if clue.because]
    others = [clue for other in by_value if other != value for clue in by_value[other]]
    told += [f"against: {clue.because}" for clue in others if clue.because]
    confidence = odds[value] / (1 + sum(odds.values()))
    return Answer(fact, value, confidence, tuple(told) or ("nothing says otherwise",))


def decide_each(fact: str, clues: Iterable[Clue]) -> list[Answer]:
    """An answer for each value, of values that may hold together; the surest first."""
    by_value = _by_value(clues)
    answers = [
        Answer(fact, value, 1 - doubt, tuple(clue.because for clue in by_value[value]))
        for value, doubt in _doubts(by_value).items()
    ]
    return sorted(answers, key=lambda answer: -answer.confidence)


def _by_value(clues: Iterable[Clue]) -> dict[Value, list[Clue]]:
    by_value: dict[Value, list[Clue]] = {}
    for clue in clues:
        by_value.setdefault(clue.value, []).append(clue)
    return by_value


def _doubts(by_value: dict[Value, list[Clue]]) -> dict[Value, float]:
    """The chance that all clues for a value are wrong."""
    return {value: prod(1 - clue.weight for clue in clues) for value, clues in by_value.items()}
