"""Whose result it is: patient, study, frame of reference and series, against the source."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from dicom_node.encode.context import EncodeContext

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
)


def identity_faults(ds: Dataset, context: EncodeContext) -> Iterator[str]:
    """Faults of identity, by keyword; values are never told, since they are the patient's."""
    source = context.principal
    for keyword in _SAME:
        if str(ds.get(keyword) or "") != str(source.get(keyword) or ""):
            yield f"{keyword} differs from the source's"
    series = {str(header.SeriesInstanceUID) for headers in context.sources.values() for header in headers}
    if str(ds.get("SeriesInstanceUID")) in series:
        yield "SeriesInstanceUID is that of a source series"
    frames = {str(volume.frame_of_reference_uid) for volume in context.volumes.values()}
    if "FrameOfReferenceUID" in ds and str(ds.FrameOfReferenceUID) not in frames:
        yield "FrameOfReferenceUID is none of the source's"
