"""A site as its processes see it: the configuration, and the folders and the ledger that follow from it."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dicom_node.config import Config, load
from dicom_node.errors import Permanent
from dicom_node.ledger import Ledger
from dicom_node.node.folders import database_url, run_folder, spool_folder
from dicom_node.spool import Spool

OWN = {"ledger", "spool", "run"}
"""What the node has in its data folder."""


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


def ready_run_folder(config: Config) -> Path:
    """The folder of locks and marks, made where there is none. Raises Permanent where that can't be."""
    folder = run_folder(config)
    try:
        config.node.data.mkdir(mode=0o750, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        _keep_private(config.node.data)
    except OSError as fault:
        data = config.node.data
        raise Permanent(f"the data folder {data} (node.data) can't be used: {fault.strerror}") from fault
    return folder


def _keep_private(data: Path) -> None:
    """Takes the data folder from others than its owner and group: it holds names of patients.

    One that holds more than the node's own things is somebody else's to decide on.
    """
    foreign = [one for one in data.iterdir() if one.name.partition(".")[0] not in OWN]
    mode = stat.S_IMODE(data.stat().st_mode)
    if not foreign and mode & stat.S_IRWXO:
        with suppress(PermissionError):  # another's, such as a volume's root
            data.chmod(mode & ~stat.S_IRWXO)


@contextmanager
def open_site(config_path: Path) -> Iterator[Site]:
    """Opens a site. Raises ConfigError, Permanent or OutOfResources where that can't be."""
    config = load(config_path)
    ready_run_folder(config)
    spool = Spool(spool_folder(config))
    ledger = Ledger(database_url(config))
    try:
        yield Site(config, config_path, spool, ledger)
    finally:
        ledger.close()
