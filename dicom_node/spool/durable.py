"""What makes a file last: fsync of its bytes, then its name, then fsync of the folder that holds the name."""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicom_node.errors import OutOfResources

_FOLDERS_KEPT_OPEN = 64
_FULL = {errno.ENOSPC, errno.EDQUOT}
FULL = "the disk is full"


class storing:  # noqa: N801 - reads as a verb: `with storing():`; a generator would cost thrice as much
    """Turns what the file system refuses into OutOfResources: none of it is the object's fault."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raises OutOfResources in an OSError's place."""
        if isinstance(error, OSError):
            what = FULL if is_full(error) else f"the spool can't be written ({error.strerror})"
            raise OutOfResources(what) from error


def is_full(error: OSError) -> bool:
    """Whether a disk, or a share of it, is full: what was refused may be written another time."""
    return error.errno in _FULL


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path: Path, data: bytes) -> None:
    """Writes a file that is there whole after a power cut, or not at all; replaces one of the same name."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    try:
        write_all(fd, data)
        os.fsync(fd)
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    sync_folder(path.parent)


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Writes every byte: on a disk that fills, one call writes a part and the next one fails."""
    written = os.write(fd, data)
    if written < len(data):
        rest = memoryview(data)[written:]
        while rest:
            rest = rest[os.write(fd, rest) :]


class Folders:
    """Folders below a root, made durably, kept open so that a name in them costs no walk of the path.

    Every process fsyncs the parents of a folder once itself: another one may have made the folder and
    not yet have come to that. Safe for threads.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def folder(self, relative: str) -> Iterator[int]:
        """A file descriptor of the folder, durable with all its parents; a copy that outlives eviction."""
        if (own := self._known(relative)) is None:
            own = self._made(relative)
            self._keep(relative, os.dup(own))
        try:
            yield own
        finally:
            os.close(own)

    def close(self) -> None:
        """Closes what is kept open."""
        with self._lock:
            while self._open:
                os.close(self._open.popitem()[1])

    def _known(self, relative: str) -> int | None:
        with self._lock:
            fd = self._open.get(relative)
            if fd is None:
                return None
            if os.fstat(fd).st_nlink == 0:  # removed meanwhile
                os.close(self._open.pop(relative))
                return None
            self._open.move_to_end(relative)
            return os.dup(fd)

    def _keep(self, relative: str, fd: int) -> None:
        with self._lock:
            if relative in self._open:  # another thread made it too
                os.close(self._open.pop(relative))
            self._open[relative] = fd
            while len(self._open) > _FOLDERS_KEPT_OPEN:
                os.close(self._open.popitem(last=False)[1])

    def _made(self, relative: str) -> int:
        (self._root / relative).mkdir(parents=True, exist_ok=True, mode=0o750)
        for parent in list(Path(relative).parents):
            sync_folder(self._root / parent)
        return os.open(self._root / relative, os.O_RDONLY | os.O_DIRECTORY)
