"""One object on its way in: a temporary file that becomes an instance, or is set aside, or goes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xxhash import xxh3_128

from dicom_node.errors import OutOfResources
from dicom_node.records import Instance
from dicom_node.spool import layout
from dicom_node.spool.durable import storing, write_all
from dicom_node.spool.identity import Identity, identify

if TYPE_CHECKING:
    from dicom_node.spool.spool import Spool

_COMPARED = 1 << 20
"""Bytes compared at a time."""
_SMALL, _GATHERED = 1 << 16, 1 << 17
"""Fragments of fewer bytes are gathered to so many before they are written: senders like PDUs of 16 KB."""


Happened = Literal["stored", "duplicate", "conflict"]
"""What became of an object; the names are those of `records.Happening`."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of an object, and the object."""

    happening: Happened
    instance: Instance


class Blank:
    """An empty file in `incoming/`, for an object that is still to come."""

    def __init__(self, path: Path) -> None:
        """Makes the file. Raises OutOfResources."""
        self.path = path
        with storing():
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)

    def discard(self) -> None:
        """No object came: takes the file away."""
        os.close(self.fd)
        self.path.unlink(missing_ok=True)


class Incoming:
    """A temporary file in `incoming/`, named after its association. Not for two threads at once.

    Its name stays until `done`: a crash between the link and the journal's line leaves a file with two
    names, by which `Spool.recover` knows that it may have been acknowledged.
    """

    def __init__(self, spool: Spool, blank: Blank, head: bytes) -> None:
        """Begins the file with `head`: preamble, prefix and file meta information (PS3.10 7.1)."""
        self._spool = spool
        self.path, self._fd = blank.path, blank.fd
        self._head = len(head)
        self._hash = xxh3_128()
        self._gathered = bytearray()
        self.size = len(head)
        """Bytes written so far, the head among them."""
        with storing():
            try:
                write_all(self._fd, head)
            except OSError:
                self.abandon()
                raise

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Appends bytes of the data set. Raises OutOfResources: the temporary file is gone."""
        self.size += len(data)
        if len(data) < _SMALL:
            self._gathered += data
            if len(self._gathered) >= _GATHERED:
                self._flush()
        else:
            self._flush()
            self._write(data)

    def identity(self, transfer_syntax_uid: str) -> Identity:
        """The UIDs in the data set as far as it has been written. Raises Unreadable, OutOfResources."""
        self._flush()
        return identify(self._fd, self._head, transfer_syntax_uid)

    def commit(self, identity: Identity, transfer_syntax_uid: str, association_id: str) -> Stored:
        """Makes the instance durable: file, name, and the folders above.

        An existing name is never overwritten: the same bytes again are a duplicate, other bytes are kept
        beside under a name that ends in their digest.

        Raises:
            OutOfResources: nothing was stored; the temporary file is gone.
        """
        try:
            self._flush()
            with storing():
                return self._commit(identity, transfer_syntax_uid, association_id)
        except BaseException:
            self.abandon()
            raise

    def set_aside(self) -> str:
        """Keeps the bytes for inspection in `aside/`; gives the path. Raises OutOfResources."""
        try:
            self._flush()
            with storing(), self._spool.folders.folder(layout.ASIDE) as folder:
                name = self.path.name + layout.SUFFIX
                os.link(self.path, name, dst_dir_fd=folder)
                self._spool.prune_aside()
        finally:
            self.abandon()
        return f"{layout.ASIDE}/{name}"

    def done(self) -> None:
        """Takes the temporary name away, once the journal has the line."""
        self.path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Takes the bytes away; nothing is left. May be called at any time."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._gathered:
            self._write(self._gathered)
            self._gathered.clear()

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        try:
            with storing():
                write_all(self._fd, data)
        except OutOfResources:
            self.abandon()
            raise
        self._hash.update(data)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _commit(self, identity: Identity, transfer_syntax_uid: str, association_id: str) -> Stored:
        os.fsync(self._fd)
        digest = self._hash.hexdigest()
        relative = layout.series_folder(identity.study_instance_uid, identity.series_instance_uid)
        with self._spool.folders.folder(relative) as folder:
            happening, name = self._link(folder, identity.sop_instance_uid, digest)
            try:
                os.fsync(folder)  # a duplicate's too: whoever stored the first may not have come to it yet
            except OSError:
                if happening != "duplicate":
                    os.unlink(name, dir_fd=folder)
                raise
        self._close()
        instance = Instance(
            sop_instance_uid=identity.sop_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            series_instance_uid=identity.series_instance_uid,
            study_instance_uid=identity.study_instance_uid,
            transfer_syntax_uid=transfer_syntax_uid,
            path=f"{relative}/{name}",
            size=self.size,
            digest=digest,
            association_id=association_id,
            received_at=datetime.now(UTC),
        )
        return Stored(happening, instance)

    def _link(self, folder: int, sop_instance_uid: str, digest: str) -> tuple[Happened, str]:
        """Gives the file its name, or finds what stands there."""
        first, beside = layout.file_name(sop_instance_uid), layout.file_name(sop_instance_uid, digest)
        try:
            os.link(self.path, first, dst_dir_fd=folder)
        except FileExistsError:
            if self._same_data_set(folder, first):
                return "duplicate", first
        else:
            return "stored", first
        try:
            os.link(self.path, beside, dst_dir_fd=folder)
        except FileExistsError:
            return "duplicate", beside
        return "conflict", beside

    def _same_data_set(self, folder: int, name: str) -> bool:
        """Compares what came with what stands there, without the heads, which name the sender."""
        other = os.open(name, os.O_RDONLY, dir_fd=folder)
        try:
            return same_bytes(self._fd, self._head, other, self._spool.data_set_at(other))
        finally:
            os.close(other)


def same_bytes(one: int, one_at: int, other: int, other_at: int) -> bool:
    """Whether two open files hold the same bytes from these positions on."""
    if os.fstat(one).st_size - one_at != os.fstat(other).st_size - other_at:
        return False
    while chunk := os.pread(one, _COMPARED, one_at):
        if chunk != os.pread(other, len(chunk), other_at):
            return False
        one_at, other_at = one_at + len(chunk), other_at + len(chunk)
    return True


def digest_of(path: Path, data_set_at: int) -> str:
    """The digest of a stored file's data set, as `records.Instance` has it."""
    digest = xxh3_128()
    with path.open("rb", buffering=0) as file:
        file.seek(data_set_at)
        while chunk := file.read(_COMPARED):
            digest.update(chunk)
    return digest.hexdigest()
