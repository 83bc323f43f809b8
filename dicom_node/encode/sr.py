"""Reports by TID 1500 "Measurement Report" (PS3.16): measurements, their doubts, their segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from dicom_node.encode.common import mark, new_object, reference
from dicom_node.encode.content import (
    CONCEPT_MODIFIER,
    OBSERVATION_CONTEXT,
    coded,
    container,
    dcm,
    text,
    uid_reference,
)
from dicom_node.encode.context import MANUFACTURER, EncodeContext, EncodedObject, once
from dicom_node.encode.evaluations import draft_items, evaluation_groups
from dicom_node.encode.groups import image_library, measurement_groups
from dicom_node.encode.part10 import file_meta
from dicom_node.encode.uids import result_uid, uid
from dicom_node.encode.wording import DOUBTFUL
from dicom_node.findings import Code, Finding

_ENGLISH = Code("en-US", "RFC5646", "English (United States)")
_QUALITATIVE = Code("C0034375", "UMLS", "Qualitative Evaluations")
_COMMENT = dcm("121106", "Comment")
_PROCEDURES = {
    "CT": Code("25045-6", "LN", "CT unspecified body region"),
    "MR": Code("25056-3", "LN", "MRI unspecified body region"),
    "PT": Code("44139-4", "LN", "PET unspecified body region"),
    "NM": Code("49118-3", "LN", "NM unspecified body region"),
    "CR": Code("43468-8", "LN", "XR unspecified body region"),
    "DX": Code("43468-8", "LN", "XR unspecified body region"),
}
_IMAGING = Code("363679005", "SCT", "Imaging procedure")


def report(
    findings: Sequence[Finding], segmentations: Mapping[int, Dataset], context: EncodeContext
) -> EncodedObject:
    """Makes the report of a job's findings.

    Args:
        findings: all of the job.
        segmentations: the objects that were made of the masks among them, by their order; a mask
            without one is reported without a reference.
        context: the job.
    """
    groups = [*measurement_groups(findings, segmentations, context), *evaluation_groups(findings, context)]
    remarks = [*_remarks([DOUBTFUL] if context.doubtful else []), *draft_items(findings)]
    if not groups:  # every group says who made it; where there is none, a remark does
        remarks += _remarks([_maker(context)])
    return _document(context, "sr", groups, remarks, list(segmentations.values()))


def comprehensive_report(
    findings: Sequence[Finding], segmentations: Mapping[int, Dataset], context: EncodeContext
) -> EncodedObject:
    """Makes the same report as a Comprehensive SR, for archives that don't take Comprehensive 3D SR."""
    return _comprehensive(report(findings, segmentations, context).ds, context)


def _comprehensive(made: Dataset, context: EncodeContext) -> EncodedObject:
    made.SOPClassUID = ComprehensiveSRStorage
    made.SOPInstanceUID = result_uid(context, "sr", "comprehensive", str(made.SOPInstanceUID))
    made.SeriesInstanceUID = result_uid(context, "sr", "comprehensive", str(made.SeriesInstanceUID))
    made.file_meta = file_meta(made)
    return EncodedObject("sr-comprehensive", made, str(made.SeriesDescription))


def report_of_no_result(reason: str, context: EncodeContext) -> EncodedObject:
    """Makes the report of a job that has no result, and says why."""
    remarks = _remarks([f"No result: {reason}", *([DOUBTFUL] if context.doubtful else [])])
    return _document(context, "none", [], remarks, [], reason)


def comprehensive_report_of_no_result(reason: str, context: EncodeContext) -> EncodedObject:
    """Makes the same report as a Comprehensive SR."""
    return _comprehensive(report_of_no_result(reason, context).ds, context)


def _maker(context: EncodeContext) -> str:
    """The algorithm with its version and parameters, in words."""
    algorithm = context.algorithm
    parameters = (f"{name}={value}" for name, value in algorithm.parameters)
    return "; ".join([f"Made by {algorithm.name}, version {algorithm.version}", *parameters])


def _remarks(words: Sequence[str]) -> list[Dataset]:
    return [text(_COMMENT, one) for one in words]


