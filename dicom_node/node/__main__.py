"""One process of the node: `python -m dicom_node.node ROLE INDEX CONFIG [FD]`, as the supervisor starts it.

The process ends in order on SIGTERM, and also when its standard input closes: then its supervisor is
gone, however that ended. It writes one line to its standard output when it is ready. A receiver is given
the file descriptor of the listening socket, which all receivers inherit.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from dicom_node import log as logging_setup
from dicom_node.errors import NodeError
from dicom_node.signals import end_on

log = structlog.get_logger()


def main(role: str, index: int, config_path: Path, listener: int | None = None) -> int:
    """Runs one role until it is told to stop; gives the exit status."""
    logging_setup.configure()
    structlog.contextvars.bind_contextvars(role=role, index=index)
    ready, stop = threading.Event(), threading.Event()
    end_on(stop, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C reaches all; the supervisor decides
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    threading.Thread(target=_report, args=(ready,), daemon=True).start()
    try:
        if role == "receiver":
            _receive(index, config_path, listener, ready, stop)
        else:
            _ROLES[role](index, config_path, ready, stop)
    except NodeError as fault:
        log.error("process_cannot_run", error=str(fault))
        return 1
    return 0


def _receive(
    index: int, config_path: Path, listener: int | None, ready: threading.Event, stop: threading.Event
) -> None:
    """A receiver: needs the configuration and the file system alone, and imports no more."""
    import socket

    from dicom_node.config import load
    from dicom_node.node.folders import spool_folder
    from dicom_node.receive import serve
    from dicom_node.spool import Spool

    config = load(config_path)
    spool = Spool(spool_folder(config))
    inherited = socket.socket(fileno=listener) if listener is not None else None
    serve(config, spool, listener=inherited, process_index=index, ready=ready.set, stop=stop)


def _coordinate(_index: int, config_path: Path, ready: threading.Event, stop: threading.Event) -> None:
    """The coordinator."""
    from dicom_node.node.coordinator import coordinate
    from dicom_node.node.site import open_site

    with open_site(config_path) as site:
        coordinate(site, ready, stop)


def _work(index: int, config_path: Path, ready: threading.Event, stop: threading.Event) -> None:
    """A worker."""
    from dicom_node.node.site import open_site
    from dicom_node.node.worker import Worker

    with open_site(config_path) as site:
        Worker(site, index).work(ready, stop)


_ROLES: dict[str, Callable[[int, Path, threading.Event, threading.Event], None]] = {
    "coordinator": _coordinate,
    "worker": _work,
}
"""Each role imports its own rooms only, so that receivers start at once and stay small."""


def _end_with_supervisor() -> None:
    """Waits for the end of standard input, and then asks this process to stop."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _report(ready: threading.Event) -> None:
    """Tells the supervisor when the role is ready."""
    ready.wait()
    print("ready", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), *map(int, sys.argv[4:])))
