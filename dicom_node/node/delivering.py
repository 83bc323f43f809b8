"""Delivers what is owed to one destination, until nothing is due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from dicom_node.deliver import retry_delay, send
from dicom_node.node.committing import see_to_commitments
from dicom_node.node.site import Site
from dicom_node.records import Delivery, DeliveryOutcome

log = structlog.get_logger()


def deliver_due(site: Site, destination: str) -> None:
    """Sends everything that is due at a destination, and records how each attempt ended.

    Only one call at a time may run for a destination: what stands as being sent is then an attempt that
    this process, or its last life, did not get to settle.
    """
    if cut_off := site.ledger.outbox.recover(destination, datetime.now(UTC)):
        log.warning("delivery_was_cut_off", destination=destination, deliveries=cut_off)
    try:
        see_to_commitments(site, destination)
    except Exception:  # what is owed is sent, whatever becomes of what was
        log.exception("commitments_failed", destination=destination)
    peer = site.config.destinations[destination]
    while deliveries := site.ledger.outbox.begin(destination, datetime.now(UTC)):
        outcomes = send(deliveries, peer, site.config.node.ae_title, site.spool.path)
        _record(site, deliveries, outcomes, promised=peer.confirm == "commitment")
        log.info(
            "delivery_attempted",
            destination=destination,
            delivered=sum(outcome.error is None for outcome in outcomes),
            failed=sum(outcome.error is not None for outcome in outcomes),
        )
        if all(outcome.error is not None for outcome in outcomes):
            return


def _record(
    site: Site, deliveries: Sequence[Delivery], outcomes: Sequence[DeliveryOutcome], *, promised: bool
) -> None:
    """Notes how attempts ended; where a success must be promised too, it has not ended yet."""
    attempts = {delivery.id: delivery.attempt for delivery in deliveries}
    taken = [one.delivery_id for one in outcomes if one.error is None and promised]
    settled = [one for one in outcomes if one.delivery_id not in taken]
    site.ledger.promised.sent(taken, datetime.now(UTC))
    delays = [(one, retry_delay(attempts[one.delivery_id], one)) for one in settled]
    site.ledger.outbox.settle(delays, datetime.now(UTC))
