"""What multi-frame results share: planes, dimensions and functional groups, written lean.

A frame is named by its segment's number, or None where it holds no single segment, and its slice k.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache

from pydicom import Dataset

from dicom_node.encode.common import code_item, series_references
from dicom_node.encode.explicit import (
    dataset_bytes,
    element,
    item,
    raw_sequence,
    text_element,
    uid_element,
)
from dicom_node.encode.planes import Plane, Planes
from dicom_node.findings import Code

FrameKey = tuple[int | None, int]
_SEGMENTATION = Code("113076", "DCM", "Segmentation")
_SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")


def set_spatial(ds: Dataset, planes: Planes, source: Dataset, frame_of_reference_uid: str) -> None:
    """Frame of reference (PS3.3 C.7.4.1), pixel measures and orientation, which all frames share."""
    ds.FrameOfReferenceUID = frame_of_reference_uid
    ds.PositionReferenceIndicator = source.get("PositionReferenceIndicator")
    measures = Dataset()
    measures.SliceThickness = planes.slice_thickness
    measures.SpacingBetweenSlices = planes.slice_spacing
    measures.PixelSpacing = list(planes.pixel_spacing)
    orientation = Dataset()
    orientation.ImageOrientationPatient = list(planes.orientation)
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    ds.SharedFunctionalGroupsSequence = [shared]


def set_dimensions(ds: Dataset, dimension_organization_uid: str, *, by_segment: bool) -> None:
    """Multi-frame dimension module (PS3.3 C.7.6.17): by segment where there are any, then by position."""
    organization = Dataset()
    organization.DimensionOrganizationUID = dimension_organization_uid
    ds.DimensionOrganizationSequence = [organization]
    position = _dimension(dimension_organization_uid, 0x00200032, 0x00209113, "Image Position Patient")
    segment = _dimension(dimension_organization_uid, 0x0062000B, 0x0062000A, "Referenced Segment Number")
    ds.DimensionIndexSequence = [segment, position] if by_segment else [position]


def _dimension(organization_uid: str, pointer: int, group: int, label: str) -> Dataset:
    dimension = Dataset()
    dimension.DimensionOrganizationUID = organization_uid
    dimension.DimensionIndexPointer = pointer
    dimension.FunctionalGroupPointer = group
    dimension.DimensionDescriptionLabel = label
    return dimension


def set_frames(ds: Dataset, frames: Sequence[FrameKey], planes: Planes, headers: Sequence[Dataset]) -> None:
    """Number of frames, their functional groups, and the source images that they were made from."""
    ds.NumberOfFrames = len(frames)
    ds["PerFrameFunctionalGroupsSequence"] = raw_sequence(
        "PerFrameFunctionalGroupsSequence", frame_items(frames, planes.planes)
    )
    ds.ReferencedSeriesSequence = planes.references or series_references(headers)


def frame_items(frames: Sequence[FrameKey], planes: Sequence[Plane]) -> list[bytes]:
    """The items of the Per-frame Functional Groups Sequence, in the order of the frames.

    Each is joined from groups in the order of their tags: derivation and position are made once for a
    slice, the segment's identification once for a segment, and only the frame's content for each.
    """
    used = sorted({k for _, k in frames})
    rank = {k: position for position, k in enumerate(used, start=1)}
    derivation = {k: _derivation(planes[k]) for k in used}
    position = {k: _position(planes[k]) for k in used}
    segment = {number: _segment(number) for number in {number for number, _ in frames}}
    return [
        item(derivation[k] + _content(number, rank[k]) + position[k] + segment[number])
        for number, k in frames
    ]


def _derivation(plane: Plane) -> bytes:
    """Derivation image macro (PS3.3 C.7.6.16.2.6)."""
    if plane.source is None or plane.frame is None:
        return b""
    source = (
        uid_element("ReferencedSOPClassUID", str(plane.source.SOPClassUID))
        + uid_element("ReferencedSOPInstanceUID", str(plane.source.SOPInstanceUID))
        + (
            b""
            if plane.frame.number is None
            else text_element("ReferencedFrameNumber", str(plane.frame.number))
        )
        + text_element("SpatialLocationsPreserved", "YES")
        + element("PurposeOfReferenceCodeSequence", item(_code(_SOURCE_IMAGE)))
    )
    derivation = element("SourceImageSequence", item(source))
    derivation += element("DerivationCodeSequence", item(_code(_SEGMENTATION)))
    return element("DerivationImageSequence", item(derivation))


@cache
def _code(code: Code) -> bytes:
    return dataset_bytes(code_item(code))


def _position(plane: Plane) -> bytes:
    position = text_element("ImagePositionPatient", "\\".join(str(value) for value in plane.position))
    return element("PlanePositionSequence", item(position))


def _content(number: int | None, rank: int) -> bytes:
    indices = struct.pack("<I", rank) if number is None else struct.pack("<2I", number, rank)
    return element("FrameContentSequence", item(element("DimensionIndexValues", indices)))


def _segment(number: int | None) -> bytes:
    if number is None:
        return b""
    value = element("ReferencedSegmentNumber", struct.pack("<H", number))
    return element("SegmentIdentificationSequence", item(value))
