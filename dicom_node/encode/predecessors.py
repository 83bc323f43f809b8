"""What a result replaces: references to the results that the same question had on an earlier revision.

- Reports and documents: Predecessor Documents Sequence (PS3.3 C.17.2, C.24.2), as replaced reports
  (CID 7009).
- Structure sets: Predecessor Structure Set Sequence (PS3.3 C.8.8.5).
- Images, and segmentations are images: Referenced Image Sequence (PS3.3 C.12.4) as temporal predecessors
  (CID 7201), listed among the referenced series as C.12.2 asks.

Presentation states and key object selections have no attribute for it; rejection notes name them.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence

from dicom_node.encode.common import code_sequence, reference, series_references
from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.findings import Code

_FAMILIES = (
    ("seg", "labelmap", "fractional"),
    ("sr", "sr-comprehensive"),
    ("rtstruct",),
    ("pdf",),
    ("sc",),
    ("key",),
    ("heat",),
    ("pm",),
)
"""Forms of which one may stand in another's place when a series has a new revision."""
_REPLACED = Code("121360", "DCM", "Replaced report")
_BEFORE = Code("121348", "DCM", "Temporal Predecessor")


def predecessors_of(kind: str, context: EncodeContext) -> list[Dataset]:
    """Identity of each earlier result that an object of this kind replaces, in the ledger's order."""
    family = next((forms for forms in _FAMILIES if kind in forms), ())
    return [identity for form, identity in _identities(context) if form in family]


def predecessors(context: EncodeContext) -> list[Dataset]:
    """Identity of each earlier result: class, instance, series and study, as references need them."""
    return [identity for _form, identity in _identities(context)]


def name_predecessors(one: EncodedObject, context: EncodeContext) -> None:
    """Writes into an object what it replaces; nothing on a first revision."""
    older = predecessors_of(one.kind, context)
    if not older:
        return
    if one.kind == "rtstruct":
        one.ds.PredecessorStructureSetSequence = [reference(ds) for ds in older]
    elif one.kind in ("sr", "sr-comprehensive", "pdf"):
        one.ds.PredecessorDocumentsSequence = _documents(older)
    else:
        one.ds.ReferencedImageSequence = [_referring(ds, _BEFORE) for ds in older]
        listed = list(one.ds.get("ReferencedSeriesSequence") or ())
        one.ds.ReferencedSeriesSequence = DicomSequence([*listed, *series_references(older)])


def _identities(context: EncodeContext) -> list[tuple[str, Dataset]]:
    found = []
    for result in context.predecessors:
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = result.sop_class_uid, result.sop_instance_uid
        ds.SeriesInstanceUID = result.series_instance_uid
        ds.StudyInstanceUID = context.principal.StudyInstanceUID
        found.append((result.kind, ds))
    return found


def _documents(older: Sequence[Dataset]) -> list[Dataset]:
    """One item of the study, by series (PS3.3 Table C.17-3)."""
    study = Dataset()
    study.StudyInstanceUID = older[0].StudyInstanceUID
    study.ReferencedSeriesSequence = []
    for ds in older:
        series = Dataset()
        series.SeriesInstanceUID = ds.SeriesInstanceUID
        series.ReferencedSOPSequence = [_referring(ds, _REPLACED)]
        study.ReferencedSeriesSequence.append(series)
    return [study]


def _referring(ds: Dataset, purpose: Code) -> Dataset:
    item = reference(ds)
    item.PurposeOfReferenceCodeSequence = code_sequence(purpose)
    return item
