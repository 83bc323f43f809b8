"""Reports: value types and their relationships, coordinates, tracking, templates, and units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pydicom import Dataset

from dicom_node.encode.gate.units import EXPECTED, quantity

_FACTS = frozenset({"TEXT", "CODE", "NUM", "UIDREF", "DATETIME", "DATE", "TIME", "PNAME"})
_REGIONS = frozenset({"IMAGE", "SCOORD", "SCOORD3D"})
_SIMPLE = frozenset({"TEXT", "CODE", "NUM"})
_ALLOWED: Mapping[tuple[str, str], frozenset[str]] = {
    ("CONTAINS", "CONTAINER"): _FACTS | _REGIONS | {"CONTAINER", "COMPOSITE"},
    ("HAS OBS CONTEXT", "CONTAINER"): _FACTS,
    ("HAS ACQ CONTEXT", "CONTAINER"): _FACTS | {"CONTAINER"},
    ("HAS ACQ CONTEXT", "IMAGE"): _FACTS,
    **{("HAS PROPERTIES", parent): _SIMPLE for parent in _SIMPLE},
    **{("INFERRED FROM", parent): _SIMPLE | _REGIONS for parent in _SIMPLE},
    ("SELECTED FROM", "SCOORD"): frozenset({"IMAGE"}),
}
"""Which value types may stand below which, by relationship (PS3.3 A.35.13.3.1.2)."""
_POINTS = {
    "POINT": (1, 1),
    "MULTIPOINT": (1, None),
    "POLYLINE": (2, None),
    "CIRCLE": (2, 2),
    "ELLIPSE": (4, 4),
}
"""Least and most points of each graphic type (PS3.3 C.18.6.1.2)."""


def report_faults(ds: Dataset, known: Mapping[str, Dataset]) -> Iterator[str]:
    """Faults of a TID 1500 report's flags, root, content tree and measurement groups."""
    if ds.get("VerificationFlag") != "UNVERIFIED":
        yield "VerificationFlag isn't UNVERIFIED: nobody has verified a result that a program made"
    identification = (ds.get("ContentTemplateSequence") or [Dataset()])[0]
    if identification.get("TemplateIdentifier") != "1500" or identification.get("MappingResource") != "DCMR":
        yield "the root's template isn't TID 1500 of DCMR"
    if ds.get("ValueType") != "CONTAINER" or _name(ds) != ("126000", "DCM"):
        yield "the root isn't an Imaging Measurement Report"
    names = [_name(item) for item in ds.get("ContentSequence") or ()]
    for code, what in (
        ("121005", "observer type"),
        ("121012", "device observer's UID"),
        ("121058", "procedure reported"),
    ):
        if (code, "DCM") not in names:
            yield f"the report has no {what}"
    yield from _tree_faults(ds, known)


def _name(item: Dataset) -> tuple[str, str]:
    code = (item.get("ConceptNameCodeSequence") or [Dataset()])[0]
    return str(code.get("CodeValue")), str(code.get("CodingSchemeDesignator"))


def _tree_faults(parent: Dataset, known: Mapping[str, Dataset]) -> Iterator[str]:
    for item in parent.get("ContentSequence") or ():
        value_type, relationship = str(item.get("ValueType")), str(item.get("RelationshipType"))
        allowed = _ALLOWED.get((relationship, str(parent.get("ValueType"))), frozenset())
        if relationship == "HAS CONCEPT MOD":
            allowed = frozenset({"TEXT", "CODE"})
        if value_type not in allowed:
            yield f"{value_type} may not be {relationship} of {parent.get('ValueType')}"
        if value_type not in ("IMAGE", "SCOORD", "COMPOSITE") and "ConceptNameCodeSequence" not in item:
            yield f"a {value_type} without a name"
        yield from _value_faults(item, value_type, known)
        if _name(item) == ("125007", "DCM"):
            yield from _group_faults(item)
        yield from _tree_faults(item, known)


def _value_faults(item: Dataset, value_type: str, known: Mapping[str, Dataset]) -> Iterator[str]:
    if value_type == "NUM":
        yield from _number_faults(item)
    elif value_type == "SCOORD":
        yield from _coordinate_faults(item, known)
    elif value_type == "IMAGE":
        yield from _segment_faults(item, known)
    elif value_type == "TEXT" and not item.get("TextValue"):
        yield "a TEXT without words"
    elif value_type == "CODE" and not item.get("ConceptCodeSequence"):
        yield "a CODE without a code"
    elif value_type == "UIDREF" and not item.get("UID"):
        yield "a UIDREF without a UID"


def _number_faults(item: Dataset) -> Iterator[str]:
    measured = (item.get("MeasuredValueSequence") or [Dataset()])[0]
    if measured.get("NumericValue") in (None, ""):
        yield "a NUM without a value"
        return
    value = float(measured.NumericValue)
    full = measured.get("FloatingPointValue", value)
    if not math.isfinite(value) or not math.isfinite(full) or abs(full - value) > max(0.5, abs(full) * 0.05):
        yield "a NUM whose value isn't finite, or whose two forms differ by more than rounding"
    units = measured.get("MeasurementUnitsCodeSequence")
    if not units:
        yield "a NUM without a unit"
        return
    expected = EXPECTED.get(_name(item))
    if expected is not None and quantity(str(units[0].get("CodeValue"))) != expected:
        yield f"the unit {units[0].get('CodeValue')} isn't of the quantity that {_name(item)[0]} is"
    if expected is not None and value < 0:
        yield "a size below zero"


def _coordinate_faults(item: Dataset, known: Mapping[str, Dataset]) -> Iterator[str]:
    data = [float(value) for value in item.get("GraphicData") or ()]
    graphic = str(item.get("GraphicType"))
    least, most = _POINTS.get(graphic, (None, None))
    if least is None:
        yield f"{graphic} is no graphic type"
        return
    if len(data) % 2 or len(data) < 2 * least or (most is not None and len(data) > 2 * most):
        yield f"{len(data)} coordinates make no {graphic}"
        return
    selected = [one for one in item.get("ContentSequence") or () if one.get("ValueType") == "IMAGE"]
    if not selected:
        yield "coordinates that are on no image"
        return
    target = known.get(str(selected[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID))
    if target is not None and "Rows" in target:
        columns, rows = data[0::2], data[1::2]
        inside = min(data) >= 0 and max(columns) <= int(target.Columns) and max(rows) <= int(target.Rows)
        if not inside:
            yield "coordinates outside of their image"


def _segment_faults(item: Dataset, known: Mapping[str, Dataset]) -> Iterator[str]:
    for referenced in item.get("ReferencedSOPSequence") or ():
        target = known.get(str(referenced.get("ReferencedSOPInstanceUID")))
        numbers = referenced.get("ReferencedSegmentNumber")
        if target is None or numbers is None:
            continue
        described = {int(segment.SegmentNumber) for segment in target.get("SegmentSequence") or ()}
        wanted = {int(number) for number in (numbers if hasattr(numbers, "__iter__") else [numbers])}
        if wanted - described:
            yield "a referenced segment isn't described in its segmentation"


def _group_faults(group: Dataset) -> Iterator[str]:
    names = [_name(item) for item in group.get("ContentSequence") or ()]
    for code, what in (
        ("112039", "tracking identifier"),
        ("112040", "tracking UID"),
        ("111001", "algorithm name"),
    ):
        if names.count((code, "DCM")) != 1:
            yield f"a measurement group without one {what}"
