"""The coordinator: journals into the ledger, completeness, routes, deliveries, ticks."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
from dicom_node.node.folders import run_folder, trouble_file
from dicom_node.node.housekeeping import keep_house
from dicom_node.node.indexing import abort_orphans, read_journals, reconcile, reconcile_conflicts
from dicom_node.node.negotiating import ask
from dicom_node.node.rejecting import reject_replaced
from dicom_node.node.site import Site
from dicom_node.node.trouble import Trouble
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
PROBE_SECONDS = 2.0
"""How often it is tried whether the ledger can be written, though there be nothing to write."""
STALL_SECONDS = 1.0
LONG_WAIT_SECONDS = 5.0
"""A transaction of the node's own takes a fraction of that."""


def coordinate(site: Site, ready: threading.Event, stop: threading.Event) -> None:
    """Runs until `stop` is set. Raises Permanent where another coordinator runs on the same folder."""
    folder = run_folder(site.config)
    clock, sources = Clock(), Sources(site)
    with alone(folder / "coordinator.lock", f"another coordinator already works on {folder.parent}"):
        trouble = Trouble(trouble_file(site.config, "coordinator", 0))
        _recover(site, folder / "stopped-in-order")
        ticker = _ticker(site, sources, trouble)
        ticker.start()
        page = threading.Thread(target=serve_status, args=(site, stop), name="status page")
        page.start()
        ready.set()
        try:
            while not stop.is_set():
                site.spool.wait(_round(site, sources, clock, ticker, trouble))
        finally:
            ticker.stop()
            page.join()
        read_journals(site)
        (folder / "stopped-in-order").touch()


def _round(site: Site, sources: Sources, clock: Clock, ticker: Ticker, trouble: Trouble) -> float:
    """What arrived, and what that completes; gives the seconds until the next look.

    A database that is away is tried again later.
    """
    seconds = trouble.guard("arrivals", partial(_look, site, sources, clock, ticker))
    return trouble.pause if seconds is None else seconds


def _look(site: Site, sources: Sources, clock: Clock, ticker: Ticker) -> float:
    """A round in which all goes well."""
    read_journals(site)
    _mind(site, clock, ticker)
    sweep(site, sources, clock)
    due = site.ledger.holdings.next_due()
    soon = LOOK_SECONDS if due is None else (due - clock.now()).total_seconds()
    return min(LOOK_SECONDS, max(0.0, soon))


def _refuse_to_wait(site: Site) -> None:
    """Raises Transient where another program has held the ledger for long: whoever writes only waits."""
    if site.ledger.database.waited() > LONG_WAIT_SECONDS:
        raise Transient("the ledger's database makes whoever writes wait: does another program hold it?")


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


def _ticker(site: Site, sources: Sources, trouble: Trouble) -> Ticker:
    """What is done at intervals."""
    ticker = Ticker()

    def every(seconds: float, name: str, work: Callable[[], object]) -> None:
        ticker.every(seconds, name, partial(trouble.guard, name, work))

    every(PROBE_SECONDS, "probe", site.ledger.database.probe)
    every(STALL_SECONDS, "stall", partial(_refuse_to_wait, site))
    every(ORPHANS_SECONDS, "orphans", partial(abort_orphans, site))
    every(ABANDON_SECONDS, "abandon", partial(abandon, site))
    every(HOUSE_SECONDS, "housekeeping", partial(keep_house, site))
    for name in sources.names:
        every(COUNT_SECONDS, f"count {name}", partial(sources.ask, name))
    for destination, section in site.config.destinations.items():
        if section.url is None:
            every(ASK_SECONDS, f"ask {destination}", partial(ask, site, destination))
        every(DELIVER_SECONDS, f"deliver {destination}", partial(deliver_due, site, destination))
        if section.rejection_notes:
            every(REJECT_SECONDS, f"reject {destination}", partial(reject_replaced, site, destination))
    return ticker
