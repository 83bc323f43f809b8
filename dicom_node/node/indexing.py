"""Reads what receivers wrote into the ledger: journals while they grow, the spool itself after a crash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

import structlog
from pydicom import Dataset

from dicom_node.encode import is_own_result
from dicom_node.errors import BadInput
from dicom_node.headers import plain, read_header, slice_fields
from dicom_node.ledger import Indexed
from dicom_node.node.site import Site
from dicom_node.private import private_values
from dicom_node.records import Instance, ReceiverEvent

log = structlog.get_logger()
BATCH = 500
"""Happenings in one transaction: large enough to be cheap, small enough to be prompt."""


def read_journals(site: Site) -> int:
    """Brings the ledger up to each journal's end; gives the number of happenings read."""
    total = 0
    for name in site.spool.journals():
        known = site.ledger.arrivals.offset(name)
        while (read := site.spool.read_journal(name, known, limit=BATCH))[1] > known:
            events, known = _with_lost(site, read[0]), read[1]
            counting = [e.instance for e in events if _counts(site, e) and e.instance is not None]
            site.ledger.arrivals.apply(events, index(site, counting), datetime.now(UTC), (name, known))
            total += len(events)
    return total


def _counts(site: Site, event: ReceiverEvent) -> bool:
    """Whether an image counts: a new one does, and another under a known UID where the newest is to."""
    newest = site.config.receive.conflict == "newest"
    return event.happening == "stored" or (newest and event.happening == "conflict")


def _with_lost(site: Site, events: Sequence[ReceiverEvent]) -> list[ReceiverEvent]:
    """The same happenings; a duplicate of an image that the ledger does not know counts as its arrival.

    A receiver that was killed after the file got its name may not have written that it was stored; the
    sender, unanswered, sent it again.
    """
    again = [one.instance for one in events if one.happening == "duplicate" and one.instance is not None]
    keys = {(one.series_instance_uid, one.sop_instance_uid) for one in again}
    stored = [one.instance for one in events if one.happening == "stored" and one.instance is not None]
    lost = keys - {(one.series_instance_uid, one.sop_instance_uid) for one in stored}
    lost -= site.ledger.arrivals.known(list(lost))
    return [
        replace(one, happening="stored")
        if one.happening == "duplicate"
        and one.instance is not None
        and (one.instance.series_instance_uid, one.instance.sop_instance_uid) in lost
        else one
        for one in events
    ]


def abort_orphans(site: Site) -> None:
    """Marks associations whose receiver has died as aborted."""
    for name in site.ledger.arrivals.open_journals():
        if not site.spool.journal_owner_alive(name):
            series = site.ledger.arrivals.abort_orphans(name)
            log.warning("receiver_died", journal=name, series=len(series))


def reconcile(site: Site) -> int:
    """Finds files of the spool that the ledger does not know, whatever the journals say; gives their number.

    After a power cut a journal may lack the last lines of what was acknowledged; the files don't.
    """
    found = 0
    for batch in _batches(site.spool.walk(site.ledger.arrivals.paths()), BATCH):
        keys = [(one.series_instance_uid, one.sop_instance_uid) for one in batch]
        known = site.ledger.arrivals.known(keys)
        missing = [one for one, key in zip(batch, keys, strict=True) if key not in known]
        if missing:
            events = [ReceiverEvent("stored", instance=one) for one in missing]
            site.ledger.arrivals.apply(events, index(site, missing), datetime.now(UTC))
            found += len(missing)
    log.info("spool_reconciled", found=found)
    return found


def reconcile_conflicts(site: Site) -> int:
    """Finds what is kept beside an image of the same UID and the ledger does not know; gives its number."""
    found = 0
    known = site.ledger.arrivals.paths_beside() | site.ledger.arrivals.paths()
    for batch in _batches(site.spool.conflicts(known), BATCH):
        events = [ReceiverEvent("conflict", instance=one) for one in batch]
        counting = [one for one, event in zip(batch, events, strict=True) if _counts(site, event)]
        site.ledger.arrivals.apply(events, index(site, counting), datetime.now(UTC))
        found += len(batch)
    log.info("conflicts_reconciled", found=found)
    return found


def index(site: Site, instances: Sequence[Instance]) -> dict[str, Indexed]:
    """Reads the headers of stored instances; gives them by path.

    Only the first image of each series, by InstanceNumber, has its whole header converted.
    """
    headers: dict[str, Dataset] = {}
    read: dict[str, Indexed] = {}
    for one in instances:
        try:
            ds = headers[one.path] = read_header(site.spool.path(one.path))
            read[one.path] = Indexed(one, {}, slice_fields(ds), own=is_own_result(ds))
        except BadInput as fault:
            read[one.path] = Indexed(one, {}, {}, fault=str(fault))
        except (
            FileNotFoundError
        ):  # its receiver died between the line and the file: it was never acknowledged
            log.warning("file_never_came", sop_instance_uid=one.sop_instance_uid)
    for path in _with_header(image for image in read.values() if image.fault is None):
        read[path] = replace(read[path], header=plain(headers[path]) | private_values(headers[path]))
    return read


def _with_header(read: Iterable[Indexed]) -> set[str]:
    """Paths of the images with the lowest number of each series."""
    first: dict[str, Indexed] = {}
    for image in read:
        series = image.instance.series_instance_uid
        if series not in first or image.number < first[series].number:
            first[series] = image
    return {image.instance.path for image in first.values()}


def _batches(items: Iterable[Instance], size: int) -> Iterator[list[Instance]]:
    """Cuts an iterable into lists."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
