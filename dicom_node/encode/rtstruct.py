"""RT Structure Set (PS3.3 A.19): masks as contours, for destinations that take no segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import RTStructureSetStorage

from dicom_node.encode.common import content_time, dicom_date, dicom_time, mark, new_object, reference
from dicom_node.encode.context import EncodeContext, EncodedObject, instances
from dicom_node.encode.explicit import element, raw_sequence, text_element, uid_element
from dicom_node.encode.explicit import item as encoded_item
from dicom_node.encode.outlines import outlines, simplified, without_collinear
from dicom_node.encode.segments import color_of, tracking_id_of
from dicom_node.encode.uids import tracking_uid
from dicom_node.findings import Segmentation
from dicom_node.geometry import Volume

_LONGEST = 65534
"""Bytes of a value of VR DS in explicit VR (PS3.5 7.1.2)."""
_STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management SOP Class, which the study's reference must name (PS3.3 C.8.8.5)."""


def structure_set(finding: Segmentation, context: EncodeContext, index: int = 0) -> EncodedObject:
    """Makes a structure set: one region for each segment, closed contours on the source's slices.

    A hole is a contour of its own within another one.

    Args:
        finding: masks on a volume whose slices are source images.
        context: the job.
        index: which segmentation of the job, from 0.
    """
    volume, headers = context.volumes[finding.role], context.sources[finding.role]
    ds = new_object(
        context, RTStructureSetStorage, "rtstruct", "RTSTRUCT", f"{context.title} (AI contours)", index
    )
    ds.OperatorsName = None
    ds.StructureSetLabel = "AI"
    ds.StructureSetDescription = mark(context)
    ds.StructureSetDate = dicom_date(content_time(context))
    ds.StructureSetTime = dicom_time(content_time(context))
    ds.ApprovalStatus = "UNAPPROVED"
    ds.FrameOfReferenceUID = volume.frame_of_reference_uid
    ds.PositionReferenceIndicator = headers[0].get("PositionReferenceIndicator")
    ds.ReferencedFrameOfReferenceSequence = [_frame_of_reference(volume, headers)]
    ds.StructureSetROISequence = [
        _region(number, finding, volume, context) for number in range(1, len(finding.segments) + 1)
    ]
    by_uid = instances(context)
    ds.ROIContourSequence = [
        _contours(number, finding, volume, by_uid) for number in range(1, len(finding.segments) + 1)
    ]
    ds.RTROIObservationsSequence = [_observation(number) for number in range(1, len(finding.segments) + 1)]
    return EncodedObject("rtstruct", ds, str(ds.SeriesDescription), index)


def _frame_of_reference(volume: Volume, headers: Sequence[Dataset]) -> Dataset:
    """The images that contours may lie on, by study and series (PS3.3 C.8.8.5)."""
    series = Dataset()
    series.SeriesInstanceUID = headers[0].SeriesInstanceUID
    series.ContourImageSequence = [reference(header) for header in headers]
    study = Dataset()
    study.ReferencedSOPClassUID = _STUDY_COMPONENT
    study.ReferencedSOPInstanceUID = headers[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    item = Dataset()
    item.FrameOfReferenceUID = volume.frame_of_reference_uid
    item.RTReferencedStudySequence = [study]
    return item


def _region(number: int, finding: Segmentation, volume: Volume, context: EncodeContext) -> Dataset:
    segment = finding.segments[number - 1]
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = volume.frame_of_reference_uid
    item.ROIName = segment.label[:64]
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    item.ROIGenerationDescription = f"{context.algorithm.name} {context.algorithm.version}"[:64]
    item.TrackingID = tracking_id_of(segment, context)
    item.TrackingUID = tracking_uid(context, item.TrackingID)
    return item


def _observation(number: int) -> Dataset:
    item = Dataset()
    item.ObservationNumber = number
    item.ReferencedROINumber = number
    item.RTROIInterpretedType = None
    item.ROIInterpreter = None
    return item


def _contours(number: int, finding: Segmentation, volume: Volume, by_uid: Mapping[str, Dataset]) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = list(color_of(finding.segments[number - 1], number))
    item.ReferencedROINumber = number
    contours = [_contour(points, volume, k, by_uid) for k, points in _lines(number, finding)]
    item["ContourSequence"] = raw_sequence("ContourSequence", contours)
    return item


def _lines(number: int, finding: Segmentation) -> Iterator[tuple[int, NDArray[np.float64]]]:
    box = finding.boxes[number - 1]
    for k in range(box[0].start, box[0].stop) if box else ():
        for line in outlines(finding.section(number, k)):
            yield k, without_collinear(line)


def _contour(points: NDArray[np.float64], volume: Volume, k: int, by_uid: Mapping[str, Dataset]) -> bytes:
    """One closed contour in patient coordinates, its first point not repeated (PS3.3 C.8.8.6.3)."""
    number, data = _coordinates(points, volume, k)
    image = b""
    if volume.frames:
        source = by_uid[volume.frames[k].sop_instance_uid]
        image = uid_element("ReferencedSOPClassUID", str(source.SOPClassUID))
        image += uid_element("ReferencedSOPInstanceUID", str(source.SOPInstanceUID))
        if volume.frames[k].number is not None:
            image += text_element("ReferencedFrameNumber", str(volume.frames[k].number))
        image = element("ContourImageSequence", encoded_item(image))
    kind = text_element("ContourGeometricType", "CLOSED_PLANAR")
    return encoded_item(
        image + kind + text_element("NumberOfContourPoints", str(number)) + text_element("ContourData", data)
    )


def _coordinates(points: NDArray[np.float64], volume: Volume, k: int) -> tuple[int, str]:
    """Number of points and their x, y, z, thinned out where they would be longer than the VR may be."""
    tolerance = 0.25
    while True:
        columns, rows = points[:-1, 0] - 0.5, points[:-1, 1] - 0.5
        places = volume.grid.to_patient(np.stack([np.full(len(rows), float(k)), rows, columns], axis=-1))
        data = "\\".join(f"{value:.3f}" for value in places.ravel().tolist())
        if len(data) <= _LONGEST:
            return len(places), data
        points, tolerance = simplified(points, tolerance), tolerance * 2
