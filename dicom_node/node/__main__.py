"""One process of the node: `python -m dicom_node.node ROLE INDEX CONFIG`, as the supervisor starts it.

The process ends in order on SIGTERM, and also when its standard input closes: then its supervisor is
gone, however that ended. It writes one line to its standard output when it is ready.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import structlog

from dicom_node import log as logging_setup
from dicom_node.errors import NodeError
from dicom_node.node.coordinator import coordinate
from dicom_node.node.site import Site, open_site
from dicom_node.node.worker import Worker
from dicom_node.receive import serve

log = structlog.get_logger()


def main(role: str, index: int, config_path: Path) -> int:
    """Runs one role until it is told to stop; gives the exit status."""
    logging_setup.configure()
    structlog.contextvars.bind_contextvars(role=role, index=index)
    ready, stop = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C reaches all; the supervisor decides
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    threading.Thread(target=_report, args=(ready,), daemon=True).start()
    try:
        with open_site(config_path) as site:
            _run(role, index, site, ready, stop)
    except NodeError as fault:
        log.error("process_cannot_run", error=str(fault))
        return 1
    return 0


def _run(role: str, index: int, site: Site, ready: threading.Event, stop: threading.Event) -> None:
    """Runs the role."""
    if role == "receiver":
        serve(site.config, site.spool, process_index=index, ready=ready.set, stop=stop)
    elif role == "coordinator":
        coordinate(site, ready, stop)
    else:
        Worker(site, index).work(ready, stop)


def _end_with_supervisor() -> None:
    """Waits for the end of standard input, and then asks this process to stop."""
    while sys.stdin.buffer.read(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _report(ready: threading.Event) -> None:
    """Tells the supervisor when the role is ready."""
    ready.wait()
    print("ready", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
