"""Removes what is old and through: files first, then rows, so that a crash in between loses no file's row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from dicom_node.node.site import Site

log = structlog.get_logger()


def keep_house(site: Site) -> int:
    """Forgets series that are old enough, history, and what a crash left; gives the number of series."""
    now = datetime.now(UTC)
    keep = site.config.keep
    forgotten = 0
    while expired := site.ledger.retention.expired(now - timedelta(days=keep.images_days)):
        for series in expired:
            for path in series.paths:
                site.spool.remove(path)
        site.spool.remove_results({job for series in expired for job in series.jobs})
        site.ledger.retention.forget(expired)
        forgotten += len(expired)
    for path in site.ledger.retention.forget_history(now - timedelta(days=keep.history_days)):
        site.spool.remove(path)
    site.ledger.values.forget(now - timedelta(days=keep.values_days))
    site.spool.promises.settle_others(site.ledger.promised.awaited)
    _clear_journals(site, now - timedelta(days=keep.images_days))
    if forgotten:
        log.info("series_forgotten", series=forgotten)
    return forgotten


def _clear_journals(site: Site, before: datetime) -> None:
    """Removes journals that are read to their end, and as old as the images that they tell of.

    Until then the ledger can be rebuilt from them.
    """
    for name in site.spool.journals():
        file = site.spool.path(f"journals/{name}")
        state = file.stat()
        read = site.ledger.arrivals.offset(name) >= state.st_size
        if read and state.st_mtime < before.timestamp() and site.spool.remove_journal(name):
            site.ledger.arrivals.forget_journal(name)
