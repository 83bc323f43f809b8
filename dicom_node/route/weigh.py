"""Weighs the conditions of `when:` against a series."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from typing import Any, assert_never

from dicom_node.config.facts import FACTS
from dicom_node.config.values import Comparable, comparable
from dicom_node.config.when import (
    AllOf,
    AnyOf,
    Between,
    Both,
    Check,
    Condition,
    Contains,
    Either,
    Equals,
    Matches,
    NotOf,
    Present,
    Subject,
    Term,
    Unlike,
)
from dicom_node.records import SeriesFacts
from dicom_node.route.explanation import Weighed
from dicom_node.route.look_up import look_up

SHOWN_CHARACTERS = 200
"""An actual value is shown up to here."""


def weigh(condition: Condition, facts: SeriesFacts) -> Weighed:
    """Whether a condition holds for a series, with all its parts weighed, also where one decides."""
    match condition:
        case Term(subject, check):
            values = look_up(subject, facts)
            held = _holds(check, values, subject)
            return Weighed(says(subject.name, check), held, _shown(subject, values), subject=subject.name)
        case AllOf(conditions):
            parts = tuple(weigh(one, facts) for one in conditions)
            return Weighed("all of" if parts else "always", all(one.held for one in parts), parts=parts)
        case AnyOf(conditions):
            parts = tuple(weigh(one, facts) for one in conditions)
            return Weighed("any of", any(one.held for one in parts), parts=parts)
        case NotOf(inner):
            part = weigh(inner, facts)
            return Weighed("not", not part.held, parts=(part,))
        case _:
            assert_never(condition)


def says(name: str, check: Check) -> str:
    """A test in words: "SliceThickness is between 0.5 and 3"."""
    if isinstance(check, Unlike):
        return f"no {name} {_words(check.check)}"
    return f"{name} {_words(check)}"


def _words(check: Check) -> str:
    words: str
    match check:
        case Equals(value):
            words = f"is {value}"
        case Between(low, high):
            words = _range_words(low, high)
        case Matches(pattern):
            words = f"matches /{pattern.pattern}/"
        case Contains(text):
            words = f'contains "{text}"'
        case Present(expected):
            words = "is present" if expected else "is absent"
        case Either(checks):
            words = " or ".join(_words(one) for one in checks).replace(" or is ", " or ")
        case Both(checks):
            words = " and ".join(_words(one) for one in checks)
        case Unlike(inner):
            words = f"never {_words(inner)}"  # inside `min` and the like; alone it is "no …"
        case _:
            assert_never(check)
    return words


def _range_words(low: Comparable | None, high: Comparable | None) -> str:
    if low == high:
        return f"is {_plain(low)}"
    if low is None or high is None:
        return f"is at least {_plain(low)}" if high is None else f"is at most {_plain(high)}"
    return f"is between {_plain(low)} and {_plain(high)}"


def _plain(bound: Comparable | None) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound).lower()


def _holds(check: Check, values: tuple[Any, ...], subject: Subject) -> bool:
    """Whether any of the values meets a check; where there is none, only `Unlike` and absence hold."""
    match check:
        case Present(expected):
            return bool(values) == expected
        case Either(checks):
            return any(_holds(one, values, subject) for one in checks)
        case Both(checks):
            return all(_holds(one, values, subject) for one in checks)
        case Unlike(inner):
            return not _holds(inner, values, subject)
        case _:
            return any(_meets(value, check, subject) for value in values)


def _meets(value: Any, check: Equals | Between | Matches | Contains, subject: Subject) -> bool:
    if isinstance(value, Mapping):
        return False  # an item of a sequence: only its presence can be asked for
    match check:
        case Equals(expected):
            if isinstance(expected, str):
                return str(value).strip().casefold() == expected.strip().casefold()
            return comparable(value, "number") == expected
        case Between(low, high):
            actual = comparable(value, "number" if subject.sort == "text" else subject.sort)
            return actual is not None and _within(actual, low, high)
        case Matches(pattern):
            return pattern.search(str(value)) is not None
        case Contains(text):
            return text.casefold() in str(value).casefold()
        case _:
            assert_never(check)


def _within(actual: Comparable, low: Comparable | None, high: Comparable | None) -> bool:
    """Bounds included; all three are of one sort, as the subject's."""
    if isinstance(actual, date | time):
        return (low is None or low <= actual) and (high is None or actual <= high)  # type: ignore[operator]  # same sort
    lower = float("-inf") if low is None else low
    upper = float("inf") if high is None else high
    return bool(lower <= actual <= upper)  # type: ignore[operator]  # same sort


def _shown(subject: Subject, values: tuple[Any, ...]) -> str | None:
    """Several values of an attribute stand as in DICOM, several answers as in a sentence."""
    if not values:
        return None
    text = (", " if subject.name in FACTS else "\\").join(_text(one) for one in values)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(item)"
    return str(value).lower() if isinstance(value, bool) else str(value)
