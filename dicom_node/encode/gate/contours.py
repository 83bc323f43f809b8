"""Contours of structure sets: whole points, on the plane of the image they name, where it was found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_node.encode.context import EncodeContext
from dicom_node.encode.gate.frames import raw_items
from dicom_node.findings import Segmentation
from dicom_node.geometry import Volume

_TOLERANCE = 0.05
"""Slices by which a contour may miss the plane of its image."""


def contour_faults(ds: Dataset, finding: Segmentation | None, context: EncodeContext) -> Iterator[str]:
    """Faults of a structure set's regions and contours."""
    regions = {int(item.ROINumber) for item in ds.get("StructureSetROISequence") or ()}
    drawn = {int(item.ReferencedROINumber) for item in ds.get("ROIContourSequence") or ()}
    observed = {int(item.ReferencedROINumber) for item in ds.get("RTROIObservationsSequence") or ()}
    if not regions or drawn != regions or observed != regions:
        yield "regions, contours and observations aren't of the same numbers"
    volume = next(
        (
            one
            for one in context.volumes.values()
            if one.frame_of_reference_uid == ds.get("FrameOfReferenceUID")
        ),
        None,
    )
    if volume is None:
        yield "FrameOfReferenceUID is of no volume that was analysed"
        return
    for item in ds.get("ROIContourSequence") or ():
        shown = set()
        for points, uid in _contours(item):
            fault, k = _one(points, uid, volume)
            if fault:
                yield fault
            shown.add(k)
        if finding is not None:
            mask = finding.mask(int(item.ReferencedROINumber))
            if shown != {int(k) for k in np.flatnonzero(mask.any(axis=(1, 2)))}:
                yield "a region's contours aren't on the slices where it was found"


def _one(
    points: NDArray[np.float64] | None, uid: str | None, volume: Volume
) -> tuple[str | None, int | None]:
    if points is None:
        return "a contour without whole points", None
    slices = volume.grid.to_index(points)[:, 0]
    k = int(np.rint(slices.mean()))
    if np.abs(slices - k).max() > _TOLERANCE or not 0 <= k < volume.grid.shape[0]:
        return "a contour that lies on no slice of the source", None
    if volume.frames and uid != volume.frames[k].sop_instance_uid:
        return "a contour that names another image than the one it lies on", k
    return None, k


def _contours(region: Dataset) -> Iterator[tuple[NDArray[np.float64] | None, str | None]]:
    """Points, (n, 3), and the referenced image's UID of each contour."""
    for item in raw_items(region, "ContourSequence"):
        values = [float(value) for value in item.get("ContourData") or ()]
        image = (item.get("ContourImageSequence") or [Dataset()])[0]
        whole = len(values) % 3 == 0 and len(values) == 3 * int(item.get("NumberOfContourPoints") or 0)
        points = np.array(values, dtype=np.float64).reshape(-1, 3) if whole and values else None
        yield points, str(image.get("ReferencedSOPInstanceUID"))
