"""The contracts of findings: what a pipeline may return. Whatever breaks one never reaches an encoder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dicom_node.errors import ModelFailed
from dicom_node.findings import (
    Classification,
    Code,
    Detection,
    Embedding,
    Finding,
    Heatmap,
    Measurement,
    NotApplicable,
    Picture,
    Segment,
    Segmentation,
    Text,
)
from dicom_node.pipeline import Case

CODE_LENGTHS = {"value": 16, "scheme": 16, "meaning": 64}
"""VR SH and LO (PS3.5 6.2), for Code Value, Coding Scheme Designator and Code Meaning."""

EMBEDDER_LENGTH = 128
"""Characters of an embedding's model and version together."""


def check_findings(findings: Sequence[object], case: Case) -> None:
    """Raises ModelFailed with every broken contract in one text; returns where there is none."""
    faults = [*_whole_faults(findings)]
    labels = _labels(findings)
    for number, finding in enumerate(findings, start=1):
        if not isinstance(finding, Finding):
            faults.append(f"finding {number} is {type(finding).__name__}, no type of dicom_node.findings")
            continue
        place = f"finding {number} ({type(finding).__name__})"
        faults += [f"{place}: {fault}" for fault in _faults(finding, case, labels)]
    if faults:
        raise ModelFailed("the pipeline broke the contract of its findings: " + "; ".join(faults))


def _whole_faults(findings: Sequence[object]) -> Iterable[str]:
    if not findings:
        yield "it returned nothing; a pipeline that found nothing says so with a finding or NotApplicable"
    if len(findings) > 1 and any(isinstance(finding, NotApplicable) for finding in findings):
        yield "NotApplicable stands beside other findings"
    labels = [s.label for f in findings if isinstance(f, Segmentation) for s in f.segments]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        yield f"segment labels are not unique: {', '.join(twice)}"


def _labels(findings: Sequence[object]) -> frozenset[str]:
    return frozenset(s.label for f in findings if isinstance(f, Segmentation) for s in f.segments)


def _faults(finding: Finding, case: Case, labels: frozenset[str]) -> Iterable[str]:
    """Yields what is wrong with one finding, its role first: without its input no shape can be judged."""
    if (role := getattr(finding, "role", None)) is not None and role not in case.inputs:
        yield f"there is no input {role!r}"
        return
    match finding:
        case Segmentation():
            yield from _segmentation_faults(finding, case.inputs[finding.role].volume.grid.shape)
        case Measurement():
            yield from _measurement_faults(finding, labels)
        case Classification():
            yield from _classification_faults(finding, labels)
        case Detection():
            yield from _detection_faults(finding, case.inputs[finding.role].volume.grid.shape, labels)
        case Heatmap():
            yield from _heatmap_faults(finding, case.inputs[finding.role].volume.grid.shape)
        case Embedding():
            yield from _embedding_faults(finding)
        case Text():
            yield from _text_faults(finding)
        case Picture():
            yield from _picture_faults(finding)
        case NotApplicable():
            yield from () if finding.reason.strip() else ("NotApplicable needs a reason",)


def _segmentation_faults(finding: Segmentation, shape: tuple[int, int, int]) -> Iterable[str]:
    array, count = finding.array, len(finding.segments)
    if array.ndim == 3 and array.dtype.kind == "u":
        if array.shape != shape:
            yield f"its array is {array.shape}, the input's grid {shape}"
        elif array.size and int(array.max()) > count:
            yield f"it holds the value {int(array.max())} and names {count} segments"
    elif array.ndim == 4 and array.dtype in (np.bool_, np.float32):
        if array.shape != (count, *shape):
            yield f"its array is {array.shape}, needed is {(count, *shape)} (segments, then the input's grid)"
        elif array.dtype == np.float32:
            yield from _unit_range_faults(array)
    else:
        yield (
            "its array is (k, j, i) of unsigned integers, or (s, k, j, i) of bool or float32, "
            f"not {array.ndim} axes of {array.dtype}"
        )
    for segment in finding.segments:
        yield from _segment_description_faults(segment)


