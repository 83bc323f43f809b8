"""What is burned into pictures: the lines for measurements, doubts and provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicom_node.encode.segments import color_of
from dicom_node.findings import Code, Finding, Measurement, Segmentation

_UNITS = {"[hnsf'U]": "HU", "1": "", "cm3": "ml", "mm2": "mm2", "{score}": ""}
"""How UCUM's codes are shown where the code itself isn't what people read."""


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
    """Name, value and unit, with the digits worth showing."""
    value = f"{measurement.value:.{measurement.digits}f} {unit_text(measurement.unit)}".rstrip()
    return f"{measurement.name.meaning} {value}"


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
    doubts = dict.fromkeys(each.doubt for each in measurements if each.doubt)
    return lines + [Line(f"Caution: {doubt}", doubt=True) for doubt in doubts]
