"""Rejection notes: which results no longer count, for archives that act on it (IHE RAD TF, IOCM, RAD-66).

A rejection note is a Key Object Selection (PS3.3 A.35.4, PS3.16 TID 2010) whose title says why. Of the
profile's four titles, results that a later revision replaces bear (113001, DCM, "Rejected for Quality
Reasons"): they were computed before all images of their series were there. They endanger nobody who reads
them beside their successors, so it is not "for Patient Safety Reasons", which bids an archive to hide them
from everyone; no worklist entry was wrong; and no retention period has run out. So the archive takes them
out of daily use, and who looks into the study's history can still be shown them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydicom import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from dicom_node import __version__
from dicom_node.encode.common import new_object, reference
from dicom_node.encode.content import CONTAINS, container, dcm, text
from dicom_node.encode.context import MANUFACTURER, EncodeContext, EncodedObject
from dicom_node.encode.gate import check
from dicom_node.encode.schemes import declare_schemes
from dicom_node.encode.sr import evidence, listed, observer_items
from dicom_node.findings import Algorithm

KIND = "rejection"
REASON = dcm("113001", "Rejected for Quality Reasons")
_DESCRIPTION = dcm("113012", "Key Object Description")


def rejection_note(
    rejected: Sequence[Dataset],
    revision: int,
    created_at: datetime,
    *,
    reason: str | None = None,
    use: Literal["research", "clinical"] = "research",
    ae_title: str = "DICOMNODE",
    institution: str | None = None,
) -> EncodedObject:
    """Makes the note that takes results of earlier revisions out of use; the same note for the same results.

    Args:
        rejected: headers of the results, all of one study; at least one.
        revision: of the series, whose results take their place.
        created_at: aware; when those were made.
        reason: why that revision has no result, where it has none.
        use: as results say it.
        ae_title: the node's.
        institution: the node's.

    Raises:
        GateRefused: the note isn't fit to leave.
    """
    rejected = sorted(rejected, key=lambda one: str(one.SOPInstanceUID))
    context = EncodeContext(
        sources={"rejected": rejected},
        volumes={},
        algorithm=Algorithm(MANUFACTURER, __version__),
        title="Replaced AI results",
        job_id="",
        revision=revision,
        created_at=created_at.astimezone(),
        use=use,
        ae_title=ae_title,
        institution=institution,
        outputs=frozenset({"ko"}),
    )
    instead = f"has no result: {reason}" if reason else "has others, which replace them"
    ds = _selection(rejected, context, instead)
    note = EncodedObject(KIND, ds, str(ds.SeriesDescription))
    declare_schemes(ds)
    check([note], context)
    return note


def _selection(rejected: Sequence[Dataset], context: EncodeContext, instead: str) -> Dataset:
    uids = "+".join(str(one.SOPInstanceUID) for one in rejected)
    sop_class = KeyObjectSelectionDocumentStorage
    description = f"{context.title} (rejection note)"
    ds = new_object(context, sop_class, "ko", "KO", description, variant=f"{KIND} {uids}")
    del ds.ContributingEquipmentSequence[1:]  # what made the results acquired nothing
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.CurrentRequestedProcedureEvidenceSequence = evidence(listed(rejected))
    words = f"Computed before the series was whole; its revision {context.revision} {instead}"
    content = [*observer_items(context), text(_DESCRIPTION, words), *map(_selected, rejected)]
    root = container(REASON, content, template="2010")
    del root.RelationshipType
    ds.update(root)
    return ds


def _selected(ds: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType = CONTAINS
    item.ValueType = "IMAGE" if ds.get("Rows") else "COMPOSITE"
    item.ReferencedSOPSequence = [reference(ds)]
    return item