def _segment_description_faults(segment: Segment) -> Iterable[str]:
    if not 1 <= len(segment.label.strip()) <= 64:
        yield "a segment label has 1 to 64 characters (VR LO)"
    codes = (segment.category, segment.type, segment.laterality)
    yield from _code_faults(*(code for code in codes if code is not None))
    if segment.color is not None and not all(0 <= channel <= 255 for channel in segment.color):
        yield f"the colour of {segment.label!r} is outside 0..255"


def _measurement_faults(finding: Measurement, labels: frozenset[str]) -> Iterable[str]:
    yield from _code_faults(finding.name, finding.unit, *([finding.derivation] if finding.derivation else []))
    yield from _segment_faults(finding.segment, labels)
    if not math.isfinite(finding.value):
        yield f"{finding.name.meaning} is {finding.value}"
    if finding.digits < 0:
        yield "digits is below 0"


def _classification_faults(finding: Classification, labels: frozenset[str]) -> Iterable[str]:
    yield from _code_faults(finding.name, finding.value)
    yield from _segment_faults(finding.segment, labels)
    yield from _fraction_faults("probability", finding.probability)


def _detection_faults(
    finding: Detection, shape: tuple[int, int, int], labels: frozenset[str]
) -> Iterable[str]:
    yield from _code_faults(finding.name)
    yield from _fraction_faults("score", finding.score)
    lower, upper = np.asarray(finding.lower), np.asarray(finding.upper)
    inside = np.all(lower >= -0.5) and np.all(upper <= np.asarray(shape) - 0.5) and np.all(lower <= upper)
    if lower.shape != (3,) or upper.shape != (3,) or not inside:
        yield f"its box {finding.lower}..{finding.upper} does not lie in the input's grid {shape}"
    for measurement in finding.measurements:
        yield from _measurement_faults(measurement, labels)


def _heatmap_faults(finding: Heatmap, shape: tuple[int, int, int]) -> Iterable[str]:
    if finding.array.dtype != np.float32 or finding.array.shape != shape:
        yield f"its array is {finding.array.shape} {finding.array.dtype}, needed is {shape} float32"
    else:
        yield from _unit_range_faults(finding.array)


def _embedding_faults(finding: Embedding) -> Iterable[str]:
    vector = finding.vector
    if vector.dtype != np.float32 or vector.ndim != 1 or not vector.size:
        yield f"its vector is {vector.shape} {vector.dtype}, needed is (d,) float32"
    elif not np.isfinite(vector).all() or not vector.any():
        yield "its vector is not finite, or all zero: it has no direction"
    if not (finding.model.strip() and finding.version.strip() and finding.of.strip()):
        yield "an embedding says its model, its version, and what it was computed of"
    if len(finding.model) + len(finding.version) > EMBEDDER_LENGTH:
        yield f"its model and version have more than {EMBEDDER_LENGTH} characters"


def _text_faults(finding: Text) -> Iterable[str]:
    if not finding.sentences or not all(sentence.strip() for sentence, _ in finding.sentences):
        yield "a text needs sentences, and none may be empty"


def _picture_faults(finding: Picture) -> Iterable[str]:
    array = finding.array
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
        yield f"a picture is (rows, columns, 3) uint8, not {array.shape} {array.dtype}"


def _unit_range_faults(array: NDArray[np.generic]) -> Iterable[str]:
    if array.size and not (array.min() >= 0 and array.max() <= 1):  # also false where a value is NaN
        yield "its values are not all in 0..1"


def _segment_faults(segment: str | None, labels: frozenset[str]) -> Iterable[str]:
    if segment is not None and segment not in labels:
        yield f"it names the segment {segment!r}, which no segmentation holds"


def _fraction_faults(what: str, value: float | None) -> Iterable[str]:
    if value is not None and not 0 <= value <= 1:
        yield f"its {what} {value} is not in 0..1"


def _code_faults(*codes: Code) -> Iterable[str]:
    for code in codes:
        for name, longest in CODE_LENGTHS.items():
            if not 1 <= len(getattr(code, name)) <= longest:
                yield f"the {name} of a code has 1 to {longest} characters: {getattr(code, name)!r}"
