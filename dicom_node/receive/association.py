"""The acceptor's side of the upper layer (PS3.8 9.2): states, events, actions, under time limits.

States 3 and 8 wait for the local user, who answers at once here; 4, 5, 7 and 9 to 12 are the requestor's,
or follow from releasing an association ourselves, which an acceptor never does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

import structlog

from dicom_node.receive.admission import (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    NotAdmitted,
    permission_hint,
    refusal,
)
from dicom_node.receive.exchange import Exchange, ProtocolError
from dicom_node.receive.negotiation import Request, Unintelligible, speaks_dicom, speaks_version
from dicom_node.receive.pdu import (
    HEADER,
    MAX_PDU,
    MAX_REQUEST,
    PDV_HEADER,
    RELEASE_RP,
    SHORTEST,
    AbortReason,
    AbortSource,
    PduType,
    abort,
    reject,
)
from dicom_node.receive.reception import Reception
from dicom_node.receive.transport import Closed, TimedOut, Transport

log = structlog.get_logger()
_FEW = 1024
"""Bytes read at a time of what is passed over, where there is no association."""


class State(Enum):
    """PS3.8 tables 9-1 to 9-5."""

    STA1 = "idle"
    STA2 = "awaiting A-ASSOCIATE-RQ"
    STA6 = "ready for data transfer"
    STA13 = "awaiting the connection's end"


class Event(Enum):
    """PS3.8 table 9-10, those that are no PDU."""

    INVALID_PDU = "unrecognized or invalid PDU"
    CLOSED = "transport connection closed"
    EXPIRED = "time limit expired"


class Acceptor:
    """One connection, from its opening to its end. `run` in a thread of its own."""

    def __init__(self, reception: Reception, transport: Transport, address: str) -> None:
        self.state = State.STA2
        self._reception, self._transport, self._address = reception, transport, address
        self._config = reception.config
        self._exchange: Exchange | None = None
        self._released = False
        self._head = bytearray(SHORTEST)
        self._buffer = bytearray(_FEW)  # one for fragments comes with the association
        self._length = 0
        self._unread: int | None = 0
        """Bytes of the PDU in hand that are still to come; None where its end can't be told."""
        self._deadline = time.monotonic() + self._config.artim_timeout

    def run(self) -> None:
        """Serves the connection; closes it at the end, whatever happens."""
        try:
            while self.state is not State.STA1:
                event = self._next()
                action = TABLE.get((self.state, event)) or TABLE[self.state, Event.INVALID_PDU]
                action(self)
        except Closed:
            pass
        finally:
            self._transport.close()
            if self._exchange is not None:
                self._exchange.end(self._released)

    # events

    def _next(self) -> PduType | Event:
        """Waits for a PDU's first bytes, or for what else ends the wait."""
        try:
            self._transport.fill(memoryview(self._head), self._patience())
        except TimedOut:
            return Event.EXPIRED
        except Closed:
            return Event.CLOSED
        kind, self._length = HEADER.unpack_from(self._head)
        event = _PDU_TYPES.get(kind, Event.INVALID_PDU)
        known = isinstance(event, PduType) and SHORTEST - HEADER.size <= self._length <= MAX_REQUEST
        self._unread = self._length + HEADER.size - SHORTEST if known else None
        return event

    def _patience(self) -> float:
        if self.state is not State.STA6:  # ARTIM runs
            return max(0.001, self._deadline - time.monotonic())
        return self._config.network_timeout if self._exchange_in_message() else self._config.idle_timeout

    def _exchange_in_message(self) -> bool:
        return self._exchange is not None and self._exchange.in_message

    def _rest(self, limit: int) -> bytes:
        """The whole PDU whose first bytes stand in the head. Raises ProtocolError where it is too long."""
        if not SHORTEST - HEADER.size <= self._length <= limit:
            raise ProtocolError(f"a PDU of {self._length} bytes")
        rest = bytearray(self._length + HEADER.size - SHORTEST)
        if rest:
            self._transport.fill(memoryview(rest), self._patience())
        self._unread = 0
        return bytes(self._head + rest)

    # actions (PS3.8 tables 9-6 to 9-9)

    def _ae_6(self) -> None:
        """A request: accepted (AE-7) or rejected (AE-8)."""
        try:
            body = self._rest(MAX_REQUEST)
            request = self._reception.negotiator.read(body)
            answer = self._judge(body, request)
        except (Unintelligible, ProtocolError) as error:
            log.warning("association_unintelligible", address=self._address, error=str(error))
            return self._aa_1()
        except TimedOut:
            return self._aa_2()
        if isinstance(answer, NotAdmitted):
            self._reception.refuse(refusal(request, self._address, answer.reason, answer.hint))
            return self._wait_for_end(reject(*answer.rejection))
        self._exchange, self._buffer = answer, bytearray(MAX_PDU)
        self.state = State.STA6
        self._transport.send(answer.agreement.answer)
        return None

    def _judge(self, body: bytes, request: Request) -> Exchange | NotAdmitted:
        """Whether the association is accepted, and as what."""
        reception = self._reception
        if not speaks_version(body):
            return NotAdmitted(PROTOCOL_VERSION_NOT_SUPPORTED, "it speaks another protocol version")
        if not speaks_dicom(request):
            return NotAdmitted(APPLICATION_CONTEXT_NOT_SUPPORTED, "another application context")
        admitted = reception.admission.admit(request, self._address)
        if isinstance(admitted, NotAdmitted):
            return admitted
        agreement = reception.negotiator.agree(body, admitted.may, admitted.private)
        stores = any(context.service == "store" for context in agreement.contexts.values())
        if (busy := reception.enter(stores)) is not None:
            return busy
        if agreement.refused:
            reception.refuse(refusal(request, self._address, agreement.refused, permission_hint(request)))
        return Exchange(reception, request, agreement, admitted, self._address, self._transport.send)

    def _dt_2(self) -> None:
        """P-DATA: its presentation data values go to the exchange as they come."""
        assert self._exchange is not None  # noqa: S101 - STA6 has one
        try:
            self._take_values(self._exchange)
        except ProtocolError as error:
            log.warning("association_aborted", address=self._address, error=str(error))
            self._aa_8(AbortReason.INVALID_PARAMETER_VALUE)
        except TimedOut:
            self._aa_8(AbortReason.NOT_SPECIFIED)

    def _take_values(self, exchange: Exchange) -> None:
        left, limit = self._length, self._config.network_timeout
        self._unread = None
        if left > MAX_PDU:
            raise ProtocolError(f"a P-DATA-TF of {left} bytes")
        size = int.from_bytes(self._head[HEADER.size :], "big")
        view = memoryview(self._buffer)
        while True:
            left -= 4 + size
            if size < 2 or left < 0:
                raise ProtocolError("presentation data values that don't fit their PDU")
            value = view[:size]
            self._transport.fill(value, limit)
            exchange.take(value[0], value[1], value[2:])
            if not left:
                self._unread = 0
                return
            if left < PDV_HEADER.size:
                raise ProtocolError("bytes after the last presentation data value")
            self._transport.fill(view[:4], limit)
            size = int.from_bytes(view[:4], "big")

    def _ar_2(self) -> None:
        """A-RELEASE-RQ: answered at once (AR-4)."""
        self._released = not self._exchange_in_message()
        self._leave()
        self._wait_for_end(RELEASE_RP)

    def _aa_1(self) -> None:
        """Something else than a request came first."""
        self._wait_for_end(abort(AbortSource.SERVICE_USER))
        self._skip()

    def _aa_2(self) -> None:
        """Closes the connection."""
        self.state = State.STA1

    def _aa_7(self) -> None:
        """Something came while the end was awaited, that has to be answered with an abort."""
        self._transport.send(abort(AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU))
        self._skip()

    def _aa_8(self, reason: AbortReason = AbortReason.UNEXPECTED_PDU) -> None:
        """Aborts an association that is established."""
        self._leave()
        self._wait_for_end(abort(AbortSource.SERVICE_PROVIDER, reason))
        self._skip()

    def _unrecognized(self) -> None:
        self._aa_8(AbortReason.UNRECOGNIZED_PDU)

    def _expired(self) -> None:
        """An idle or slow sender: aborted."""
        log.info("association_timed_out", address=self._address)
        self._aa_8(AbortReason.NOT_SPECIFIED)

    def _skip(self) -> None:
        """Reads the rest of a PDU that is ignored (AA-6).

        After one whose end can't be told, all that comes is passed over until the connection ends.
        """
        view = memoryview(self._buffer)
        try:
            while self._unread is None:
                self._transport.fill(view[:1], self._patience())
            while self._unread:
                part = view[: min(self._unread, len(view))]
                self._transport.fill(part, self._patience())
                self._unread -= len(part)
        except TimedOut:
            self._aa_2()

    def _wait_for_end(self, last: bytes) -> None:
        """Sends the last PDU, starts ARTIM; the peer closes the connection."""
        self.state = State.STA13
        self._deadline = time.monotonic() + self._config.artim_timeout
        self._transport.send(last)

    def _leave(self) -> None:
        """The association is over, though the connection isn't."""
        if self._exchange is not None:
            self._exchange.end(self._released)
            self._exchange = None


