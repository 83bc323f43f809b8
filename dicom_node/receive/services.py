"""Storage commitment (PS3.4 J) and modality performed procedure step (F.7), as pynetdicom's messages."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING

import structlog
from pydicom import Dataset
from pydicom.uid import UID, generate_uid
from pynetdicom.dimse_messages import (
    N_ACTION_RSP,
    N_CREATE_RSP,
    N_EVENT_REPORT_RSP,
    N_SET_RSP,
    DIMSEMessage,
)
from pynetdicom.dimse_primitives import N_ACTION, N_CREATE, N_EVENT_REPORT, N_SET
from pynetdicom.dsutils import decode
from pynetdicom.pdu_primitives import P_DATA

from dicom_node.association.commitment import COMMITMENT, REQUEST, outcome_of
from dicom_node.association.operation import Operation
from dicom_node.errors import BadInput, OutOfResources
from dicom_node.headers import ODD_VALUES
from dicom_node.receive.command import Command
from dicom_node.receive.messages import send_message
from dicom_node.receive.negotiation import MPPS, Context
from dicom_node.receive.pdu import COMMAND, LAST
from dicom_node.receive.status import Refused, Status
from dicom_node.receive.steps import step_of
from dicom_node.records import ReceiverEvent, StorageCommitment

if TYPE_CHECKING:
    from dicom_node.receive.exchange import Exchange

log = structlog.get_logger()
_LARGEST = 32 << 20
"""Bytes of a request's data set: a commitment of a hundred thousand instances."""
_SERVED = (Operation.N_ACTION, Operation.N_CREATE, Operation.N_EVENT_REPORT, Operation.N_SET)
_RESPONSES = {
    N_ACTION: N_ACTION_RSP,
    N_CREATE: N_CREATE_RSP,
    N_EVENT_REPORT: N_EVENT_REPORT_RSP,
    N_SET: N_SET_RSP,
}


