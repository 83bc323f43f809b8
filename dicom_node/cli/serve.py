"""`dicom-node serve`: runs the node until it is told to stop."""

from __future__ import annotations

import signal
import threading

from dicom_node import log
from dicom_node.cli.common import CONFIG, ConfigOption, told
from dicom_node.node.supervisor import supervise
from dicom_node.signals import end_on


def serve(config: ConfigOption = CONFIG) -> None:
    """Run the node: receivers, coordinator and workers, until SIGTERM or Ctrl-C."""
    log.configure()
    stop = threading.Event()
    end_on(stop, signal.SIGTERM, signal.SIGINT)
    with told():
        supervise(config.resolve(), stop)
