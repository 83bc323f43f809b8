"""What every result object holds alike: patient, study, series, equipment, provenance, dates.

Patient and study are copied from the source, value by value, so that an archive files the result where
the images are (PS3.3 C.7.1 and C.7.2); series and equipment are the result's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from itertools import groupby

from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_node import __version__
from dicom_node.encode.context import MANUFACTURER, EncodeContext
from dicom_node.encode.part10 import file_meta
from dicom_node.encode.uids import result_uid, series_number
from dicom_node.findings import Code

_REQUIRED_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
"""Type 2: present even where the source holds none (PS3.3 C.7.1.1, C.7.2.1)."""
_COPIED = (
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthTime",
    "OtherPatientIDsSequence",
    "EthnicGroup",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
    "StudyInstanceUID",
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "ProcedureCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
)
"""Copied where the source holds a value."""

RESEARCH = "AI - NOT VERIFIED - RESEARCH USE ONLY"
CLINICAL = "AI - NOT VERIFIED"


def mark(context: EncodeContext) -> str:
    """The words that say what the result is, as the site's configuration allows it to be used."""
    return RESEARCH if context.use == "research" else CLINICAL


def content_time(context: EncodeContext) -> datetime:
    """When the result was made, in the source's time zone where it states one (0008,0201)."""
    offset = str(context.principal.get("TimezoneOffsetFromUTC") or "").strip()
    if len(offset) != 5 or not offset[1:].isdigit():
        return context.created_at
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    return context.created_at.astimezone(
        timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    )


def dicom_date(when: datetime) -> str:
    """VR DA."""
    return when.strftime("%Y%m%d")


def dicom_time(when: datetime) -> str:
    """VR TM, to the second."""
    return when.strftime("%H%M%S")


def code_item(code: Code) -> Dataset:
    """An item of a code sequence (PS3.3 8.8, Code Sequence Macro)."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning
    return item


def code_sequence(code: Code) -> DicomSequence:
    """A code sequence of the one code."""
    return DicomSequence([code_item(code)])


def reference(ds: Dataset) -> Dataset:
    """An item that references an instance (PS3.3 10.8, SOP Instance Reference Macro)."""
    item = Dataset()
    item.ReferencedSOPClassUID = ds.SOPClassUID
    item.ReferencedSOPInstanceUID = ds.SOPInstanceUID
    return item


def series_references(instances: Iterable[Dataset]) -> DicomSequence:
    """Items by series, each with its Referenced SOP Instance Sequence."""
    ordered = sorted(instances, key=lambda ds: (str(ds.SeriesInstanceUID), _order(ds)))
    items = []
    for series_instance_uid, members in groupby(ordered, key=lambda ds: str(ds.SeriesInstanceUID)):
        item = Dataset()
        item.ReferencedInstanceSequence = [reference(ds) for ds in members]
        item.SeriesInstanceUID = series_instance_uid
        items.append(item)
    return DicomSequence(items)


def _order(ds: Dataset) -> tuple[int, str]:
    number = ds.get("InstanceNumber")
    return (int(number) if number is not None else 0, str(ds.SOPInstanceUID))


def new_object(
    context: EncodeContext,
    sop_class_uid: str,
    kind: str,
    modality: str,
    description: str,
    index: int = 0,
    variant: str = "",
) -> Dataset:
    """A data set with the modules that every object shares, in a series of its own.

    Args:
        context: the job.
        sop_class_uid: what it is.
        kind: as `EncodedObject.kind`.
        modality: Modality (0008,0060).
        description: of the series, ending in what it is, such as (AI report).
        index: which object of this kind, from 0.
        variant: what else makes it another object, such as what it refers to.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    _copy_patient_and_study(ds, context.principal)
    ds.SOPClassUID = sop_class_uid
    ds.SOPInstanceUID = result_uid(context, kind, index, "instance", variant)
    ds.SeriesInstanceUID = result_uid(context, kind, index, "series", variant)
    ds.SeriesNumber = series_number(context, kind, index)
    ds.InstanceNumber = 1
    ds.Modality = modality
    ds.SeriesDescription = _told_apart(description, context.revision)
    _set_dates(ds, context)
    _set_equipment(ds, context)
    ds.file_meta = file_meta(ds)
    return ds


