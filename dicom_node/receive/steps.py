"""How a modality performed procedure step stands (PS3.4 F.7.2), remembered in the spool across processes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, cast

from pydicom import Dataset

from dicom_node.receive.status import Refused, Status
from dicom_node.records import PerformedStep
from dicom_node.spool import Spool

_STATUSES = ("IN PROGRESS", "COMPLETED", "DISCONTINUED")


def step_of(spool: Spool, uid: str, ds: Dataset, calling_ae_title: str, creates: bool) -> PerformedStep:
    """The step after an N-CREATE or N-SET, kept durably.

    Raises:
        Refused: it is there already, or not there, or final.
        OutOfResources: it can't be kept.
    """
    before = spool.read_step(uid)
    status = str(ds.get("PerformedProcedureStepStatus") or (before.status if before else ""))
    if creates and before is not None:
        raise Refused(Status.DUPLICATE_SOP_INSTANCE, "this step is known")
    if not creates and before is None:
        raise Refused(Status.NO_SUCH_SOP_INSTANCE, "this step is not known")
    if before is not None and before.status != "IN PROGRESS":
        raise Refused(Status.PROCESSING_FAILURE, "Performed Procedure Step Object may no longer be updated")
    if status not in _STATUSES or (creates and status != "IN PROGRESS"):
        raise Refused(Status.INVALID_ATTRIBUTE_VALUE, "Performed Procedure Step Status")
    step = PerformedStep(
        at=datetime.now(UTC),
        calling_ae_title=calling_ae_title,
        mpps_instance_uid=uid,
        status=cast(Literal["IN PROGRESS", "COMPLETED", "DISCONTINUED"], status),
        series=_series(ds) or (before.series if before else {}),
    )
    spool.write_step(step)
    return step


def _series(ds: Dataset) -> dict[str, tuple[str, ...]]:
    """SOP Instance UIDs by series, images and others (PS3.4 table F.7.2-1)."""
    found: dict[str, tuple[str, ...]] = {}
    for series in ds.get("PerformedSeriesSequence") or ():
        uid = str(series.get("SeriesInstanceUID") or "")
        references = [
            *(series.get("ReferencedImageSequence") or ()),
            *(series.get("ReferencedNonImageCompositeSOPInstanceSequence") or ()),
        ]
        instances = tuple(str(item.get("ReferencedSOPInstanceUID") or "") for item in references)
        found[uid] = (*found.get(uid, ()), *instances)
    found.pop("", None)
    return found
