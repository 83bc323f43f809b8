"""A site as its processes see it: the configuration, and the folders and the ledger that follow from it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dicom_node.config import Config, load
from dicom_node.ledger import Ledger
from dicom_node.node.folders import database_url, run_folder, spool_folder
from dicom_node.spool import Spool


@dataclass(frozen=True)
class Site:
    """What every role opens at its start."""

    config: Config
    config_path: Path
    spool: Spool
    ledger: Ledger


def worker_name(index: int) -> str:
    """A worker's name: the same in its next life, so that it finds what it held."""
    return f"{socket.gethostname()}/{index}"


@contextmanager
def open_site(config_path: Path) -> Iterator[Site]:
    """Opens a site. Raises ConfigError, Permanent or OSError where that can't be."""
    config = load(config_path)
    run_folder(config).mkdir(parents=True, exist_ok=True)
    spool = Spool(spool_folder(config))
    ledger = Ledger(database_url(config))
    try:
        yield Site(config, config_path, spool, ledger)
    finally:
        ledger.close()
