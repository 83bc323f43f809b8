"""The door of delivery: a batch to one destination, in the way that the destination is reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dicom_node.config.models import DestinationConfig
from dicom_node.deliver import dimse, stow
from dicom_node.deliver.confirm import confirmed
from dicom_node.deliver.outcomes import report
from dicom_node.records import Delivery, DeliveryOutcome


def send(
    deliveries: Sequence[Delivery],
    destination: DestinationConfig,
    node_ae_title: str,
    open_path: Callable[[str], Path],
    settled: Callable[[DeliveryOutcome], None] = lambda _outcome: None,
) -> list[DeliveryOutcome]:
    """Sends objects by C-STORE, or by STOW-RS where the destination has a url. Raises nothing.

    Where the destination's `confirm` is true, success stands for what it lists afterwards; where it is
    "commitment", for its answer alone: `commitments` are the next step.

    Args:
        deliveries: what to send, all owed to this destination.
        destination: whom to send it to.
        node_ae_title: the calling AE title.
        open_path: gives the file of a delivery's `path`.
        settled: called with each outcome as soon as it is known.

    Returns:
        One outcome for each delivery, in the order given.
    """
    lists = destination.confirm is True
    tell = _nobody if lists else settled
    if destination.url is not None:
        outcomes = stow.send(deliveries, destination, open_path, tell)
    else:
        outcomes = dimse.send(deliveries, destination, node_ae_title, open_path, tell)
    if lists:
        outcomes = confirmed(deliveries, outcomes, destination, node_ae_title, open_path)
        for outcome in outcomes:
            settled(outcome)
    for delivery, outcome in zip(deliveries, outcomes, strict=True):
        report(delivery, outcome)
    return outcomes


def _nobody(_outcome: DeliveryOutcome) -> None:
    """Is told nothing: an outcome that is not confirmed is none yet."""
