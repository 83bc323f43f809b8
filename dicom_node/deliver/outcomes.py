"""How a delivery ended, from a status or an error; and its line in the log."""

from __future__ import annotations

import structlog

from dicom_node.deliver.status import meaning
from dicom_node.errors import NodeError, Transient
from dicom_node.records import Delivery, DeliveryOutcome

log = structlog.get_logger()


def failed(
    delivery: Delivery, error: NodeError, status: int | None = None, *, absent: bool
) -> DeliveryOutcome:
    """The outcome of an attempt that ended with an error; `absent`: see `DeliveryOutcome`."""
    return DeliveryOutcome(delivery.id, str(error), isinstance(error, Transient), status, absent)


def answered(delivery: Delivery, status: int, where: str) -> DeliveryOutcome:
    """The outcome that a storage status stands for; `where` names the peer that answered it."""
    means = meaning(status)
    if means.kind in {"delivered", "warning"}:
        return DeliveryOutcome(delivery.id, status=status)
    text = f"{where} answered {status:04X}: {means.text}"
    return DeliveryOutcome(delivery.id, text, means.kind == "transient", status, absent=True)


def report(delivery: Delivery, outcome: DeliveryOutcome) -> None:
    """Logs how one attempt ended."""
    bound = log.bind(
        sop_instance_uid=delivery.sop_instance_uid, destination=delivery.destination, status=outcome.status
    )
    if outcome.error is not None:
        bound.warning("delivery_failed", error=outcome.error, transient=outcome.transient)
    elif outcome.status:
        bound.warning("delivered_with_warning", meaning=meaning(outcome.status).text)
    else:
        bound.info("delivered")
