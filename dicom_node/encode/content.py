"""Content items of structured reports (PS3.3 C.17.3): one small function for each value type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom import Dataset
from pydicom.valuerep import DSfloat

from dicom_node.encode.common import code_sequence, reference
from dicom_node.findings import Code

CONTAINS = "CONTAINS"
CONCEPT_MODIFIER = "HAS CONCEPT MOD"
OBSERVATION_CONTEXT = "HAS OBS CONTEXT"
ACQUISITION_CONTEXT = "HAS ACQ CONTEXT"
INFERRED_FROM = "INFERRED FROM"
SELECTED_FROM = "SELECTED FROM"


def dcm(value: str, meaning: str) -> Code:
    """A code of PS3.16 annex D."""
    return Code(value, "DCM", meaning)


def _item(value_type: str, relationship: str, name: Code | None, children: Iterable[Dataset] = ()) -> Dataset:
    item = Dataset()
    item.RelationshipType = relationship
    item.ValueType = value_type
    if name:
        item.ConceptNameCodeSequence = code_sequence(name)
    content = list(children)
    if content:
        item.ContentSequence = content
    return item


def container(
    name: Code, children: Iterable[Dataset], template: str | None = None, relationship: str = CONTAINS
) -> Dataset:
    """CONTAINER, with the template that it follows (PS3.16)."""
    item = _item("CONTAINER", relationship, name, children)
    item.ContinuityOfContent = "SEPARATE"
    if template:
        identification = Dataset()
        identification.MappingResource = "DCMR"
        identification.TemplateIdentifier = template
        item.ContentTemplateSequence = [identification]
    return item


def text(name: Code, value: str, relationship: str = CONTAINS, children: Iterable[Dataset] = ()) -> Dataset:
    """TEXT."""
    item = _item("TEXT", relationship, name, children)
    item.TextValue = value
    return item


def coded(name: Code, value: Code, relationship: str = CONTAINS, children: Iterable[Dataset] = ()) -> Dataset:
    """CODE."""
    item = _item("CODE", relationship, name, children)
    item.ConceptCodeSequence = code_sequence(value)
    return item


def uid_reference(name: Code, value: str, relationship: str = CONTAINS) -> Dataset:
    """UIDREF."""
    item = _item("UIDREF", relationship, name)
    item.UID = value
    return item


def number(
    name: Code,
    value: float,
    unit: Code,
    digits: int,
    relationship: str = CONTAINS,
    children: Iterable[Dataset] = (),
) -> Dataset:
    """NUM: the value rounded to the digits worth showing, and in full beside it (PS3.3 C.18.1)."""
    item = _item("NUM", relationship, name, children)
    measured = Dataset()
    measured.NumericValue = DSfloat(f"{value:.{digits}f}"[:16])
    if float(measured.NumericValue) != value:
        measured.FloatingPointValue = float(value)
    measured.MeasurementUnitsCodeSequence = code_sequence(unit)
    item.MeasuredValueSequence = [measured]
    return item


def image(
    name: Code | None,
    ds: Dataset,
    relationship: str = CONTAINS,
    *,
    frames: Sequence[int] = (),
    segments: Sequence[int] = (),
) -> Dataset:
    """IMAGE: an instance, or frames or segments of it."""
    item = _item("IMAGE", relationship, name)
    referenced = reference(ds)
    if frames:
        referenced.ReferencedFrameNumber = list(frames)
    if segments:
        referenced.ReferencedSegmentNumber = list(segments)
    item.ReferencedSOPSequence = [referenced]
    return item


def coordinates(
    name: Code | None,
    graphic_type: str,
    points: Sequence[tuple[float, float]],
    selected_from: Dataset,
    relationship: str = INFERRED_FROM,
) -> Dataset:
    """SCOORD on an image: (column, row), 0, 0 at the first pixel's top left corner (PS3.3 C.18.6)."""
    item = _item("SCOORD", relationship, name, [selected_from])
    item.GraphicData = [float(value) for point in points for value in point]
    item.GraphicType = graphic_type
    return item
