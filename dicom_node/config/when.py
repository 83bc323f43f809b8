"""The language of `when:`: parsed once, at load, into a frozen tree that `route` weighs.

when:
  Modality: CT                          # text is compared without regard to case
  BodyPartExamined: [CHEST, THORAX]     # any of
  SliceThickness: {min: 0.5, max: 3}    # a range, bounds included
  SeriesDescription: {not: {matches: "scout|localizer"}}
  images: {min: 40}                     # a fact that no header states
  any:
    - RequestAttributesSequence.RequestedProcedureID: {contains: LUNG}
    - (0019,xx0C,SIEMENS MR HEADER): {present: true}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword

from dicom_node.config.facts import FACTS, Sort
from dicom_node.config.faults import Fault, FaultyConfigError, KeyPath, one_of, shown
from dicom_node.config.values import Comparable, Scalar, comparable


@dataclass(frozen=True, slots=True)
class PrivateTag:
    """A private element: its group, the low byte of its element number, and its creator (PS3.5 7.8)."""

    group: int
    element: int
    creator: str | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What a test looks at: a fact, a path of DICOM keywords through sequences, or a private element."""

    name: str
    sort: Sort
    keywords: tuple[str, ...] = ()
    private: PrivateTag | None = None


@dataclass(frozen=True, slots=True)
class Equals:
    """The value is this; text without regard to case, numbers by value."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Between:
    """The value lies between two bounds, both included; None: no bound."""

    low: Comparable | None
    high: Comparable | None


@dataclass(frozen=True, slots=True)
class Matches:
    """A regular expression is found somewhere in the value, without regard to case."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Contains:
    """The value contains a text, without regard to case."""

    text: str


@dataclass(frozen=True, slots=True)
class Present:
    """There is a value, or there is none."""

    expected: bool


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of several checks holds."""

    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """Each of several checks holds."""

    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Unlike:
    """A check does not hold for any value; also where there is no value."""

    check: Check


Check = Equals | Between | Matches | Contains | Present | Either | Both | Unlike


@dataclass(frozen=True, slots=True)
class Term:
    """One subject, one check."""

    subject: Subject
    check: Check


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every condition holds; with none: always."""

    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one condition holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class NotOf:
    """A condition does not hold."""

    condition: Condition


Condition = Term | AllOf | AnyOf | NotOf

