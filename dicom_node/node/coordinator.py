"""The coordinator: journals into the ledger, completeness, routes, deliveries, ticks."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from dicom_node.errors import Transient
from dicom_node.node.abandoning import abandon
from dicom_node.node.alone import alone
from dicom_node.node.clock import Clock
from dicom_node.node.completing import sweep
from dicom_node.node.counting import Sources
from dicom_node.node.delivering import deliver_due
from dicom_node.node.folders import run_folder
from dicom_node.node.housekeeping import keep_house
from dicom_node.node.indexing import abort_orphans, read_journals, reconcile, reconcile_conflicts
from dicom_node.node.negotiating import ask
from dicom_node.node.rejecting import reject_replaced
from dicom_node.node.site import Site
from dicom_node.node.watching import serve_status
from dicom_node.schedule import Ticker

log = structlog.get_logger()
LOOK_SECONDS = 0.5
"""How often completeness is looked at when nothing arrives; news from a receiver wakes it at once."""
DELIVER_SECONDS = 0.5
ORPHANS_SECONDS = 2.0
ABANDON_SECONDS = 2.0
HOUSE_SECONDS = 3600.0
COUNT_SECONDS = 0.5
ASK_SECONDS = 5.0
REJECT_SECONDS = 5.0


def coordinate(site: Site, ready: threading.Event, stop: threading.Event) -> None:
    """Runs until `stop` is set. Raises Permanent where another coordinator runs on the same folder."""
    folder = run_folder(site.config)
    clock, sources = Clock(), Sources(site)
    with alone(folder / "coordinator.lock", f"another coordinator already works on {folder.parent}"):
        _recover(site, folder / "stopped-in-order")
        ticker = _ticker(site, sources)
        ticker.start()
        page = threading.Thread(target=serve_status, args=(site, stop), name="status page")
        page.start()
        ready.set()
        try:
            while not stop.is_set():
                site.spool.wait(_round(site, sources, clock, ticker))
        finally:
            ticker.stop()
            page.join()
        read_journals(site)
        (folder / "stopped-in-order").touch()


def _round(site: Site, sources: Sources, clock: Clock, ticker: Ticker) -> float:
    """What arrived, and what that completes; gives the seconds until the next look.

    A database that is away is tried again in the next round.
    """
    try:
        read_journals(site)
        _mind(site, clock, ticker)
        sweep(site, sources, clock)
        due = site.ledger.holdings.next_due()
        if due is not None:
            return min(LOOK_SECONDS, max(0.0, (due - clock.now()).total_seconds()))
    except Transient as fault:
        log.warning("coordinator_waits", error=str(fault))
    except Exception:
        log.exception("coordinator_round_failed")
    return LOOK_SECONDS


def _mind(site: Site, clock: Clock, ticker: Ticker) -> None:
    """Where the wall clock was set, nothing waits for its old moments, and silences before don't count."""
    if seconds := clock.was_set():
        site.ledger.waits.end(datetime.now(UTC))
        ticker.again()
        clock.follow()
        log.warning("clock_was_set", seconds=round(seconds, 1))


def _recover(site: Site, mark: Path) -> None:
    """Takes up what the last life left: unread journals, and files that no journal names."""
    read_journals(site)
    if not mark.exists():
        reconcile(site)
        reconcile_conflicts(site)
    mark.unlink(missing_ok=True)
    log.info("coordinator_started")


def _ticker(site: Site, sources: Sources) -> Ticker:
    """What is done at intervals."""
    ticker = Ticker()
    ticker.every(ORPHANS_SECONDS, "orphans", partial(abort_orphans, site))
    ticker.every(ABANDON_SECONDS, "abandon", partial(abandon, site))
    ticker.every(HOUSE_SECONDS, "housekeeping", partial(keep_house, site))
    for name in sources.names:
        ticker.every(COUNT_SECONDS, f"count {name}", partial(sources.ask, name))
    for destination, section in site.config.destinations.items():
        if section.url is None:
            ticker.every(ASK_SECONDS, f"ask {destination}", partial(ask, site, destination))
        ticker.every(DELIVER_SECONDS, f"deliver {destination}", partial(deliver_due, site, destination))
        if section.rejection_notes:
            ticker.every(REJECT_SECONDS, f"reject {destination}", partial(reject_replaced, site, destination))
    return ticker