def _document(
    context: EncodeContext,
    identity: str,
    groups: Sequence[Dataset],
    remarks: Sequence[Dataset],
    segmentations: Sequence[Dataset],
    reason: str = "",
) -> EncodedObject:
    """The document: its general module (PS3.3 C.17.2) and the tree of its content.

    What it refers to, or why there is nothing, is part of its identity: another content is another object.
    """
    description = f"{context.title}: no result (AI report)" if reason else f"{context.title} (AI report)"
    variant = reason or "+".join(str(one.SOPInstanceUID) for one in segmentations)
    ds = new_object(context, Comprehensive3DSRStorage, identity, "SR", description, variant=variant)
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    ds.PreliminaryFlag = "PRELIMINARY"
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.PerformedProcedureCodeSequence = []
    ds.CurrentRequestedProcedureEvidenceSequence = evidence(
        [*listed_sources(context), *listed(segmentations)]
    )
    body = [image_library(context)]
    if groups:
        body.append(container(dcm("126010", "Imaging Measurements"), groups))
    body.append(container(_QUALITATIVE, [text(_COMMENT, mark(context)), *remarks]))
    root = container(
        dcm("126000", "Imaging Measurement Report"), [*_context_items(context), *body], template="1500"
    )
    del root.RelationshipType
    ds.update(root)
    return EncodedObject("sr", ds, str(ds.SeriesDescription))


def _context_items(context: EncodeContext) -> list[Dataset]:
    """Language, observer, and the procedure that the images come from."""
    procedure = _PROCEDURES.get(str(context.principal.get("Modality", "")), _IMAGING)
    return [
        coded(dcm("121049", "Language of Content Item and Descendants"), _ENGLISH, CONCEPT_MODIFIER),
        *observer_items(context),
        coded(dcm("121058", "Procedure reported"), procedure, CONCEPT_MODIFIER),
    ]


def observer_items(context: EncodeContext) -> list[Dataset]:
    """The observing device: this node with this algorithm (TID 1004)."""
    algorithm = context.algorithm
    device = uid("device", context.ae_title, algorithm.name, algorithm.version)
    return [
        coded(dcm("121005", "Observer Type"), dcm("121007", "Device"), OBSERVATION_CONTEXT),
        uid_reference(dcm("121012", "Device Observer UID"), device, OBSERVATION_CONTEXT),
        text(dcm("121013", "Device Observer Name"), context.ae_title, OBSERVATION_CONTEXT),
        text(dcm("121014", "Device Observer Manufacturer"), MANUFACTURER, OBSERVATION_CONTEXT),
        text(dcm("121015", "Device Observer Model Name"), algorithm.name, OBSERVATION_CONTEXT),
        text(dcm("121016", "Device Observer Serial Number"), context.ae_title, OBSERVATION_CONTEXT),
    ]


class Listed(NamedTuple):
    """An instance that a document rests on: where it is, and the item that refers to it."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    item: Dataset


def listed(instances: Iterable[Dataset]) -> list[Listed]:
    """Instances as evidence lists them."""
    return [
        Listed(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID), reference(ds))
        for ds in instances
    ]


@once
def listed_sources(context: EncodeContext) -> list[Listed]:
    """All sources as evidence lists them."""
    return listed(ds for headers in context.sources.values() for ds in headers)


def evidence(instances: Iterable[Listed]) -> list[Dataset]:
    """Items by study and series of every instance that a document rests on (PS3.3 C.17.2.3)."""
    studies: dict[str, dict[str, dict[str, Dataset]]] = {}
    for one in instances:
        series = studies.setdefault(one.study_instance_uid, {}).setdefault(one.series_instance_uid, {})
        series[one.sop_instance_uid] = one.item
    items = []
    for study_instance_uid, by_series in studies.items():
        study = Dataset()
        study.StudyInstanceUID = study_instance_uid
        study.ReferencedSeriesSequence = [
            _series(uid_, list(refs.values())) for uid_, refs in by_series.items()
        ]
        items.append(study)
    return items


def _series(series_instance_uid: str, references: list[Dataset]) -> Dataset:
    series = Dataset()
    series.ReferencedSOPSequence = references
    series.SeriesInstanceUID = series_instance_uid
    return series
