"""Whose result it is, and whose work: patient, study and series against the source, and the makers' names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pydicom import Dataset

from dicom_node.encode.common import mark
from dicom_node.encode.context import (
    EncodeContext,
    EncodedObject,
    instances,
    is_own_result,
    source_series,
)

_SAME = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "StudyDescription",
    "ReferringPhysicianName",
)
_MODALITIES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
    "1.2.840.10008.5.1.4.1.1.66.7": "SEG",
    "1.2.840.10008.5.1.4.1.1.88.33": "SR",
    "1.2.840.10008.5.1.4.1.1.88.34": "SR",
    "1.2.840.10008.5.1.4.1.1.88.59": "KO",
    "1.2.840.10008.5.1.4.1.1.11.1": "PR",
    "1.2.840.10008.5.1.4.1.1.104.1": "DOC",
    "1.2.840.10008.5.1.4.1.1.481.3": "RTSTRUCT",
}
"""Modalities that PS3.3 fixes for a kind of object."""


def identity_faults(ds: Dataset, context: EncodeContext) -> Iterator[str]:
    """Faults of identity, by keyword; values are never told, since they are the patient's."""
    source = context.principal
    for keyword in _SAME:
        if str(ds.get(keyword) or "") != str(source.get(keyword) or ""):
            yield f"{keyword} differs from the source's"
    uids, numbers = source_series(context)
    if str(ds.get("SeriesInstanceUID")) in uids:
        yield "SeriesInstanceUID is that of a source series"
    if ds.get("SeriesNumber") in numbers:
        yield "SeriesNumber is that of a source series"
    if str(ds.get("SOPInstanceUID")) in instances(context):
        yield "SOPInstanceUID is that of a source image"
    frames = {str(volume.frame_of_reference_uid) for volume in context.volumes.values()}
    if "FrameOfReferenceUID" in ds and str(ds.FrameOfReferenceUID) not in frames:
        yield "FrameOfReferenceUID is none of the source's"
    yield from _maker_faults(ds, context)


def _maker_faults(ds: Dataset, context: EncodeContext) -> Iterator[str]:
    """An AI result says that it is one, and who made it."""
    if not is_own_result(ds):
        yield "Manufacturer or ContributingEquipmentSequence doesn't name this software"
    if not ds.get("SeriesDescription"):
        yield "SeriesDescription is empty"
    if not ds.get("SoftwareVersions") or not ds.get("ManufacturerModelName"):
        yield "the algorithm's name or version is missing"
    if not ds.get("ContentDate") or not ds.get("InstanceCreationDate"):
        yield "ContentDate or InstanceCreationDate is missing"
    expected = _MODALITIES.get(str(ds.get("SOPClassUID")))
    if expected and ds.get("Modality") != expected:
        yield f"Modality isn't {expected}"
    meta = ds.file_meta
    if (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) != (
        ds.get("SOPClassUID"),
        ds.get("SOPInstanceUID"),
    ):
        yield "the file meta information is of another object"
    said = [
        str(ds.get(keyword) or "")
        for keyword in (
            "ContentDescription",
            "ImageComments",
            "DocumentTitle",
            "StructureSetDescription",
            "PresentationCreationDate",
        )
    ]
    if any(said[:3]) and not any(mark(context) in words for words in said):
        yield "it doesn't say that it is an unverified AI result"


def uniqueness_faults(objects: Sequence[EncodedObject]) -> Iterator[str]:
    """Two objects under one UID, or two kinds of object in one series."""
    instances = Counter(obj.sop_instance_uid for obj in objects)
    if any(count > 1 for count in instances.values()):
        yield "two objects have the same SOPInstanceUID"
    kinds: dict[str, set[str]] = {}
    for obj in objects:
        kinds.setdefault(obj.series_instance_uid, set()).add(str(obj.ds.get("Modality")))
    if any(len(found) > 1 for found in kinds.values()):
        yield "one series holds objects of several modalities"
