"""Binary Segmentation (PS3.3 A.51), written lean: per-frame groups joined from bytes, frames bit-packed."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache

from pydicom import Dataset
from pydicom.uid import SegmentationStorage

from dicom_node.encode.common import (
    code_item,
    mark,
    new_object,
    series_references,
)
from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.explicit import dataset_bytes, element, item, raw_sequence, text_element, uid_element
from dicom_node.encode.masks import Patch, pack, patches
from dicom_node.encode.planes import Plane, Planes, planes_of
from dicom_node.encode.segments import segment_items
from dicom_node.encode.uids import result_uid
from dicom_node.findings import Code, Segmentation

_SEGMENTATION = Code("113076", "DCM", "Segmentation")
_SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")


def segmentation(finding: Segmentation, context: EncodeContext, index: int = 0) -> EncodedObject:
    """Makes a binary segmentation on the source's own planes.

    Args:
        finding: masks on the grid of the volume of its role.
        context: the job.
        index: which segmentation of the job, from 0.
    """
    volume = context.volumes[finding.role]
    headers = context.sources[finding.role]
    planes = planes_of(volume, headers)
    description = f"{context.title}: {finding.title}" if finding.title != "Segmentation" else context.title
    ds = new_object(context, SegmentationStorage, "seg", "SEG", f"{description} (AI SEG)", index)
    found = patches(finding)
    _set_image(ds, finding, context)
    _set_spatial(ds, planes, headers[0], volume.frame_of_reference_uid)
    _set_dimensions(ds, result_uid(context, "seg", index, "dimensions"))
    ds.SegmentSequence = segment_items(finding, context)
    ds.NumberOfFrames = len(found)
    ds["PerFrameFunctionalGroupsSequence"] = raw_sequence(
        "PerFrameFunctionalGroupsSequence", frame_items(found, planes.planes)
    )
    ds.ReferencedSeriesSequence = series_references(
        {str(plane.source.SOPInstanceUID): plane.source for plane in planes.planes if plane.source}.values()
        or headers
    )
    ds.PixelData = pack(found, int(ds.Rows), int(ds.Columns))
    ds["PixelData"].VR = "OB"
    return EncodedObject("seg", ds, str(ds.SeriesDescription))


def _set_image(ds: Dataset, finding: Segmentation, context: EncodeContext) -> None:
    """Image pixel and segmentation image modules (PS3.3 C.7.6.3, C.8.20.2)."""
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.Rows, ds.Columns = finding.array.shape[-2:]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelRepresentation = 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.LossyImageCompression = "00"
    ds.SegmentationType = "BINARY"
    ds.SegmentsOverlap = "NO" if finding.array.ndim == 3 else "UNDEFINED"
    ds.ContentLabel = "AI_SEG"
    ds.ContentDescription = mark(context)
    ds.ContentCreatorName = None


def _set_spatial(ds: Dataset, planes: Planes, source: Dataset, frame_of_reference_uid: str) -> None:
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


def _set_dimensions(ds: Dataset, dimension_organization_uid: str) -> None:
    """Multi-frame dimension module (PS3.3 C.7.6.17): by segment, then by position."""
    organization = Dataset()
    organization.DimensionOrganizationUID = dimension_organization_uid
    ds.DimensionOrganizationSequence = [organization]
    ds.DimensionIndexSequence = [
        _dimension(dimension_organization_uid, 0x0062000B, 0x0062000A, "Referenced Segment Number"),
        _dimension(dimension_organization_uid, 0x00200032, 0x00209113, "Image Position Patient"),
    ]


def _dimension(organization_uid: str, pointer: int, group: int, label: str) -> Dataset:
    dimension = Dataset()
    dimension.DimensionOrganizationUID = organization_uid
    dimension.DimensionIndexPointer = pointer
    dimension.FunctionalGroupPointer = group
    dimension.DimensionDescriptionLabel = label
    return dimension


def frame_items(found: list[Patch], planes: Sequence[Plane]) -> list[bytes]:
    """The items of the Per-frame Functional Groups Sequence, one for each patch.

    Each is joined from four groups in the order of their tags: derivation and position are made once
    for a slice, the segment's identification once for a segment, and only the frame's content for each.
    """
    used = sorted({patch.k for patch in found})
    rank = {k: position for position, k in enumerate(used, start=1)}
    derivation = {k: _derivation(planes[k]) for k in used}
    position = {k: _position(planes[k]) for k in used}
    segment = {number: _segment(number) for number in {patch.number for patch in found}}
    return [
        item(
            derivation[patch.k]
            + _content(patch.number, rank[patch.k])
            + position[patch.k]
            + segment[patch.number]
        )
        for patch in found
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


def _content(number: int, rank: int) -> bytes:
    return element(
        "FrameContentSequence", item(element("DimensionIndexValues", struct.pack("<2I", number, rank)))
    )


def _segment(number: int) -> bytes:
    value = element("ReferencedSegmentNumber", struct.pack("<H", number))
    return element("SegmentIdentificationSequence", item(value))
