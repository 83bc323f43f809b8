"""The storage service (PS3.4 B): one object from command to status, its bytes straight to the spool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.errors import OutOfResources
from dicom_node.implementation import IMPLEMENTATION_CLASS_UID
from dicom_node.receive.admission import refusal
from dicom_node.receive.command import Command
from dicom_node.receive.negotiation import Context
from dicom_node.receive.reception import LOW
from dicom_node.receive.status import Refused, Status
from dicom_node.records import ReceiverEvent
from dicom_node.spool import Identity, Incoming, Unreadable, encode_head

if TYPE_CHECKING:
    from dicom_node.receive.exchange import Exchange


class Storing:
    """One C-STORE. What goes wrong is remembered until the sender has sent all of it and can be answered."""

    def __init__(self, exchange: Exchange, context: Context, command: Command) -> None:
        self._exchange, self._context, self._command = exchange, context, command
        self._incoming: Incoming | None = None
        self._stored: Incoming | None = None
        self._refused: Refused | None = None
        try:
            self._incoming = self._begin()
        except Refused as refused:
            self._refuse(refused)
        except OutOfResources as error:
            self._refuse(Refused(Status.OUT_OF_RESOURCES, str(error)))

    def write(self, data: memoryview) -> None:
        """Takes a fragment of the data set."""
        if self._incoming is not None:
            try:
                self._incoming.write(data)
            except OutOfResources as error:
                self.abandon()
                self._refuse(Refused(Status.OUT_OF_RESOURCES, str(error)))

    def finish(self) -> tuple[Status, str]:
        """The data set is whole: makes it durable; gives status and comment."""
        if self._incoming is not None:
            try:
                self._store(self._incoming)
            except Refused as refused:
                self._refuse(refused)
            except OutOfResources as error:
                self._refuse(Refused(Status.OUT_OF_RESOURCES, str(error)))
        return (self._refused.status, self._refused.comment) if self._refused else (Status.SUCCESS, "")

    def abandon(self) -> None:
        """The data set will not become whole."""
        if self._incoming is not None:
            self._incoming.abandon()
            self._incoming = None

    def tidy(self) -> None:
        """What can wait until the sender has its answer."""
        if self._stored is not None:
            self._stored.done()

    def _begin(self) -> Incoming:
        command, reception = self._command, self._exchange.reception
        if self._context.service != "store" or command.sop_class_uid != self._context.abstract_syntax:
            raise Refused(Status.SOP_CLASS_NOT_SUPPORTED, "not the SOP class of the presentation context")
        if not command.sop_instance_uid:
            raise Refused(Status.INVALID_SOP_INSTANCE, "no Affected SOP Instance UID")
        if not command.has_data_set:
            raise Refused(Status.CANNOT_UNDERSTAND, "no data set")
        if reception.is_low():
            raise OutOfResources(LOW)
        head = encode_head(
            command.sop_class_uid,
            command.sop_instance_uid,
            self._context.transfer_syntax,
            self._exchange.request.calling_ae_title,
            IMPLEMENTATION_CLASS_UID,
        )
        exchange = self._exchange
        return reception.spool.open_incoming(exchange.association_id, head, exchange.take_blank())

    def _store(self, incoming: Incoming) -> None:
        identity = self._checked(incoming)
        stored = incoming.commit(identity, self._context.transfer_syntax, self._exchange.association_id)
        journal = self._exchange.reception.journal
        journal.append(ReceiverEvent(stored.happening, instance=stored.instance))
        self._exchange.took(self._command.sop_instance_uid, stored.happening)
        self._stored = incoming

    def _checked(self, incoming: Incoming) -> Identity:
        """Who the instance is; what can't be read, or is of another class than it says, is set aside.

        The data set's own UIDs count, as they are what everybody reads in it afterwards: some senders
        take the command's from a stale file meta information. Those that it lacks are the command's.
        """
        command = self._command
        try:
            inside = incoming.identity(self._context.transfer_syntax)
        except Unreadable as error:
            raise self._aside(incoming, Status.CANNOT_UNDERSTAND, str(error)) from error
        if inside.sop_class_uid not in ("", command.sop_class_uid):
            raise self._aside(
                incoming, Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, "another SOP Class UID inside"
            )
        return Identity(
            sop_class_uid=command.sop_class_uid,
            sop_instance_uid=inside.sop_instance_uid or command.sop_instance_uid,
            study_instance_uid=inside.study_instance_uid,
            series_instance_uid=inside.series_instance_uid,
        )

    def _aside(self, incoming: Incoming, status: Status, comment: str) -> Refused:
        """Keeps the bytes for inspection and reports them; gives what to answer."""
        exchange = self._exchange
        path = incoming.set_aside()
        self._incoming = None
        report = refusal(exchange.request, exchange.address, comment, path=path, of_image=True)
        exchange.reception.refuse(report)
        return Refused(status, comment)

    def _refuse(self, refused: Refused) -> None:
        self._refused = refused
        self._exchange.refused(self._command.sop_instance_uid, refused)
