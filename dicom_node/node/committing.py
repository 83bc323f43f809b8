"""Has destinations take responsibility for what they were sent: asks, and records what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

import structlog
from pydicom.uid import generate_uid

from dicom_node.deliver import ask_commitment, confirmed, outcomes_of, retry_delay
from dicom_node.errors import NodeError, Transient
from dicom_node.ledger import Unpromised
from dicom_node.node.site import Site
from dicom_node.records import Delivery, DeliveryOutcome

log = structlog.get_logger()
AGAIN = timedelta(seconds=30)
"""After which a destination that could not be asked is asked again."""


def see_to_commitments(site: Site, destination: str) -> None:
    """Records what a destination has answered since, asks for what it was not asked for, gives up waiting.

    A delivery is noted under its transaction before the request goes out: whatever ends this process, an
    answer finds it, or the end of the wait does.
    """
    for one in site.ledger.promised.of(destination):
        if one.transaction_uid is None:
            if one.due <= datetime.now(UTC):
                _ask(site, destination, one.deliveries)
        elif (answer := site.spool.promises.answer(one.transaction_uid)) is not None:
            outcomes = outcomes_of(one.deliveries, answer, site.config.destinations[destination])
            _settle(site, one, outcomes, "it takes responsibility for it")
        elif one.due <= datetime.now(UTC):
            _give_up(site, destination, one, "it did not tell in time whether it takes responsibility")


def _ask(site: Site, destination: str, deliveries: Sequence[Delivery]) -> None:
    """One transaction for each study: some archives take no more."""
    for _study, some in groupby(deliveries, lambda one: one.study_instance_uid):
        _ask_for(site, destination, tuple(some))


def _ask_for(site: Site, destination: str, deliveries: tuple[Delivery, ...]) -> None:
    peer, promises, transaction_uid = (
        site.config.destinations[destination],
        site.spool.promises,
        generate_uid(prefix=None),
    )
    now = datetime.now(UTC)
    asked = Unpromised(transaction_uid, now + timedelta(seconds=peer.commitment_wait), deliveries)
    if peer.confirm != "commitment":  # it was, when these were sent
        _give_up(site, destination, asked, "it is not asked to take responsibility any more")
        return
    site.ledger.promised.asks(deliveries, transaction_uid, asked.due)
    try:
        promises.expect(transaction_uid)
        ask_commitment(
            deliveries,
            peer,
            site.config.node.ae_title,
            transaction_uid,
            promises.told,
            lambda: promises.answer(transaction_uid) is not None,
        )
        log.info("commitment_asked", destination=destination, results=len(deliveries))
    except Transient as fault:
        log.warning("commitment_not_asked", destination=destination, error=str(fault))
        site.ledger.promised.asks(deliveries, None, now + AGAIN)
        promises.settle(transaction_uid)
    except NodeError as fault:
        _give_up(site, destination, asked, str(fault))


def _give_up(site: Site, destination: str, asked: Unpromised, why: str) -> None:
    """What the destination lists decides."""
    log.warning("commitment_given_up", destination=destination, results=len(asked.deliveries), why=why)
    peer, sent = site.config.destinations[destination], [DeliveryOutcome(one.id) for one in asked.deliveries]
    outcomes = confirmed(asked.deliveries, sent, peer, site.config.node.ae_title, site.spool.path)
    _settle(site, asked, outcomes, f"it lists it; {why}")


def _settle(site: Site, asked: Unpromised, outcomes: Sequence[DeliveryOutcome], cause: str) -> None:
    attempts = {one.id: one.attempt for one in asked.deliveries}
    settled = [(one, retry_delay(attempts[one.delivery_id], one)) for one in outcomes]
    site.ledger.promised.settle(settled, cause, datetime.now(UTC))
    if asked.transaction_uid is not None:
        site.spool.promises.settle(asked.transaction_uid)
    failed = [one.error for one in outcomes if one.error is not None]
    log.info(
        "commitment_settled",
        held=len(outcomes) - len(failed),
        failed=len(failed),
        error=next(iter(failed), None),
    )
