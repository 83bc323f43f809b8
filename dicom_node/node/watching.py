"""The status page, and the checks that it shows: the node's processes, and the disk."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial

import structlog

from dicom_node.node.folders import processes_file
from dicom_node.node.site import Site
from dicom_node.web import Check, make_app, serve

log = structlog.get_logger()


def serve_status(site: Site, stop: threading.Event) -> None:
    """Serves the status page until `stop` is set; a port that is taken costs the page, and nothing else."""
    web = site.config.web
    if web is None:
        return
    try:
        serve(make_app(site.ledger.views, partial(checks, site)), web.address, web.port, stop)
    except OSError as fault:
        log.error("status_page_unavailable", address=web.address, port=web.port, error=str(fault))


def checks(site: Site) -> Iterator[Check]:
    """Yields how the processes are, as the supervisor last noted, and how the disk is."""
    file = processes_file(site.config)
    for one in json.loads(file.read_text()) if file.exists() else ():
        alive = one["pid"] is not None
        detail = f"pid {one['pid']}, {one['lives']}. life" if alive else f"ended {one['lives']} times"
        yield Check(name=f"{one['role']} {one['index']}", ok=alive, detail=detail)
    free_mb = site.spool.free_bytes() // (1 << 20)
    mark = site.config.receive.free_disk_mb
    yield Check(
        name="disk", ok=free_mb >= mark, detail=f"{free_mb} MB free; images are refused below {mark} MB"
    )