ALWAYS = AllOf()
CHECKS = ("min", "max", "matches", "contains", "present", "not")
COMBINERS = ("all", "any", "not")
_PRIVATE = re.compile(r"^\(([0-9A-Fa-f]{4}),([0-9A-Fa-fxX]{2})([0-9A-Fa-f]{2})(?:,(.+))?\)$")
_SORTS: dict[str, Sort] = {
    **dict.fromkeys(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"), "number"),
    "AS": "age",
    "DA": "date",
    "TM": "time",
}


def parse_when(raw: object) -> Condition:
    """Parses what stands under `when:`. Raises FaultyConfigError with every fault, paths from `when:` on."""
    parser = _Parser()
    condition = parser.conditions(raw, ())
    if parser.faults:
        raise FaultyConfigError(parser.faults)
    return condition


class _Parser:
    """Collects faults while it builds the tree; what can't be parsed becomes ALWAYS and a fault."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, path: KeyPath, found: str, right: str = "") -> None:
        self.faults.append(Fault(path, found, right))

    def conditions(self, raw: object, path: KeyPath) -> Condition:
        """A mapping (all of its keys hold) or a list of mappings (likewise)."""
        if isinstance(raw, list | tuple):
            return AllOf(tuple(self.conditions(one, (*path, index)) for index, one in enumerate(raw)))
        if not isinstance(raw, Mapping):
            self.fault(path, f"found {shown(raw)}", "conditions are written as `Keyword: value`")
            return ALWAYS
        found = tuple(self._condition(str(key), value, (*path, str(key))) for key, value in raw.items())
        return found[0] if len(found) == 1 else AllOf(found)

    def _condition(self, key: str, value: object, path: KeyPath) -> Condition:
        if key == "not":
            return NotOf(self.conditions(value, path))
        if key in COMBINERS:
            if not isinstance(value, list | tuple) or not value:
                self.fault(path, f"found {shown(value)}", f"`{key}:` takes a list of conditions")
                return ALWAYS
            parts = tuple(self.conditions(one, (*path, index)) for index, one in enumerate(value))
            return AllOf(parts) if key == "all" else AnyOf(parts)
        subject = self._subject(key, path)
        if subject is None:
            return ALWAYS
        check = self._check(value, subject, path)
        return Term(subject, check) if check is not None else ALWAYS

    def _subject(self, key: str, path: KeyPath) -> Subject | None:
        if key in FACTS:
            return Subject(key, FACTS[key].sort)
        if key.startswith("("):
            return self._private(key, path)
        keywords = tuple(key.split("."))
        for keyword in keywords:
            if keyword not in keyword_dict:
                right = one_of((*keyword_dict, *FACTS, *COMBINERS), keyword)
                if right.startswith("allowed"):
                    right = f"a keyword of PS3.6, or one of {', '.join(FACTS)}, {', '.join(COMBINERS)}"
                self.fault(path, f'"{keyword}" is no DICOM keyword and no fact', right)
                return None
        for keyword in keywords[:-1]:
            if _vr(keyword) != "SQ":
                self.fault(path, f"{keyword} is no sequence", "only sequences have attributes in them")
                return None
        if _vr(keywords[-1]) == "SQ":
            return Subject(key, "text", keywords)
        return Subject(key, _SORTS.get(_vr(keywords[-1]), "text"), keywords)

    def _private(self, key: str, path: KeyPath) -> Subject | None:
        parts = _PRIVATE.match(key)
        if parts is None or int(parts[1], 16) % 2 == 0:
            right = "a private element is written (gggg,eeee) or (gggg,xxee,CREATOR), with an odd group"
            self.fault(path, f'"{key}" is no private element', right)
            return None
        if parts[2].lower() == "xx" and parts[4] is None:
            self.fault(path, f'"{key}" names no creator', "add it: (gggg,xxee,CREATOR)")
            return None
        creator = parts[4].strip() if parts[4] else None
        return Subject(key, "text", private=PrivateTag(int(parts[1], 16), int(parts[3], 16), creator))

    def _check(self, raw: object, subject: Subject, path: KeyPath) -> Check | None:
        """A scalar (equals), a list (any of) or a mapping of checks (all of them)."""
        if isinstance(raw, Mapping):
            return self._checks(raw, subject, path)
        if isinstance(raw, list | tuple):
            if not raw:
                self.fault(path, "found an empty list", "a list names the allowed values")
                return None
            found = [self._check(one, subject, (*path, index)) for index, one in enumerate(raw)]
            return Either(tuple(check for check in found if check is not None))
        return self._equals(raw, subject, path)

    def _equals(self, raw: object, subject: Subject, path: KeyPath) -> Check | None:
        if not isinstance(raw, str | int | float | date | time):
            self.fault(path, f"found {shown(raw)}", "a value, a list of values, or a mapping of checks")
            return None
        allowed = FACTS[subject.name].values if subject.name in FACTS else ()
        if allowed and str(raw).lower() not in allowed:
            self.fault(path, f"{subject.name} is never {shown(raw)}", one_of(allowed, str(raw)))
            return None
        if subject.sort != "text":
            value = self._comparable(raw, subject, path)
            return None if value is None else Between(value, value)
        return Equals(raw if isinstance(raw, bool | int | float) else str(raw))

    def _checks(self, raw: Mapping[Any, Any], subject: Subject, path: KeyPath) -> Check | None:
        found: list[Check] = []
        for key in raw:
            if key not in CHECKS:
                self.fault((*path, str(key)), f'there is no check "{key}"', one_of(CHECKS, str(key)))
        if "min" in raw or "max" in raw:
            found.extend(self._between(raw, subject, path))
        makers: dict[str, Callable[[object, Subject, KeyPath], Check | None]] = {
            "matches": self._matches,
            "contains": self._contains,
            "present": self._present,
            "not": self._unlike,
        }
        for key, maker in makers.items():
            check = maker(raw[key], subject, (*path, key)) if key in raw else None
            if check is not None:
                found.append(check)
        if not raw:
            self.fault(path, "found no check", f"allowed: {', '.join(CHECKS)}")
        if not found:
            return None
        return found[0] if len(found) == 1 else Both(tuple(found))

    def _between(self, raw: Mapping[Any, Any], subject: Subject, path: KeyPath) -> list[Check]:
        bounds = [
            self._comparable(raw[key], subject, (*path, key)) if key in raw else None
            for key in ("min", "max")
        ]
        low, high = bounds
        if low is not None and high is not None and low > high:  # type: ignore[operator]  # both of one sort
            self.fault(
                path, f"min {shown(raw['min'])} is above max {shown(raw['max'])}", "no value can match"
            )
        return [Between(low, high)] if low is not None or high is not None else []

    def _comparable(self, raw: object, subject: Subject, path: KeyPath) -> Comparable | None:
        sort: Sort = "number" if subject.sort == "text" else subject.sort
        value = comparable(raw, sort)
        if value is None:
            examples = {"number": "12.5", "age": "45 (years) or 018M", "date": "2024-01-31", "time": "08:30"}
            self.fault(
                path,
                f"found {shown(raw)}",
                f"{subject.name} is compared as {sort}, such as {examples.get(sort, 'true')}",
            )
        return value

    def _matches(self, raw: object, _subject: Subject, path: KeyPath) -> Check | None:
        try:
            return Matches(re.compile(str(raw), re.IGNORECASE))
        except re.error as error:
            where = f" at character {error.pos + 1}" if error.pos is not None else ""
            self.fault(path, f"{shown(raw)} is no regular expression: {error.msg}{where}")
            return None

    def _contains(self, raw: object, _subject: Subject, path: KeyPath) -> Check | None:
        if not isinstance(raw, str | int | float) or not str(raw):
            self.fault(path, f"found {shown(raw)}", "a text")
            return None
        return Contains(str(raw))

    def _present(self, raw: object, _subject: Subject, path: KeyPath) -> Check | None:
        if not isinstance(raw, bool):
            self.fault(path, f"found {shown(raw)}", "allowed: true, false")
            return None
        return Present(raw)

    def _unlike(self, raw: object, subject: Subject, path: KeyPath) -> Check | None:
        check = self._check(raw, subject, path)
        return None if check is None else Unlike(check)


def _vr(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    return dictionary_VR(tag) if tag is not None else ""
