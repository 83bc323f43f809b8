"""What this machine doesn't give a configuration: folder, room, files, address, database, devices.

Nothing is made or changed; what another user may do, such as the one that the node runs as, isn't known here.
"""

from __future__ import annotations

import errno
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dicom_node.config import Config, Fault
from dicom_node.config.faults import KeyPath
from dicom_node.errors import ConfigError, Permanent
from dicom_node.infer.devices import is_there
from dicom_node.ledger import Ledger
from dicom_node.node.folders import there
from dicom_node.receive.tls import context as tls_context

SQL = ("postgresql", "sqlite")
"""Databases that a ledger can be in."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that is missing; the node doesn't start without it where it is `needed`."""

    fault: Fault
    needed: bool = True


def lacks(config: Config) -> Iterator[Lack]:
    """Yields whatever the machine lacks; takes seconds where the configuration names a GPU."""
    yield from data_folder(config.node.data)
    yield from _room(config)
    yield from _tls_files(config)
    yield from _database(config.node.database)
    yield from _address(config.node.address, ("node", "address"), needed=True)
    if config.web is not None:
        yield from _address(config.web.address, ("web", "address"), needed=False)
    if not config.routes:
        nothing = Fault(("routes",), "there are none", "images are kept, and nothing is made of them")
        yield Lack(nothing, needed=False)


def missing_devices(config: Config) -> Iterator[Lack]:
    """Yields the devices that aren't there: their workers' jobs will fail. Takes seconds for a GPU."""
    for index, device in enumerate(config.node.devices):
        if not is_there(device):
            found = f"there is no device {device} that PyTorch can use"
            yield Lack(Fault(("node", "devices", index), found, "without a GPU: cpu"), needed=False)


def data_folder(folder: Path) -> Iterator[Lack]:
    """Yields why a folder, there already or not, can't be the data folder."""
    nearest = there(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=".dicom-node-", dir=nearest):
            return
    except PermissionError as fault:
        found = f"{nearest} can't be written by this user ({fault.strerror})"
        yield Lack(Fault(("node", "data"), found, "the user that the node runs as must be able to"), False)
    except OSError as fault:
        found = f"{folder} can't be used: {fault.strerror}"
        full = fault.errno in (errno.ENOSPC, errno.EDQUOT)  # the node starts, and waits for room
        yield Lack(Fault(("node", "data"), found, "name a folder on a disk that can be written"), not full)


def _room(config: Config) -> Iterator[Lack]:
    nearest, mark = there(config.node.data), config.receive.free_disk_mb
    free = shutil.disk_usage(nearest).free >> 20
    if mark == 0:
        found = "0: images are taken until the disk is full, and then no result can be written either"
        yield Lack(Fault(("receive", "free_disk_mb"), found, "leave room for them, such as 1024"), False)
    if free < mark:
        found = f"below {mark} MB images are refused, and {nearest} has {free} MB free"
        yield Lack(Fault(("receive", "free_disk_mb"), found, "make room, or name a smaller one"), False)


def _tls_files(config: Config) -> Iterator[Lack]:
    tls = config.receive.tls
    if tls is None:
        return
    sound = True
    for key in ("certificate", "key", "authorities"):
        path: Path | None = getattr(tls, key)
        try:
            if path is not None:
                path.read_bytes()
        except OSError as fault:
            sound = False
            found = f"{path} can't be read: {fault.strerror}"
            other_user = isinstance(fault, PermissionError)
            yield Lack(Fault(("receive", "tls", key), found), needed=not other_user)
    try:
        if sound:
            tls_context(tls)
    except ConfigError as fault:
        yield Lack(Fault(("receive", "tls"), str(fault)))


def _database(url: str | None) -> Iterator[Lack]:
    path = ("node", "database")
    if url is None:
        return
    if url.partition(":")[0].partition("+")[0] not in SQL:
        yield Lack(Fault(path, "a ledger can't be in a database of this kind", f"possible: {', '.join(SQL)}"))
        return
    try:
        Ledger(url).close()
    except Permanent as fault:
        right = "PostgreSQL: postgresql+psycopg://…, with the extra [postgres] installed"
        yield Lack(Fault(path, str(fault), right))


def _address(address: str, path: KeyPath, *, needed: bool) -> Iterator[Lack]:
    try:
        family = socket.getaddrinfo(address, 0, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind((address, 0))
    except OSError as fault:
        found = f"{address} is no address of this machine ({fault.strerror})"
        yield Lack(Fault(path, found, "0.0.0.0: all of its addresses"), needed)
