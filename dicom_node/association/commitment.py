"""What both sides of a storage commitment share (PS3.4 J): its UIDs, and the reading of its outcome."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.uid import UID

from dicom_node.errors import BadInput
from dicom_node.records import CommitmentOutcome

COMMITMENT = UID("1.2.840.10008.1.20.1")
"""Storage Commitment Push Model SOP Class."""
COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")
"""Its well-known SOP Instance (PS3.4 J.3.5)."""
_UNTOLD = 0x0110
"""Processing failure: what an item without a reason is taken for."""


def outcome_of(event: Dataset) -> CommitmentOutcome:
    """Reads the event information of an N-EVENT-REPORT (PS3.4 table J.3-2).

    Raises:
        BadInput: it has no Transaction UID.
    """
    transaction_uid = str(event.get("TransactionUID") or "")
    if not transaction_uid:
        raise BadInput("a storage commitment without a Transaction UID was reported")
    failed = {_uid(item): int(item.get("FailureReason") or _UNTOLD) for item in _items(event, "Failed")}
    held = (_uid(item) for item in _items(event, "Referenced"))
    return CommitmentOutcome(transaction_uid, tuple(uid for uid in held if uid not in failed), failed)


def _items(event: Dataset, which: str) -> list[Dataset]:
    return list(event.get(f"{which}SOPSequence") or ())


def _uid(item: Dataset) -> str:
    return str(item.get("ReferencedSOPInstanceUID") or "")
