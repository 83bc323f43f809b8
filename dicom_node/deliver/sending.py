"""The door of delivery: a batch to one destination, in the way that the destination is reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dicom_node.config.models import DestinationConfig
from dicom_node.deliver import dimse, stow
from dicom_node.records import Delivery, DeliveryOutcome


def send(
    deliveries: Sequence[Delivery],
    destination: DestinationConfig,
    node_ae_title: str,
    open_path: Callable[[str], Path],
    settled: Callable[[DeliveryOutcome], None] = lambda _outcome: None,
) -> list[DeliveryOutcome]:
    """Sends objects by C-STORE, or by STOW-RS where the destination has a url. Raises nothing.

    Args:
        deliveries: what to send, all owed to this destination.
        destination: whom to send it to.
        node_ae_title: the calling AE title.
        open_path: gives the file of a delivery's `path`.
        settled: called with each outcome as soon as it is known.

    Returns:
        One outcome for each delivery, in the order given.
    """
    if destination.url is not None:
        return stow.send(deliveries, destination, open_path, settled)
    return dimse.send(deliveries, destination, node_ae_title, open_path, settled)
