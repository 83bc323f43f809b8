"""Has destinations take responsibility for what they were sent: asks, and records what they answer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import groupby

import structlog
from pydicom.uid import generate_uid

from dicom_node.config.models import DestinationConfig
from dicom_node.deliver import Asker, commitments, confirmed, outcomes_of, retry_delay
from dicom_node.errors import NodeError, PeerUnavailable, Transient
from dicom_node.ledger import Unpromised
from dicom_node.node.site import Site
from dicom_node.records import Delivery, DeliveryOutcome

log = structlog.get_logger()
AGAIN = timedelta(seconds=30)
"""After which a destination that could not be asked is asked again."""
ASKING = 10.0
"""Seconds for which requests are made at a time: what is owed to the destination is to be sent, too."""

_Studies = deque[tuple[Delivery, ...]]
_Lost = tuple[Unpromised, str]
"""Of what the destination will not tell more, and why."""


def see_to_commitments(site: Site, destination: str) -> None:
    """Records what a destination has answered since, asks for what it was not asked for, gives up waiting.

    A delivery is noted under its transaction before the request goes out: whatever ends this process, an
    answer finds it, or the end of the wait does.
    """
    unasked, lost = list[Delivery](), list[_Lost]()
    for one in site.ledger.promised.of(destination):
        try:
            if one.transaction_uid is None:
                unasked += one.deliveries if one.due <= datetime.now(UTC) else ()
            elif not _answered(site, destination, one) and _waited_for(site, destination, one):
                lost.append((one, "it did not tell in time whether it takes responsibility"))
        except Exception:  # it holds up nothing else
            log.exception("commitment_failed", destination=destination, transaction_uid=one.transaction_uid)
    studies = deque(_by_study(unasked))
    if site.config.destinations[destination].confirm == "commitment":
        lost += _ask(site, destination, studies) if studies else ()
    else:  # it was, when these were sent
        lost += _all_lost(studies, "it is not asked to take responsibility any more")
    if lost:
        _give_up(site, destination, lost)


def _answered(site: Site, destination: str, one: Unpromised) -> bool:
    """Whether a destination has told; then that is recorded."""
    answer = site.spool.promises.answer(one.transaction_uid or "")
    if answer is None:
        return False
    outcomes = outcomes_of(one.deliveries, answer, site.config.destinations[destination])
    _settle(site, one, outcomes, "it takes responsibility for it")
    return True


def _waited_for(site: Site, destination: str, one: Unpromised) -> bool:
    """Whether an answer has been awaited for long enough."""
    now, wait = datetime.now(UTC), _wait(site.config.destinations[destination])
    if one.due > now + wait:  # the clock was set back, or the wait made shorter, since it was asked
        site.ledger.promised.asks(one.deliveries, one.transaction_uid, now + wait)
    return one.due <= now


def _wait(peer: DestinationConfig) -> timedelta:
    return timedelta(seconds=peer.commitment_wait)


def _by_study(deliveries: Iterable[Delivery]) -> Iterator[tuple[Delivery, ...]]:
    """One transaction for each study: some archives take no more."""
    ordered = sorted(deliveries, key=lambda one: (one.study_instance_uid, one.id))
    for _study, some in groupby(ordered, lambda one: one.study_instance_uid):
        yield tuple(some)


def _ask(site: Site, destination: str, studies: _Studies) -> Iterator[_Lost]:
    """Asks for as many studies as time allows, on one association; those that are asked leave the queue."""
    peer, due = site.config.destinations[destination], len(studies)
    try:
        with commitments(peer, site.config.node.ae_title, site.spool.promises.told) as asker:
            yield from _ask_on(asker, site, peer, studies)
        log.info("commitment_asked", destination=destination, studies=due - len(studies), left=len(studies))
    except Transient as fault:
        log.warning("commitment_not_asked", destination=destination, studies=len(studies), error=str(fault))
        again = datetime.now(UTC) + AGAIN
        for deliveries in studies:
            site.ledger.promised.asks(deliveries, None, again)
    except NodeError as fault:
        yield from _all_lost(studies, str(fault))


def _ask_on(asker: Asker, site: Site, peer: DestinationConfig, studies: _Studies) -> Iterator[_Lost]:
    """Makes the requests, then listens once for all. Raises Transient, with what was not asked left over."""
    promises, asked, until = site.spool.promises, list[str](), time.monotonic() + ASKING
    try:
        while studies and (not asked or time.monotonic() < until):
            transaction_uid, deliveries = generate_uid(prefix=None), studies[0]
            due = datetime.now(UTC) + _wait(peer)
            site.ledger.promised.asks(deliveries, transaction_uid, due)
            try:
                promises.expect(transaction_uid)
                asker.ask(deliveries, transaction_uid)
                asked.append(transaction_uid)
            except Transient:
                promises.settle(transaction_uid)
                raise
            except NodeError as fault:
                yield Unpromised(transaction_uid, due, deliveries), str(fault)
            studies.popleft()
    finally:
        with suppress(PeerUnavailable):  # what was asked may be answered in another way
            asker.listen(lambda: all(promises.answer(uid) is not None for uid in asked))


def _all_lost(studies: _Studies, why: str) -> Iterator[_Lost]:
    now = datetime.now(UTC)
    yield from ((Unpromised(None, now, deliveries), why) for deliveries in studies)


def _give_up(site: Site, destination: str, lost: Sequence[_Lost]) -> None:
    """What the destination lists decides: it is asked once for all."""
    peer, deliveries = site.config.destinations[destination], [d for one, _ in lost for d in one.deliveries]
    sent = [DeliveryOutcome(one.id) for one in deliveries]
    found = confirmed(deliveries, sent, peer, site.config.node.ae_title, site.spool.path)
    outcomes = {one.delivery_id: one for one in found}
    for one, why in lost:
        log.warning("commitment_given_up", destination=destination, results=len(one.deliveries), why=why)
        _settle(site, one, [outcomes[each.id] for each in one.deliveries], f"it lists it; {why}")


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
