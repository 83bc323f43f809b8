"""The outcome of a storage commitment (PS3.4 J.3.3): what is held, told on the same or a new association."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import structlog
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, build_role
from pynetdicom.dimse_messages import N_EVENT_REPORT_RQ
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import StorageCommitmentPushModelInstance

from dicom_node.config.models import PeerConfig
from dicom_node.receive.messages import send_message
from dicom_node.receive.negotiation import COMMITMENT
from dicom_node.receive.status import Status
from dicom_node.spool import Spool

if TYPE_CHECKING:
    from dicom_node.receive.command import Command
    from dicom_node.receive.exchange import Exchange

log = structlog.get_logger()
_ALL_HELD, _SOME_FAILED = 1, 2
"""Event Type IDs (PS3.4 J.3.3.1)."""
_DELAYS = (0.0, 2.0, 15.0, 60.0)
"""Seconds before each attempt to call a sender back."""
_TIMEOUT = 30.0


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
    def of(cls, transaction_uid: str, references: Sequence[tuple[str, str]], spool: Spool) -> Report:
        """Looks for (SOP class, SOP instance) pairs in the spool."""
        classes = spool.held({instance for _class, instance in references})
        held, failed = [], []
        for sop_class, instance in references:
            if instance not in classes:
                failed.append((sop_class, instance, Status.NO_SUCH_SOP_INSTANCE))
            elif classes[instance] != sop_class:
                failed.append((sop_class, instance, Status.CLASS_INSTANCE_CONFLICT))
            else:
                held.append((sop_class, instance))
        return cls(transaction_uid, tuple(held), tuple(failed))

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
        self._owed: dict[int, Report] = {}

    def send(self, report: Report, context_id: int) -> None:
        """Sends an outcome on this association; it stays owed until it is answered."""
        message_id = len(self._owed) + 1
        self._owed[message_id] = report
        syntax = UID(self._exchange.context(context_id).transfer_syntax)
        primitive = N_EVENT_REPORT()
        primitive.MessageID = message_id
        primitive.AffectedSOPClassUID = UID(COMMITMENT)
        primitive.AffectedSOPInstanceUID = StorageCommitmentPushModelInstance
        primitive.EventTypeID = report.event_type
        raw = encode(report.data_set(), syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
        primitive.EventInformation = BytesIO(raw or b"")
        message = N_EVENT_REPORT_RQ()
        message.primitive_to_message(primitive)
        send_message(self._exchange, message, context_id)

    def answered(self, response: Command) -> None:
        """The peer answered; one that fails may expect the report on an association of ours."""
        if response.status == Status.SUCCESS:
            self._owed.pop(response.message_id, None)

    def association_ended(self) -> None:
        """What wasn't answered is told on an association of our own, where the peer can be called."""
        owed, self._owed = list(self._owed.values()), {}
        peer = self._exchange.peer
        if owed and peer is not None and peer.host is not None and peer.port is not None:
            title = self._exchange.reception.node.ae_title
            threading.Thread(
                target=call_back, args=(title, peer, owed, self._exchange.reception.stopping), daemon=True
            ).start()
        elif owed:
            log.warning(
                "commitment_not_told", calling=self._exchange.request.calling_ae_title, transactions=len(owed)
            )


def call_back(ae_title: str, peer: PeerConfig, owed: Sequence[Report], stopping: threading.Event) -> None:
    """Opens an association as SCP of storage commitment (PS3.4 J.3.3), trying a few times."""
    left = list(owed)
    for delay in _DELAYS:
        if not left or stopping.wait(delay):
            break
        left = _told(ae_title, peer, left)
    log.info("commitment_told", calling=peer.ae_title, told=len(owed) - len(left), untold=len(left))


def _told(ae_title: str, peer: PeerConfig, owed: list[Report]) -> list[Report]:
    """Tells the outcomes; gives those that weren't taken."""
    ae = AE(ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = _TIMEOUT
    ae.add_requested_context(COMMITMENT)
    role = build_role(COMMITMENT, scu_role=False, scp_role=True)
    assoc = ae.associate(peer.host or "", peer.port or 0, ae_title=peer.ae_title, ext_neg=[role])
    if not assoc.is_established:
        return owed
    left = []
    for report in owed:
        status, _reply = assoc.send_n_event_report(
            report.data_set(), report.event_type, COMMITMENT, StorageCommitmentPushModelInstance
        )
        if "Status" not in status:
            left.append(report)
    assoc.release()
    return left


def _reference(sop_class: str, instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
    return item
