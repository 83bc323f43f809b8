"""What is burned into pictures: the lines for measurements, doubts and provenance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from dicom_node.encode.context import EncodeContext
from dicom_node.encode.segments import color_of
from dicom_node.findings import (
    Classification,
    Code,
    Detection,
    Finding,
    Measurement,
    Segmentation,
    Text,
)

_UNITS = {"[hnsf'U]": "HU", "1": "", "cm3": "ml", "mm2": "mm2", "{score}": ""}
"""How UCUM's codes are shown where the code itself isn't what people read."""
_NO_RATIO = {"%", "[hnsf'U]", "Cel"}
"""Units without a natural zero, or that would be taken for the change itself."""

DOUBTFUL = (
    "The series may not have been complete when it was analysed: no evidence of completeness arrived in time."
)

SEPARATOR = "; "
"""Between the doubts of one measurement."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a legend: words with the colour of the structure that they are about."""

    words: str
    color: tuple[int, int, int] | None = None
    doubt: bool = False


def unit_text(unit: Code) -> str:
    """A UCUM unit as people read it."""
    return _UNITS.get(unit.value, unit.value)


def value_text(measurement: Measurement) -> str:
    """Name, value and unit, with the digits worth showing, and the change since the study before."""
    value = f"{measurement.value:.{measurement.digits}f} {unit_text(measurement.unit)}".rstrip()
    change = f" ({change_text(measurement, measurement.earlier[-1])})" if measurement.earlier else ""
    return f"{measurement.name.meaning} {value}{change}"


def change_text(measurement: Measurement, before: tuple[date, float]) -> str:
    """By how much a measurement changed since an earlier value; in percent too, where that says something."""
    when, value = before
    change = round(measurement.value, measurement.digits) - round(value, measurement.digits)
    if not change:
        return f"no change since {when:%Y-%m-%d}"
    part = f", {change / value:+.1%}" if value > 0 and measurement.unit.value not in _NO_RATIO else ""
    return f"{change:+.{measurement.digits}f}{part} since {when:%Y-%m-%d}"


def history_text(measurement: Measurement) -> str:
    """The change since the study before, and every earlier value with its date, newest first."""
    unit = unit_text(measurement.unit)
    values = (
        f"{value:.{measurement.digits}f} {unit}".rstrip() + f" on {when:%Y-%m-%d}"
        for when, value in reversed(measurement.earlier)
    )
    change = change_text(measurement, measurement.earlier[-1])
    return f"{measurement.name.meaning}: {change}; earlier: {', '.join(values)}"


def legend(findings: Sequence[Finding]) -> list[Line]:
    """A line for each segment with its measurements, one for each of the whole image, then the doubts."""
    measurements = [finding for finding in findings if isinstance(finding, Measurement)]
    lines: list[Line] = []
    named: set[str] = set()
    for mask in (finding for finding in findings if isinstance(finding, Segmentation)):
        for number, segment in enumerate(mask.segments, start=1):
            named.add(segment.label)
            own = [value_text(each) for each in measurements if each.segment == segment.label]
            lines.append(
                Line(
                    f"{segment.label}: {', '.join(own)}" if own else segment.label, color_of(segment, number)
                )
            )
    lines += [Line(value_text(each)) for each in measurements if each.segment not in named]
    lines += [Line(_evaluation_text(one)) for one in findings if isinstance(one, Classification | Detection)]
    lines += [
        Line(f"Caution: {sentence}", doubt=True) if one.kind == "caution" else Line(f"Draft: {sentence}")
        for one in findings
        if isinstance(one, Text)
        for sentence, _ in one.sentences
    ]
    doubts = dict.fromkeys(
        part for each in measurements if each.doubt for part in each.doubt.split(SEPARATOR)
    )  # what several measurements share is said once
    return lines + ([Line(f"Caution: {SEPARATOR.join(doubts)}", doubt=True)] if doubts else [])


def wrapped(lines: Sequence[Line], cut: Callable[[str], Sequence[str]]) -> list[Line]:
    """Lines cut to a width by `cut`; only the first piece of a line carries its colour."""
    return [
        Line(piece, line.color if index == 0 else None, line.doubt)
        for line in lines
        for index, piece in enumerate(cut(line.words))
    ]


def fitted(lines: Sequence[Line], most: int) -> list[Line]:
    """At most so many lines, every doubt among them; the rest is in the report."""
    if len(lines) <= most:
        return list(lines)
    doubts = [line for line in lines if line.doubt][: most - 2]
    values = [line for line in lines if not line.doubt]
    kept = values[: most - 1 - len(doubts)]
    return [*kept, Line(f"... and {len(values) - len(kept)} more lines: see the report"), *doubts]


def _evaluation_text(one: Classification | Detection) -> str:
    """What was judged or found, and how sure the algorithm is."""
    if isinstance(one, Detection):
        values = "".join(f", {value_text(each)}" for each in one.measurements)
        return f"{one.name.meaning}{values} ({one.score:.0%} certain)"
    certainty = f" ({one.probability:.0%} certain)" if one.probability is not None else ""
    return f"{one.name.meaning}: {one.value.meaning}{certainty}"


def caution(context: EncodeContext) -> list[Line]:
    """A line where the series may not have been complete."""
    return [Line(f"Caution: {DOUBTFUL}", doubt=True)] if context.doubtful else []
