"""Values that compare: numbers, ages in years, dates and times, from DICOM's text or from YAML."""

from __future__ import annotations

import re
from datetime import date, datetime, time

from dicom_node.config.facts import Sort

Scalar = str | int | float | bool
Comparable = float | date | time | bool

_AGE = re.compile(r"^\s*(\d{1,3})([DWMY])\s*$", re.IGNORECASE)
_CLOCK = re.compile(r"^(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.\d+)?)?)?$")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def comparable(value: object, sort: Sort) -> Comparable | None:
    """A value as something that can be compared with others of its sort; None where it is none.

    An age (PS3.5 6.2, AS: 018M) is given in years; a date is YYYYMMDD or YYYY-MM-DD, a time HHMM[SS] or
    HH:MM[:SS].
    """
    if sort == "flag":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if sort == "date":
        return _date(value)
    if sort == "time":
        return _time(value)
    if sort == "age" and isinstance(value, str) and (age := _AGE.match(value)):
        return int(age[1]) * _YEARS[age[2].upper()]
    return _number(value)


def _number(value: object) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _date(value: object) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return datetime.strptime(re.sub(r"[-.]", "", str(value))[:8], "%Y%m%d").date()  # noqa: DTZ007 - a day
    except ValueError:
        return None


def _time(value: object) -> time | None:
    if isinstance(value, time):
        return value
    found = _CLOCK.match(str(value).strip())
    if found is None:
        return None
    hour, minute, second = (int(part or 0) for part in found.groups())
    try:
        return time(hour, minute, second)
    except ValueError:
        return None
