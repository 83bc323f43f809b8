"""The one form of every measurement: peers and ours interleaved in one run, medians of several rounds.

A bench is a module with a generator of cases, so that what a case needs (a folder, a running peer) lives
in `with` blocks around its `yield`:

    def cases(quick: bool) -> Iterator[Case]:
        images = 50 if quick else 500
        with node() as ours, orthanc() as theirs:
            subjects = {OURS: lambda: rate(ours, images), "orthanc": lambda: rate(theirs, images)}
            yield Case("receive", "images/s", subjects, "more")

    if __name__ == "__main__":
        main(cases)
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table

OURS = "dicom-node"
ROUNDS = 5
QUICK_ROUNDS = 1
_TABLE_WIDTH = 130
"""Columns of a table that is written to a file."""

Subject = Callable[[], float]
"""Measures once and returns the value, in its case's unit. Raises Unavailable where it isn't installed."""


class Unavailable(Exception):  # noqa: N818 - no error: a peer that this machine does not have
    """A subject can't be measured on this machine; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is measured, of every subject.

    Attributes:
        better: whether "more" or "less" of the unit is better.
    """

    name: str
    unit: str
    subjects: Mapping[str, Subject]
    better: Literal["more", "less"]


@dataclass(frozen=True, slots=True)
class Measured:
    """The values of one subject of one case, one for each round."""

    case: Case
    subject: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that is reported."""
        return statistics.median(self.values)


def measure(case: Case, rounds: int) -> tuple[list[Measured], dict[str, str]]:
    """Measures every subject once a round; each round starts with another one, so that none is always first.

    Returns what was measured, in the subjects' order, and the reason by subject for those that are missing.
    """
    values: dict[str, list[float]] = {subject: [] for subject in case.subjects}
    missing: dict[str, str] = {}
    order = list(case.subjects)
    for _ in range(rounds):
        for subject in order:
            if subject in missing:
                continue
            try:
                values[subject].append(case.subjects[subject]())
            except Unavailable as reason:
                missing[subject] = str(reason)
        order = [*order[1:], *order[:1]]
    measured = [
        Measured(case, subject, tuple(got)) for subject, got in values.items() if subject not in missing
    ]
    return measured, missing


def ratio(measured: Measured, ours: Measured) -> float | None:
    """How many times better ours is than this one; below 1: worse. None where a division has no meaning."""
    better, worse = ours.median, measured.median
    if measured.case.better == "less":
        better, worse = worse, better
    return better / worse if worse else None


def main(
    cases: Callable[[bool], Iterable[Case]], *, rounds: int = ROUNDS, arguments: Sequence[str] | None = None
) -> None:
    """Runs a bench from its command line and prints a table, or with --json one object a line.

    Args:
        cases: makes the cases, fewer and smaller ones when called with True (--quick).
        rounds: how often each subject is measured without --quick.
        arguments: the command line's; None: this process's.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--quick", action="store_true", help="small and once: does it run at all?")
    parser.add_argument("--json", action="store_true", help="one object a line: case, subject, value, unit")
    parser.add_argument("--rounds", type=int, help="how often each subject is measured")
    options = parser.parse_args(arguments)
    show = _print_lines if options.json else _print_table
    show(_run(cases(options.quick), options.rounds or (QUICK_ROUNDS if options.quick else rounds)))


def _run(cases: Iterable[Case], rounds: int) -> Iterator[list[Measured]]:
    """One case after the other, each while its generator holds open what it needs."""
    for case in cases:
        measured, missing = measure(case, rounds)
        for subject, reason in missing.items():
            print(f"{case.name}: {subject} left out: {reason}", file=sys.stderr)
        yield measured


def _print_lines(results: Iterable[list[Measured]]) -> None:
    for measured in results:
        for one in measured:
            row = {"case": one.case.name, "subject": one.subject, "value": one.median, "unit": one.case.unit}
            print(json.dumps(row), flush=True)


def _print_table(results: Iterable[list[Measured]]) -> None:
    table = Table("case", "subject", "unit")
    for title in ("median", "lowest", "highest", "ours is better by"):
        table.add_column(title, justify="right")
    for measured in results:
        ours = next((one for one in measured if one.subject == OURS), None)
        for one in measured:
            figures = [f"{value:.4g}" for value in (one.median, min(one.values), max(one.values))]
            times = ratio(one, ours) if ours is not None and one is not ours else None
            table.add_row(
                one.case.name, one.subject, one.case.unit, *figures, "" if times is None else f"{times:.2f} x"
            )
        table.add_section()
    Console(width=max(Console().width, _TABLE_WIDTH)).print(table)
