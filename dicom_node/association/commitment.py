"""What both sides of a storage commitment share (PS3.4 J): its UIDs, and the reading of its outcome."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.uid import UID

from dicom_node.errors import BadInput
from dicom_node.headers import ODD_VALUES
from dicom_node.records import CommitmentOutcome

COMMITMENT = UID("1.2.840.10008.1.20.1")
"""Storage Commitment Push Model SOP Class."""
COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")
"""Its well-known SOP Instance (PS3.4 J.3.5)."""
REQUEST = 1
"""Action Type ID of a request for it (PS3.4 J.3.2.1)."""
_UNTOLD = 0x0110
"""Processing failure: what an item without a reason is taken for."""


def outcome_of(event: Dataset) -> CommitmentOutcome:
    """Reads the event information of an N-EVENT-REPORT (PS3.4 table J.3-2).

    Raises:
        BadInput: it has no Transaction UID, or something in it isn't what the standard says.
    """
    try:
        transaction_uid = str(event.get("TransactionUID") or "")
        failed = {_uid(item): int(item.get("FailureReason") or _UNTOLD) for item in _items(event, "Failed")}
        held = tuple(uid for item in _items(event, "Referenced") if (uid := _uid(item)) not in failed)
    except ODD_VALUES as error:
        raise BadInput("a storage commitment was reported in an odd way") from error
    if not transaction_uid:
        raise BadInput("a storage commitment without a Transaction UID was reported")
    return CommitmentOutcome(transaction_uid, held, failed)


def _items(event: Dataset, which: str) -> list[Dataset]:
    return list(event.get(f"{which}SOPSequence") or ())


def _uid(item: Dataset) -> str:
    return str(item.get("ReferencedSOPInstanceUID") or "")
