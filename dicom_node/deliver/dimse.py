"""Delivery by C-STORE (PS3.4 annex B): one association for a batch, streamed from the files.

Each object has an outcome of its own. An object on which the association breaks is to be tried again
later; those behind it go on in a new association, so that one bad object blocks no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom.dsutils import split_dataset
from pynetdicom.presentation import PresentationContext

from dicom_node.association import Association, NothingAccepted, associate, name_of
from dicom_node.association.operation import Operation
from dicom_node.config.models import DestinationConfig
from dicom_node.deliver.contexts import Form, batches, chosen_context, sop_class_name
from dicom_node.deliver.outcomes import answered, failed
from dicom_node.errors import BadInput, NodeError, PeerUnavailable, Transient
from dicom_node.records import Delivery, DeliveryOutcome

LOSSES = 3
"""Associations lost in a row after which the rest of a batch waits for its next attempt."""

_MEDIUM = 0
"""Priority (0000,0700)."""


@dataclass(frozen=True, slots=True)
class _Parcel:
    delivery: Delivery
    path: Path
    offset: int
    """Where the data set begins in the file."""
    form: Form


def send(
    deliveries: Sequence[Delivery],
    destination: DestinationConfig,
    node_ae_title: str,
    open_path: Callable[[str], Path],
    settled: Callable[[DeliveryOutcome], None] = lambda _outcome: None,
) -> list[DeliveryOutcome]:
    """Sends objects to one destination and says how each fared, in the order given. Raises nothing.

    Each file goes out untouched where the destination takes its transfer syntax; an uncompressed one is
    rewritten in another uncompressed syntax where it takes only that.

    Args:
        deliveries: what to send, all owed to this destination.
        destination: whom to send it to.
        node_ae_title: the calling AE title.
        open_path: gives the file of a delivery's `path`.
        settled: called with each outcome as soon as it is known.
    """
    outcomes: dict[int, DeliveryOutcome] = {}

    def settle(outcome: DeliveryOutcome) -> None:
        outcomes[outcome.delivery_id] = outcome
        settled(outcome)

    parcels: list[_Parcel] = []
    for delivery in deliveries:
        try:
            parcels.append(_parcel(delivery, open_path(delivery.path)))
        except NodeError as error:
            settle(failed(delivery, error, absent=True))
    for contexts in batches(parcel.form for parcel in parcels):
        proposed = {(cx.abstract_syntax, syntax) for cx in contexts for syntax in cx.transfer_syntax}
        group = [
            parcel for parcel in parcels if parcel.form in proposed and parcel.delivery.id not in outcomes
        ]
        for outcome in _send_group(group, contexts, destination, node_ae_title):
            settle(outcome)
    return [outcomes[delivery.id] for delivery in deliveries]


def _parcel(delivery: Delivery, path: Path) -> _Parcel:
    try:
        meta, offset = split_dataset(path)
        form = Form(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    except FileNotFoundError as error:
        raise BadInput(f"the file {delivery.path} is missing from the spool") from error
    except (InvalidDicomError, AttributeError) as error:
        raise BadInput(f"{delivery.path} has no DICOM file meta information that says what it is") from error
    except OSError as error:
        raise Transient(f"{delivery.path} cannot be read: {error.strerror}") from error
    return _Parcel(delivery, path, offset, form)


def _send_group(
    parcels: Sequence[_Parcel],
    contexts: Sequence[PresentationContext],
    destination: DestinationConfig,
    node_ae_title: str,
) -> Iterator[DeliveryOutcome]:
    """One outcome for each parcel, over as few associations as the peer's health allows."""
    done = losses = 0
    while done < len(parcels) and losses < LOSSES:
        try:
            with associate(destination, node_ae_title, contexts) as assoc:
                for parcel in parcels[done:]:
                    outcome = _store(assoc, parcel, destination)
                    done += 1
                    losses = losses + 1 if assoc.ended else 0
                    yield outcome
                    if assoc.ended:
                        break
        except NothingAccepted:
            yield from (_not_accepted(parcel, destination) for parcel in parcels[done:])
            return
        except NodeError as error:
            yield from (failed(parcel.delivery, error, absent=True) for parcel in parcels[done:])
            return
    lost = Transient(f"{name_of(destination)} broke {losses} associations in a row")
    yield from (failed(parcel.delivery, lost, absent=True) for parcel in parcels[done:])


def _store(assoc: Association, parcel: _Parcel, destination: DestinationConfig) -> DeliveryOutcome:
    delivery = parcel.delivery
    context = chosen_context(parcel.form, assoc.contexts)
    if context is None:
        return _not_accepted(parcel, destination)
    command = Dataset()
    command.CommandField, command.Priority = Operation.C_STORE, _MEDIUM
    command.AffectedSOPClassUID = parcel.form.sop_class_uid
    command.AffectedSOPInstanceUID = delivery.sop_instance_uid
    try:
        with parcel.path.open("rb") as file:
            file.seek(parcel.offset)
            untouched = context.transfer_syntax[0] == parcel.form.transfer_syntax_uid
            answer = assoc.ask(context, command, file if untouched else dcmread(parcel.path))
    except PeerUnavailable as error:  # it may have been about to answer
        return failed(delivery, error, absent=False)
    except NodeError as error:
        return failed(delivery, error, absent=True)
    except OSError as error:
        unread = Transient(f"{delivery.path} cannot be read: {error.strerror}")
        return failed(delivery, unread, absent=True)
    return answered(delivery, answer.status, name_of(destination))


def _not_accepted(parcel: _Parcel, destination: DestinationConfig) -> DeliveryOutcome:
    sop_class, syntax = sop_class_name(parcel.form.sop_class_uid), UID(parcel.form.transfer_syntax_uid).name
    return DeliveryOutcome(
        parcel.delivery.id,
        f"{name_of(destination)} does not accept {sop_class} as {syntax}; "
        "allow it there, or leave this kind out of the destination's `outputs`",
        absent=True,
    )