Action = Callable[[Acceptor], None]
_PDU_TYPES = {kind.value: kind for kind in PduType}
_A = Acceptor
TABLE: dict[tuple[State, PduType | Event], Action] = {
    (State.STA2, PduType.ASSOCIATE_RQ): _A._ae_6,
    (State.STA2, PduType.ABORT): _A._aa_2,
    (State.STA2, Event.INVALID_PDU): _A._aa_1,
    (State.STA2, Event.CLOSED): _A._aa_2,
    (State.STA2, Event.EXPIRED): _A._aa_2,
    (State.STA6, PduType.P_DATA_TF): _A._dt_2,
    (State.STA6, PduType.RELEASE_RQ): _A._ar_2,
    (State.STA6, PduType.ABORT): _A._aa_2,
    (State.STA6, PduType.ASSOCIATE_RQ): _A._aa_8,
    (State.STA6, PduType.ASSOCIATE_AC): _A._aa_8,
    (State.STA6, PduType.ASSOCIATE_RJ): _A._aa_8,
    (State.STA6, PduType.RELEASE_RP): _A._aa_8,
    (State.STA6, Event.INVALID_PDU): _A._unrecognized,
    (State.STA6, Event.CLOSED): _A._aa_2,
    (State.STA6, Event.EXPIRED): _A._expired,
    (State.STA13, PduType.ASSOCIATE_RQ): _A._aa_7,
    (State.STA13, PduType.ABORT): _A._aa_2,
    (State.STA13, PduType.ASSOCIATE_AC): _A._skip,
    (State.STA13, PduType.ASSOCIATE_RJ): _A._skip,
    (State.STA13, PduType.P_DATA_TF): _A._skip,
    (State.STA13, PduType.RELEASE_RQ): _A._skip,
    (State.STA13, PduType.RELEASE_RP): _A._skip,
    (State.STA13, Event.INVALID_PDU): _A._aa_7,
    (State.STA13, Event.CLOSED): _A._aa_2,
    (State.STA13, Event.EXPIRED): _A._aa_2,
}
"""PS3.8 table 9-10 for an acceptor. What Sta2 doesn't name is answered as an invalid PDU is (AA-1)."""