def _told_apart(description: str, revision: int) -> str:
    """A description in the 64 characters of VR LO; of a later revision, told from those that it replaces."""
    title, opening, kind = description.rpartition(" (")
    end = f", revision {revision}{opening}{kind}" if revision > 1 else f"{opening}{kind}"
    return (title[: max(0, 64 - len(end))] + end)[:64]


def _copy_patient_and_study(ds: Dataset, source: Dataset) -> None:
    for keyword in _REQUIRED_EMPTY:
        setattr(ds, keyword, deepcopy(source[keyword].value) if keyword in source else None)
    for keyword in _COPIED:
        if keyword in source and source[keyword].value not in (None, "", []):
            setattr(ds, keyword, deepcopy(source[keyword].value))


def _set_dates(ds: Dataset, context: EncodeContext) -> None:
    now = content_time(context)
    for name in ("Series", "Content", "InstanceCreation"):
        setattr(ds, f"{name}Date", dicom_date(now))
        setattr(ds, f"{name}Time", dicom_time(now))
    if "TimezoneOffsetFromUTC" in context.principal and now is not context.created_at:
        ds.TimezoneOffsetFromUTC = now.strftime("%z")


def _set_equipment(ds: Dataset, context: EncodeContext) -> None:
    """General and enhanced equipment (PS3.3 C.7.5.1, C.7.5.2), and what contributed (C.12.1)."""
    algorithm = context.algorithm
    ds.Manufacturer = MANUFACTURER
    ds.ManufacturerModelName = algorithm.name[:64]
    ds.DeviceSerialNumber = context.ae_title
    ds.SoftwareVersions = [algorithm.version[:64], f"{MANUFACTURER} {__version__}"[:64]]
    if context.institution:
        ds.InstitutionName = context.institution[:64]
    ds.ContributingEquipmentSequence = [_processing(context), *_acquisition(context.principal)]


def _processing(context: EncodeContext) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = code_sequence(Code("109102", "DCM", "Processing Equipment"))
    item.Manufacturer = MANUFACTURER
    item.ManufacturerModelName = MANUFACTURER
    item.StationName = context.ae_title
    item.SoftwareVersions = __version__
    item.ContributionDateTime = content_time(context).strftime("%Y%m%d%H%M%S%z")
    item.ContributionDescription = (
        f"{context.algorithm.name} {context.algorithm.version}, revision {context.revision}"
    )
    if context.institution:
        item.InstitutionName = context.institution[:64]
    return item


def _acquisition(source: Dataset) -> list[Dataset]:
    if not source.get("Manufacturer"):
        return []
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = code_sequence(Code("109101", "DCM", "Acquisition Equipment"))
    for keyword in ("Manufacturer", "ManufacturerModelName", "StationName", "DeviceSerialNumber"):
        if source.get(keyword):
            setattr(item, keyword, source[keyword].value)
    return [item]


def set_lossy(ds: Dataset, sources: Iterable[Dataset]) -> None:
    """Says whether any source image was compressed with loss, by how much and how (PS3.3 C.7.6.1.1.5)."""
    stating = (one for one in sources if "LossyImageCompression" in one)
    lossy = next((one for one in stating if str(one.LossyImageCompression or "") == "01"), None)
    ds.LossyImageCompression = "01" if lossy is not None else "00"
    if lossy is not None:
        ds.LossyImageCompressionRatio = lossy.get("LossyImageCompressionRatio") or "1"
        ds.LossyImageCompressionMethod = lossy.get("LossyImageCompressionMethod") or "ISO_10918_1"
