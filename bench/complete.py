"""When a series is called complete: early fires and waiting times, by evidence and by timers.

Simulated scanner days first, then a running node (bench/live.py).
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator
from functools import cache

from bench import live
from bench.arrivals import Fired, Habits, Policy, by_evidence, days, fixed, habits, introductions
from bench.harness import OURS, Case, main
from dicom_node.config import CompletionConfig

DAYS, QUICK_DAYS = 400, 20
"""Scanner days of each class of senders."""
NEW = "first 20 series of a new sender"
SUBJECTS: dict[str, Policy] = {
    OURS: by_evidence(CompletionConfig()),
    "timer of 5 s": fixed(5),
    "timer of 30 s": fixed(30),
    "timer of 60 s": fixed(60),
}
CLASSES: dict[str, Callable[[random.Random], Habits]] = {
    "proof": lambda draw: habits(draw, proof=True, at_once=draw.random() < 0.5, whole=draw.random() < 0.7),
    "association and geometry": lambda draw: habits(draw, proof=False, at_once=True, whole=True),
    "association alone": lambda draw: habits(draw, proof=False, at_once=True, whole=False),
    "split, whole at every break": lambda draw: habits(draw, proof=False, at_once=False, whole=True),
    "quiet time alone": lambda draw: habits(draw, proof=False, at_once=False, whole=False),
    NEW: lambda draw: habits(draw, proof=draw.random() < 0.5, at_once=draw.random() < 0.5, whole=True),
}
"""Senders by what they give to go by."""


@cache
def fires(sender: str, subject: str, count: int) -> tuple[Fired, ...]:
    """What a policy did on scanner days of a class of senders; the same days for every policy."""
    simulated = introductions if sender == NEW else days
    return tuple(simulated(1, count, CLASSES[sender], SUBJECTS[subject]))


def early(fired: tuple[Fired, ...]) -> float:
    """Series called complete before their last image, without doubt, in a thousand."""
    return 1000 * sum(one.after < 0 and not one.doubtful for one in fired) / len(fired)


def in_doubt(fired: tuple[Fired, ...]) -> float:
    """Series called complete by the ceiling, and marked so, in a thousand."""
    return 1000 * sum(one.doubtful for one in fired) / len(fired)


def waits(fired: tuple[Fired, ...]) -> list[float]:
    """Seconds from the last image, of those that were not early; in order."""
    return sorted(one.after for one in fired if one.after >= 0)


def high(values: list[float]) -> float:
    """The 95th percentile."""
    return values[int(0.95 * (len(values) - 1))]


def cases(quick: bool) -> Iterator[Case]:
    """Early fires, doubtful ones, median and 95th percentile of waiting, for each class of senders."""
    count = QUICK_DAYS if quick else DAYS
    figures: dict[tuple[str, str], Callable[[tuple[Fired, ...]], float]] = {
        ("early", "in 1000 series"): early,
        ("in doubt", "in 1000 series"): in_doubt,
        ("median wait", "s"): lambda fired: statistics.median(waits(fired)),
        ("95th percentile of wait", "s"): lambda fired: high(waits(fired)),
    }
    for sender in CLASSES:
        for (name, unit), figure in figures.items():
            subjects = {
                subject: (lambda s=subject, c=sender, f=figure: f(fires(c, s, count))) for subject in SUBJECTS
            }
            yield Case(f"{sender}: {name}", unit, subjects, "less")
    yield from live.cases(quick)


if __name__ == "__main__":
    main(cases, rounds=1)
