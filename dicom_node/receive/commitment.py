"""The outcome of a storage commitment (PS3.4 J.3.3): what is held, told on the association that asked."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom.dimse_messages import N_EVENT_REPORT_RQ
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode

from dicom_node.association.commitment import COMMITMENT, COMMITMENT_INSTANCE
from dicom_node.receive.messages import send_message
from dicom_node.receive.status import Status
from dicom_node.records import StorageCommitment
from dicom_node.spool import Spool

if TYPE_CHECKING:
    from dicom_node.receive.command import Command
    from dicom_node.receive.exchange import Exchange

_ALL_HELD, _SOME_FAILED = 1, 2
"""Event Type IDs (PS3.4 J.3.3.1)."""


@dataclass(frozen=True, slots=True)
class Report:
    """An outcome: of each instance asked for, whether it is held.

    Attributes:
        failed: (SOP class, SOP instance, reason) of those that aren't, or not as this class.
    """

    transaction_uid: str
    held: tuple[tuple[str, str], ...]
    failed: tuple[tuple[str, str, Status], ...]

    @classmethod
    def of(cls, asked: StorageCommitment, spool: Spool) -> Report:
        """Looks in the spool for what is asked for."""
        classes = spool.held(set(asked.sop_instance_uids))
        held, failed = [], []
        for sop_class, instance in zip(asked.sop_class_uids, asked.sop_instance_uids, strict=True):
            if instance not in classes:
                failed.append((sop_class, instance, Status.NO_SUCH_SOP_INSTANCE))
            elif classes[instance] != sop_class:
                failed.append((sop_class, instance, Status.CLASS_INSTANCE_CONFLICT))
            else:
                held.append((sop_class, instance))
        return cls(asked.transaction_uid, tuple(held), tuple(failed))

    @property
    def event_type(self) -> int:
        """Event Type ID."""
        return _SOME_FAILED if self.failed else _ALL_HELD

    def data_set(self) -> Dataset:
        """Event information (PS3.4 table J.3-2)."""
        ds = Dataset()
        ds.TransactionUID = self.transaction_uid
        ds.ReferencedSOPSequence = [_reference(*pair) for pair in self.held]
        if self.failed:
            ds.FailedSOPSequence = []
            for sop_class, instance, reason in self.failed:
                item = _reference(sop_class, instance)
                item.FailureReason = int(reason)
                ds.FailedSOPSequence.append(item)
        if not self.held:
            del ds.ReferencedSOPSequence
        return ds


class Reports:
    """The outcomes owed on one association."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._owed: dict[int, str] = {}

    def send(self, asked: StorageCommitment, name: str, context_id: int) -> None:
        """Sends an outcome on this association; it stays owed until it is answered.

        Args:
            asked: the request.
            name: under which the spool keeps it as owed.
            context_id: of the presentation context.
        """
        report = Report.of(asked, self._exchange.reception.spool)
        message_id = len(self._owed) + 1
        self._owed[message_id] = name
        syntax = UID(self._exchange.context(context_id).transfer_syntax)
        primitive = N_EVENT_REPORT()
        primitive.MessageID = message_id
        primitive.AffectedSOPClassUID = COMMITMENT
        primitive.AffectedSOPInstanceUID = COMMITMENT_INSTANCE
        primitive.EventTypeID = report.event_type
        raw = encode(report.data_set(), syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
        primitive.EventInformation = BytesIO(raw or b"")
        message = N_EVENT_REPORT_RQ()
        message.primitive_to_message(primitive)
        send_message(self._exchange, message, context_id)

    def answered(self, response: Command) -> None:
        """The peer answered; one that fails may expect the report on an association of ours."""
        if response.status == Status.SUCCESS and (name := self._owed.pop(response.message_id, None)):
            self._exchange.reception.spool.owed.settle(name)

    def association_ended(self) -> None:
        """What wasn't answered is told on an association of our own."""
        if self._owed:
            self._exchange.reception.callbacks.owe(list(self._owed.values()))
            self._owed = {}


def _reference(sop_class: str, instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    return item
