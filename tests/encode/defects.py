"""Defects to plant into good objects: each a name, an object, a place in it, and what is put there.

A place is keywords and item numbers joined by dots. The first word may find a content item of a report: a
value type (the first item of that type), GROUP (the first measurement group) or SEGMENT (the first
reference to a segment).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from pydicom import Dataset

ELSEWHERE = "1.2.3.4.5.6"
DELETED = object()
Objects = dict[str, Dataset]


def items(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence", ()):
        yield item
        yield from items(item)


def _find(ds: Dataset, word: str) -> Any:
    if word == "GROUP":
        return next(item for item in items(ds) if _meaning(item) == "Measurement Group")
    if word == "SEGMENT":
        return next(item for item in items(ds) if _meaning(item) == "Referenced Segment")
    if word.isupper():
        return next(item for item in items(ds) if item.ValueType == word)
    return ds[word].value


def _meaning(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning) if "ConceptNameCodeSequence" in item else ""


def plant(objects: Objects, kind: str, place: str, value: Any) -> None:
    """Puts a value at a place; a function is given what was there."""
    *path, last = place.split(".")
    target: Any = objects[kind]
    for word in path:
        target = target[int(word)] if word.isdigit() else _find(target, word)
    if value is DELETED:
        del target[last]
    else:
        setattr(target, last, value(target.get(last)) if callable(value) else value)


def in_every_frame(objects: Objects, place: str, value: Any) -> None:
    for index in range(len(objects["seg"].PerFrameFunctionalGroupsSequence)):
        plant(objects, "seg", f"PerFrameFunctionalGroupsSequence.{index}.{place}", value)


def moved(x: float, y: float, z: float) -> Callable[[Objects], None]:
    def shifted(position: Any) -> list[float]:
        return [round(float(value) + by, 4) for value, by in zip(position, (x, y, z), strict=True)]

    return lambda objects: in_every_frame(objects, "PlanePositionSequence.0.ImagePositionPatient", shifted)


def frames_reversed(objects: Objects) -> None:
    seg = objects["seg"]
    size = seg.Rows * seg.Columns
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
    whole = bits[: size * seg.NumberOfFrames].reshape(-1, size)[::-1]
    packed = np.packbits(whole, axis=None, bitorder="little").tobytes()
    seg.PixelData = packed + b"\0" * (len(packed) % 2)


def without_sources(objects: Objects) -> None:
    in_every_frame(objects, "DerivationImageSequence", DELETED)
    del objects["seg"].ReferencedSeriesSequence


def another_slice(objects: Objects) -> None:
    held = objects["sr"].CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    last = held.ReferencedSOPSequence[-1].ReferencedSOPInstanceUID
    plant(objects, "sr", "SCOORD.ContentSequence.0.ReferencedSOPSequence.0.ReferencedSOPInstanceUID", last)


_FRAME = "PerFrameFunctionalGroupsSequence.3"
_MEASURED = "NUM.MeasuredValueSequence.0"
_EVIDENCE = "CurrentRequestedProcedureEvidenceSequence.0.ReferencedSeriesSequence"
_SHARED = "SharedFunctionalGroupsSequence.0"
_ORIENTATION = f"{_SHARED}.PlaneOrientationSequence.0.ImageOrientationPatient"

PLACED: dict[str, tuple[str, str, Any]] = {
    # what validators see, each by some
    "no algorithm name": ("seg", "SegmentSequence.0.SegmentAlgorithmName", DELETED),
    "no property type": ("seg", "SegmentSequence.1.SegmentedPropertyTypeCodeSequence", DELETED),
    "bad segment number": ("seg", f"{_FRAME}.SegmentIdentificationSequence.0.ReferencedSegmentNumber", 9),
    "gap in segment numbers": ("seg", "SegmentSequence.1.SegmentNumber", 5),
    "frame count": ("seg", "NumberOfFrames", 10),
    "short pixels": ("seg", "PixelData", lambda pixels: pixels[: len(pixels) // 2]),
    "no plane position": ("seg", f"{_FRAME}.PlanePositionSequence", DELETED),
    "other frame of reference": ("seg", "FrameOfReferenceUID", ELSEWHERE),
    "other patient": ("seg", "PatientID", "OTHER"),
    "other study date": ("seg", "StudyDate", "20250101"),
    "bad dimension index": ("seg", f"{_FRAME}.FrameContentSequence.0.DimensionIndexValues", [1, 1]),
    "number without name": ("sr", "NUM.ConceptNameCodeSequence", DELETED),
    "number without unit": ("sr", f"{_MEASURED}.MeasurementUnitsCodeSequence", DELETED),
    "bad unit": ("sr", f"{_MEASURED}.MeasurementUnitsCodeSequence.0.CodeValue", "cm4"),
    "bad relationship": ("sr", "NUM.RelationshipType", "HAS CONCEPT MOD"),
    "bad graphic type": ("sr", "SCOORD.GraphicType", "RECTANGLE"),
    "odd coordinates": ("sr", "SCOORD.GraphicData", [1.0, 2.0, 3.0]),
    "segmentation not in evidence": ("sr", _EVIDENCE, lambda held: held[:1]),
    "no tracking UID": (
        "sr",
        "GROUP.ContentSequence",
        lambda held: [item for item in held if item.ValueType != "UIDREF"],
    ),
    "dangling segmentation": ("sr", "SEGMENT.ReferencedSOPSequence.0.ReferencedSOPInstanceUID", ELSEWHERE),
    "bad template": ("sr", "ContentTemplateSequence.0.TemplateIdentifier", "1501"),
    "bad scheme": ("sr", "CODE.ConceptCodeSequence.0.CodingSchemeDesignator", "NOPE"),
    "no conversion type": ("sc", "ConversionType", DELETED),
    "photometric": ("sc", "PhotometricInterpretation", "MONOCHROME2"),
    "no planar configuration": ("sc", "PlanarConfiguration", DELETED),
    "orientation flipped": (
        "seg",
        _ORIENTATION,
        lambda cosines: [*(-value for value in cosines[:3]), *cosines[3:]],
    ),
    # what this project adds
    "other pixel spacing": ("seg", f"{_SHARED}.PixelMeasuresSequence.0.PixelSpacing", [0.8, 0.9]),
    "other rows": ("seg", "Rows", 28),
    "two segments of one label": ("seg", "SegmentSequence.1.SegmentLabel", "Right lung"),
    "tracking id without UID": ("seg", "SegmentSequence.0.TrackingUID", DELETED),
    "no category": ("seg", "SegmentSequence.0.SegmentedPropertyCategoryCodeSequence", DELETED),
    "undeclared dimension": ("seg", "DimensionOrganizationSequence.0.DimensionOrganizationUID", ELSEWHERE),
    "series number of the source": ("seg", "SeriesNumber", 1),
    "wrong modality": ("seg", "Modality", "OT"),
    "no contributing equipment": ("seg", "ContributingEquipmentSequence", DELETED),
    "verified by nobody": ("sr", "VerificationFlag", "VERIFIED"),
    "other patient name": ("sr", "PatientName", "Other^Name"),
    "other accession number": ("sr", "AccessionNumber", "77"),
    "no series description": ("sr", "SeriesDescription", ""),
    "area in a unit of length": ("sr", f"{_MEASURED}.MeasurementUnitsCodeSequence.0.CodeValue", "mm"),
    "negative volume": ("sr", f"{_MEASURED}.NumericValue", "-4"),
    "value not finite": ("sr", f"{_MEASURED}.FloatingPointValue", float("nan")),
    "value without figure": ("sr", f"{_MEASURED}.NumericValue", None),
    "values that differ": ("sr", f"{_MEASURED}.FloatingPointValue", 7.5e6),
    "coordinates off the image": ("sr", "SCOORD.GraphicData", [900.0, 5.0, 901.0, 9.0, 900.0, 5.0]),
    "coordinates on no image": ("sr", "SCOORD.ContentSequence", DELETED),
    "segment that is not there": ("sr", "SEGMENT.ReferencedSOPSequence.0.ReferencedSegmentNumber", 8),
    "image of another class": (
        "sr",
        "IMAGE.ReferencedSOPSequence.0.ReferencedSOPClassUID",
        "1.2.840.10008.5.1.4.1.1.128",
    ),
    "code without meaning": ("sr", "CODE.ConceptCodeSequence.0.CodeMeaning", DELETED),
    "text without words": ("sr", "TEXT.TextValue", ""),
    "empty series of evidence": ("sr", f"{_EVIDENCE}.0.ReferencedSOPSequence", []),
    "no observer": ("sr", "ContentSequence", lambda held: held[2:]),
    "other birth date": ("sc", "PatientBirthDate", "19000101"),
    "other study": ("sc", "StudyInstanceUID", ELSEWHERE),
    "no maker": ("sc", "Manufacturer", "Somebody"),
    "not marked as AI": ("sc", "ImageComments", "lungs"),
    "high bit": ("sc", "HighBit", 15),
    "burned-in text unsaid": ("sc", "BurnedInAnnotation", DELETED),
    "malformed UID": ("sc", "SeriesInstanceUID", "2.25.007"),
    "class that no result has": ("sc", "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
}
WROUGHT: dict[str, Callable[[Objects], None]] = {
    # what a viewer shows as if it were right
    "frames reversed": frames_reversed,
    "shifted 15 mm": moved(15, 0, 0),
    "moved two slices": moved(0.29695588, -0.81587960, 4.92403876),
    "moved half a pixel": moved(0.35, 0.13, 0),
    "no source references": without_sources,
    "references to unknown images": lambda objects: in_every_frame(
        objects, "DerivationImageSequence.0.SourceImageSequence.0.ReferencedSOPInstanceUID", ELSEWHERE
    ),
    "outline on another slice": another_slice,
}
