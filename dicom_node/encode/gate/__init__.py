"""The gate before the outbox: what an object must be to leave.

Every object is checked as it will be sent: the attributes that its IOD requires, its identity against the
sources, its references, codes and units, its geometry, its content tree, and its pixels against the
findings. Faults are named by keyword and place, never by value, since values are the patient's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydicom import Dataset

from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.gate.codes import code_faults, walk
from dicom_node.encode.gate.contours import contour_faults
from dicom_node.encode.gate.drawing import outline_faults
from dicom_node.encode.gate.frames import frame_groups
from dicom_node.encode.gate.geometry import geometry_faults
from dicom_node.encode.gate.identity import identity_faults, uniqueness_faults
from dicom_node.encode.gate.iod import iod_faults
from dicom_node.encode.gate.others import other_faults
from dicom_node.encode.gate.picture import picture_faults
from dicom_node.encode.gate.predecessors import predecessor_faults
from dicom_node.encode.gate.references import known_instances, reference_faults
from dicom_node.encode.gate.report import report_faults
from dicom_node.encode.gate.segmentation import pixel_faults, segmentation_faults
from dicom_node.errors import GateRefused
from dicom_node.findings import Finding, Segmentation

_OF_MASKS = ("SEG", "RTSTRUCT")


def check(objects: Sequence[EncodedObject], context: EncodeContext, findings: Sequence[Finding] = ()) -> None:
    """Checks every object of a job against its sources, its findings and the standard.

    Args:
        objects: all of one job, so that references between them can be followed.
        context: the job.
        findings: what the objects were made from; with them the pixels of masks are compared too.

    Raises:
        GateRefused: with every fault found.
    """
    known = known_instances(objects, context)
    masks = [finding for finding in findings if isinstance(finding, Segmentation)]
    faults = list(uniqueness_faults(objects))
    for obj in objects:
        mask = masks[obj.index] if masks and obj.ds.get("Modality") in _OF_MASKS else None
        faults += [f"{obj.kind}: {fault}" for fault in _faults(obj.ds, context, known, mask)]
        faults += [f"{obj.kind}: {fault}" for fault in predecessor_faults(obj, context)]
        if obj.ds.get("Modality") == "SR":
            faults += [f"{obj.kind}: {fault}" for fault in outline_faults(obj.ds, findings, context)]
    if faults:
        raise GateRefused("; ".join(dict.fromkeys(faults)))


def _faults(
    ds: Dataset, context: EncodeContext, known: Mapping[str, Dataset], mask: Segmentation | None
) -> Iterator[str]:
    frames, places = frame_groups(ds), walk(ds)
    yield from iod_faults(ds)
    yield from identity_faults(ds, context)
    yield from code_faults(ds, places)
    yield from reference_faults(ds, places, frames, known)
    yield from picture_faults(ds)
    if "SharedFunctionalGroupsSequence" in ds:
        yield from geometry_faults(ds, frames, context)
    if "SegmentSequence" in ds:
        yield from segmentation_faults(ds, frames)
        if mask is not None:
            yield from pixel_faults(ds, frames, mask, context)
    yield from other_faults(ds)
    if ds.get("Modality") == "RTSTRUCT":
        yield from contour_faults(ds, mask, context)
    if ds.get("Modality") == "SR":
        yield from report_faults(ds, known)