class Service:
    """One N-ACTION, N-CREATE, N-EVENT-REPORT or N-SET, or a message that has no place here, as a sink."""

    def __init__(self, exchange: Exchange, context: Context, context_id: int, request: Command) -> None:
        self._exchange, self._context, self._context_id, self._request = (
            exchange,
            context,
            context_id,
            request,
        )
        self._data = BytesIO()

    def write(self, data: memoryview) -> None:
        """Takes a fragment; keeps no more than any honest request needs."""
        if self._data.tell() <= _LARGEST:
            self._data.write(data)

    def abandon(self) -> None:
        """Forgets it."""

    def finish(self) -> None:
        """Serves the request and answers it."""
        if self._request.is_response:
            self._exchange.reports.answered(self._request)
            return
        try:
            self._serve()
        except Refused as refused:
            self._exchange.respond(self._request, refused.status, refused.comment)
        except OutOfResources as error:
            self._exchange.respond(self._request, Status.RESOURCE_LIMITATION, str(error))

    def _serve(self) -> None:
        """Serves the request where its presentation context is for it. Raises Refused, OutOfResources."""
        primitive = self._primitive()
        if isinstance(primitive, N_ACTION) and self._context.abstract_syntax == COMMITMENT:
            self._commit(primitive)
        elif isinstance(primitive, N_EVENT_REPORT) and self._context.abstract_syntax == COMMITMENT:
            self._note_outcome(primitive)
        elif isinstance(primitive, N_CREATE | N_SET) and self._context.abstract_syntax == MPPS:
            self._step(primitive)
        else:
            raise Refused(Status.UNRECOGNIZED_OPERATION, "not served on this presentation context")

    def _primitive(self) -> object:
        """The message as pynetdicom reads it. Raises Refused."""
        if self._request.operation not in _SERVED:
            raise Refused(Status.UNRECOGNIZED_OPERATION, "not served")
        if self._data.tell() > _LARGEST:
            raise Refused(Status.RESOURCE_LIMITATION, "the data set is too large")
        message, fragments = DIMSEMessage(), P_DATA()
        fragments.presentation_data_value_list.extend(
            [
                (self._context_id, bytes((COMMAND | LAST,)) + self._request.raw),
                (self._context_id, bytes((LAST,)) + self._data.getvalue()),
            ]
        )
        try:
            message.decode_msg(fragments)
            return message.message_to_primitive()
        except Exception as error:
            raise Refused(Status.PROCESSING_FAILURE, "the command set can't be read") from error

    def _data_set(self) -> Dataset:
        """The request's data set. Raises Refused."""
        syntax = UID(self._context.transfer_syntax)
        try:
            ds = decode(self._data, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
            ds.walk(lambda *_: None)  # reads every element now, so that its faults show here
        except Exception as error:
            raise Refused(Status.PROCESSING_FAILURE, "the data set can't be read") from error
        return ds

    def _commit(self, request: N_ACTION) -> None:
        """Answers that the request was taken, then reports what is held."""
        exchange, ds = self._exchange, self._data_set()
        if request.ActionTypeID != REQUEST:
            raise Refused(Status.NO_SUCH_ACTION, "no such action")
        transaction_uid = str(ds.get("TransactionUID") or "")
        references = _references(ds)
        if not transaction_uid or not references:
            raise Refused(Status.MISSING_ATTRIBUTE, "Transaction UID or Referenced SOP Sequence is missing")
        exchange.record()
        asked = StorageCommitment(
            at=datetime.now(UTC),
            calling_ae_title=exchange.request.calling_ae_title,
            transaction_uid=transaction_uid,
            sop_instance_uids=tuple(instance for _class, instance in references),
            association_id=exchange.association_id,
            sop_class_uids=tuple(sop_class for sop_class, _instance in references),
        )
        journal = exchange.reception.journal
        name = exchange.reception.spool.owed.keep(journal.owner, asked)
        journal.append(ReceiverEvent("commitment", commitment=asked))
        self._respond(N_ACTION(), request.RequestedSOPInstanceUID)
        exchange.reports.send(asked, name, self._context_id)

    def _note_outcome(self, request: N_EVENT_REPORT) -> None:
        """Takes the outcome of a commitment that we asked for, on an association that the peer opened."""
        try:
            outcome = outcome_of(self._data_set())
        except BadInput as error:
            raise Refused(Status.MISSING_ATTRIBUTE, str(error)) from error
        if not self._exchange.reception.spool.promises.told(outcome):
            raise Refused(Status.INVALID_ARGUMENT_VALUE, "a transaction that is not awaited here")
        response = N_EVENT_REPORT()
        response.EventTypeID = request.EventTypeID
        self._respond(response, request.AffectedSOPInstanceUID)

    def _step(self, request: N_CREATE | N_SET) -> None:
        """Notes how a procedure step stands."""
        exchange, ds = self._exchange, self._data_set()
        creates = isinstance(request, N_CREATE)
        named = (
            request.AffectedSOPInstanceUID
            if isinstance(request, N_CREATE)
            else request.RequestedSOPInstanceUID
        )
        uid = str(named or generate_uid())
        step = step_of(exchange.reception.spool, uid, ds, exchange.request.calling_ae_title, creates)
        exchange.record()
        exchange.reception.journal.append(ReceiverEvent("mpps", step=step))
        self._respond(N_CREATE() if creates else N_SET(), UID(uid))

    def _respond(self, response: N_ACTION | N_CREATE | N_EVENT_REPORT | N_SET, instance: UID | None) -> None:
        response.MessageIDBeingRespondedTo = self._request.message_id
        response.AffectedSOPClassUID = UID(self._context.abstract_syntax)
        response.AffectedSOPInstanceUID = instance
        response.Status = Status.SUCCESS
        message = _RESPONSES[type(response)]()
        message.primitive_to_message(response)
        send_message(self._exchange, message, self._context_id)


def _references(ds: Dataset) -> list[tuple[str, str]]:
    """SOP class and instance of each item of Referenced SOP Sequence. Raises Refused."""
    try:
        return [
            (str(item.get("ReferencedSOPClassUID") or ""), str(item.get("ReferencedSOPInstanceUID") or ""))
            for item in ds.get("ReferencedSOPSequence") or ()
        ]
    except ODD_VALUES as error:
        raise Refused(Status.INVALID_ARGUMENT_VALUE, "Referenced SOP Sequence is no sequence") from error
