"""`dicom-node serve`: runs the node until it is told to stop."""

from __future__ import annotations

import signal
import threading

from dicom_node import log
from dicom_node.cli.common import CONFIG, ConfigOption, told
from dicom_node.node.supervisor import supervise


def serve(config: ConfigOption = CONFIG) -> None:
    """Run the node: receivers, coordinator and workers, until SIGTERM or Ctrl-C."""
    log.configure()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with told():
        supervise(config.resolve(), stop)
