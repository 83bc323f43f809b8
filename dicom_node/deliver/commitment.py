"""Storage commitment as SCU (PS3.4 J): a destination is asked to take responsibility for what it was sent.

It answers when it likes: at once on the association that asked, or later on one that it opens to our
receiver. The first is listened for here, once for all requests; the second is the receiver's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom import Dataset
from pynetdicom.presentation import build_context

from dicom_node.association import Association, Message, associate, name_of
from dicom_node.association.commitment import COMMITMENT, COMMITMENT_INSTANCE, REQUEST, outcome_of
from dicom_node.association.operation import RESPONSE, Operation
from dicom_node.association.peer import intelligible
from dicom_node.config.models import DestinationConfig
from dicom_node.errors import BadInput, PeerRefused, PeerUnavailable
from dicom_node.records import CommitmentOutcome, Delivery, DeliveryOutcome

LINGER = 3.0
"""Seconds for which the association stays open for an answer that comes on it."""
_LOOK = 0.2
"""Seconds between looks for an answer that came otherwise."""
_MAY_PASS = {0x0110, 0x0210, 0x0213}
"""Statuses of an N-ACTION that say "later": processing failure, duplicate invocation, resources."""
_NO_SUCH_TRANSACTION = 0x0115
"""Invalid argument value (PS3.7 C.5.10)."""
_REASONS = {
    0x0110: "processing failure",
    0x0112: "it does not hold it",
    0x0119: "it holds something else under its UID",
    0x0122: "it takes no responsibility for objects of its kind",
    0x0131: "it was asked under the same transaction before",
    0x0213: "it has no room",
}
"""Failure Reason (0008,1197) of an instance (PS3.4 J.3.3.1.1)."""
_FOR_GOOD = {0x0119, 0x0122}

Told = Callable[[CommitmentOutcome], bool]
"""Takes an answer; False where its transaction is not awaited."""


@dataclass(frozen=True, slots=True)
class Asker:
    """An open association on which a destination is asked, request after request."""

    assoc: Association
    told: Told

    def ask(self, deliveries: Sequence[Delivery], transaction_uid: str) -> None:
        """Asks it to take responsibility for what it was sent; answers that come meanwhile are told.

        Args:
            deliveries: what it was sent.
            transaction_uid: names the request in the answer.

        Raises:
            PeerUnavailable: no answer to the request, or one that says later. PeerRefused: it says no.
        """
        assoc, command = self.assoc, Dataset()
        command.CommandField, command.ActionTypeID = Operation.N_ACTION, REQUEST
        command.RequestedSOPClassUID = COMMITMENT
        command.RequestedSOPInstanceUID = COMMITMENT_INSTANCE
        assoc.send(assoc.contexts[0], command, _request(deliveries, transaction_uid))
        while (message := assoc.receive()).command.CommandField != Operation.N_ACTION | RESPONSE:
            _take(assoc, message, self.told)
        if message.status != 0:
            text = f"{name_of(assoc.peer)} answered a storage commitment request with {message.status:04X}"
            raise (PeerUnavailable if message.status in _MAY_PASS else PeerRefused)(text)

    def listen(self, answered: Callable[[], bool]) -> None:
        """Takes what is told on this association, until all is answered in whatever way, or for LINGER.

        Raises:
            PeerUnavailable: the association ended; what was asked stays asked.
        """
        until = time.monotonic() + LINGER
        while not self.assoc.ended and not answered() and time.monotonic() < until:
            if self.assoc.comes(_LOOK):
                _take(self.assoc, self.assoc.receive(), self.told)


@contextmanager
def commitments(destination: DestinationConfig, node_ae_title: str, told: Told) -> Iterator[Asker]:
    """An association for requests of storage commitment.

    Args:
        destination: whom to ask.
        node_ae_title: the calling AE title; where an answer on another association goes.
        told: is given every answer that comes on this association.

    Raises:
        PeerUnavailable: it does not answer. PeerRefused: it doesn't offer storage commitment.
    """
    with associate(destination, node_ae_title, [build_context(COMMITMENT)]) as assoc:
        yield Asker(assoc, told)


def outcomes_of(
    deliveries: Sequence[Delivery], answer: CommitmentOutcome, destination: DestinationConfig
) -> list[DeliveryOutcome]:
    """What an answer means for each delivery; what it doesn't name is not committed."""
    return [_outcome(one, answer, destination) for one in deliveries]


def _outcome(one: Delivery, answer: CommitmentOutcome, destination: DestinationConfig) -> DeliveryOutcome:
    if one.sop_instance_uid in answer.committed:
        return DeliveryOutcome(one.id)
    reason = answer.failed.get(one.sop_instance_uid)
    why = "it does not say why" if reason is None else _REASONS.get(reason, f"reason {reason:04X}")
    text = f"{destination.where} takes no responsibility for it: {why}"
    return DeliveryOutcome(one.id, text, transient=reason not in _FOR_GOOD, status=reason)


def _request(deliveries: Sequence[Delivery], transaction_uid: str) -> Dataset:
    """Action information (PS3.4 table J.3-1)."""
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = []
    for one in deliveries:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class_uid, one.sop_instance_uid
        ds.ReferencedSOPSequence.append(item)
    return ds


def _take(assoc: Association, message: Message, told: Told) -> None:
    """Takes an N-EVENT-REPORT, and answers it. Raises PeerUnavailable, also where it is something else."""
    request, answer = message.command, Dataset()
    if request.CommandField != Operation.N_EVENT_REPORT:
        raise PeerUnavailable(f"{name_of(assoc.peer)} sent something that it was not asked for")
    with intelligible(assoc.peer):
        event = message.data_set()
    try:
        status = 0 if told(outcome_of(event)) else _NO_SUCH_TRANSACTION
    except BadInput:
        status = _NO_SUCH_TRANSACTION
    answer.CommandField = Operation.N_EVENT_REPORT | RESPONSE
    answer.MessageIDBeingRespondedTo, answer.Status = request.MessageID, status
    answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID = COMMITMENT, COMMITMENT_INSTANCE
    if "EventTypeID" in request:
        answer.EventTypeID = request.EventTypeID
    assoc.send(message.context, answer)
