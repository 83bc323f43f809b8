"""DIMSE on an established association (PS3.7): fragments to messages, messages to services, answers back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import structlog

from dicom_node.association.operation import Operation
from dicom_node.errors import BadInput, OutOfResources
from dicom_node.receive import command, services
from dicom_node.receive.admission import Admitted, refusal
from dicom_node.receive.command import Command
from dicom_node.receive.commitment import Reports
from dicom_node.receive.negotiation import Agreement, Context, Request
from dicom_node.receive.pdu import COMMAND, LAST, command_pdu
from dicom_node.receive.reception import Reception
from dicom_node.receive.status import Refused, Status
from dicom_node.receive.storing import Storing
from dicom_node.receive.tally import Tally
from dicom_node.records import Association, AssociationOutcome, ReceiverEvent
from dicom_node.spool import Blank, Happened

log = structlog.get_logger()
_LONGEST_COMMAND = 16_384
"""Bytes of a command set; the longest of the standard take one."""


class ProtocolError(BadInput):
    """The peer sent what has no place here; the association is aborted."""


class Sink(Protocol):
    """Takes a message's data set, and answers the message."""

    def write(self, data: memoryview) -> None:
        """Takes a fragment."""

    def finish(self) -> None:
        """The message is whole."""

    def abandon(self) -> None:
        """It will not become whole."""


class Exchange:
    """The messages of one association, in order. For the association's own thread."""

    def __init__(
        self,
        reception: Reception,
        request: Request,
        agreement: Agreement,
        admitted: Admitted,
        address: str,
        send: Callable[[bytes], None],
    ) -> None:
        self.reception, self.request, self.address = reception, request, address
        self.agreement, self.peer = agreement, admitted.peer
        self.association_id = reception.association_id()
        self.send = send
        self.reports = Reports(self)
        self._record = Association(
            id=self.association_id,
            calling_ae_title=request.calling_ae_title,
            called_ae_title=request.called_ae_title,
            address=address,
            started_at=datetime.now(UTC),
        )
        self._recorded = False
        self._tally = Tally()
        self._blank: Blank | None = None
        self._context_id = 0
        self._command = bytearray()
        self._sink: Sink | None = None

    @property
    def in_message(self) -> bool:
        """A message has begun and is not whole yet."""
        return self._sink is not None or bool(self._command)

    def take(self, context_id: int, control: int, data: memoryview) -> None:
        """Takes one presentation data value (PS3.8 E). Raises ProtocolError, Closed."""
        if self.in_message and context_id != self._context_id:
            raise ProtocolError("two messages are interleaved")
        if control & COMMAND:
            self._take_command(context_id, control, data)
        elif self._sink is None:
            raise ProtocolError("a data set without a command")
        else:
            self._sink.write(data)
            if control & LAST:
                sink, self._sink = self._sink, None
                sink.finish()

    def end(self, released: bool) -> None:
        """The association has ended: nothing half-received stays, and the record is closed."""
        if self._sink is not None:
            self._sink.abandon()
            self._sink = None
        if (blank := self.take_blank()) is not None:
            blank.discard()
        self.reception.leave()
        if self._recorded:
            self._close(AssociationOutcome.RELEASED if released else AssociationOutcome.ABORTED)
        self.reports.association_ended()

    def _close(self, outcome: AssociationOutcome) -> None:
        """Closes the record, and says what the association brought."""
        tally, calling = self._tally, self.request.calling_ae_title
        ended = replace(
            self._record,
            ended_at=datetime.now(UTC),
            outcome=outcome,
            instances=tally.taken,
            refused=tally.lacking,
            refused_uids=tally.lacking_uids,
        )
        self.reception.report(ReceiverEvent("closed", association=ended))
        log.info(
            "association_ended",
            calling=calling,
            address=self.address,
            outcome=outcome.value,
            stored=tally.stored,
            duplicates=tally.duplicates,
            conflicts=tally.conflicts,
            refused=tally.lacking,
        )
        if tally.conflicts:
            log.warning(
                "same_uid_other_bytes",
                calling=calling,
                address=self.address,
                images=tally.conflicts,
                conflict=self.reception.config.conflict,
            )

    def record(self) -> None:
        """Writes that the association is open, before the first happening on it.

        One that only verifies (C-ECHO) leaves no trace: load balancers open them all day.
        """
        if not self._recorded:
            self._recorded = True
            self.reception.report(ReceiverEvent("opened", association=self._record))

    def respond(self, request: Command, status: int, comment: str = "") -> None:
        """Answers a request in one send."""
        self.send(command_pdu(self._context_id, command.answer(request, status, comment)))

    def took(self, sop_instance_uid: str, happening: Happened) -> None:
        """An object is held."""
        self._tally.took(sop_instance_uid, happening)

    def refused(self, sop_instance_uid: str, refused: Refused) -> None:
        """An object was not stored; if for want of resources, it is missed, and the administrator is told."""
        if refused.status == Status.OUT_OF_RESOURCES:
            self._tally.refused(sop_instance_uid)
            cure = self.reception.cure(refused.comment)
            self.reception.refuse(refusal(self.request, self.address, refused.comment, cure, of_image=True))

    def context(self, context_id: int) -> Context:
        """An accepted presentation context. Raises ProtocolError."""
        try:
            return self.agreement.contexts[context_id]
        except KeyError:
            raise ProtocolError("a presentation context that was not accepted") from None

    def _take_command(self, context_id: int, control: int, data: memoryview) -> None:
        if self._sink is not None:
            raise ProtocolError("a command within a data set")
        context = self.context(context_id)
        self._context_id = context_id
        if len(self._command) + len(data) > _LONGEST_COMMAND:
            raise ProtocolError("a command set that does not end")
        self._command += data
        if not control & LAST:
            return
        raw, self._command = bytes(self._command), bytearray()
        try:
            self._dispatch(context, command.decode(raw))
        except command.BadCommand as error:
            raise ProtocolError(str(error)) from error

    def _dispatch(self, context: Context, request: Command) -> None:
        if request.operation == Operation.C_STORE:
            self.record()
            self._begin(_Store(self, Storing(self, context, request), request), request)
        elif request.operation == Operation.C_ECHO and not request.has_data_set:
            self.respond(request, Status.SUCCESS)
        elif request.operation != Operation.C_CANCEL:
            self._begin(services.Service(self, context, self._context_id, request), request)

    def _begin(self, sink: Sink, request: Command) -> None:
        if request.has_data_set:
            self._sink = sink
        else:
            sink.finish()

    def prepare(self) -> None:
        """Makes the file of a sender's next object while the sender turns to it.

        To find a free inode takes the file system up to a millisecond. A sender's first object tells
        nothing of a second one.
        """
        if self._tally.taken > 1 and self._blank is None:  # a refused object has not used it up
            with suppress(OutOfResources):
                self._blank = self.reception.spool.open_blank(self.association_id)

    def take_blank(self) -> Blank | None:
        """The file that was made for the next object, if there is one."""
        blank, self._blank = self._blank, None
        return blank


class _Store:
    """A C-STORE as a sink: answers with the status that storing gives."""

    def __init__(self, exchange: Exchange, storing: Storing, request: Command) -> None:
        self._exchange, self._storing, self._request = exchange, storing, request
        self.write = storing.write
        self.abandon = storing.abandon

    def finish(self) -> None:
        """Stores and answers."""
        status, comment = self._storing.finish()
        try:
            self._exchange.respond(self._request, status, comment)
        finally:  # also where the peer has gone
            self._storing.tidy()
        self._exchange.prepare()
