"""Delivers what is owed to one destination, until nothing is due."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from dicom_node.deliver import retry_delay, send
from dicom_node.node.site import Site

log = structlog.get_logger()


def deliver_due(site: Site, destination: str) -> None:
    """Sends everything that is due at a destination, and records how each attempt ended.

    Only one call at a time may run for a destination: what stands as being sent is then an attempt that
    this process, or its last life, did not get to settle.
    """
    if cut_off := site.ledger.outbox.recover(destination, datetime.now(UTC)):
        log.warning("delivery_was_cut_off", destination=destination, deliveries=cut_off)
    peer = site.config.destinations[destination]
    while deliveries := site.ledger.outbox.begin(destination, datetime.now(UTC)):
        attempts = {delivery.id: delivery.attempt for delivery in deliveries}
        outcomes = send(deliveries, peer, site.config.node.ae_title, site.spool.path)
        settled = [(outcome, retry_delay(attempts[outcome.delivery_id], outcome)) for outcome in outcomes]
        site.ledger.outbox.settle(settled, datetime.now(UTC))
        log.info(
            "delivery_attempted",
            destination=destination,
            delivered=sum(outcome.error is None for outcome in outcomes),
            failed=sum(outcome.error is not None for outcome in outcomes),
        )
        if all(outcome.error is not None for outcome in outcomes):
            return
