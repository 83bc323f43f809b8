"""A receiver's journal: one JSON line a happening, in a file that only its process appends to.

Lines are not fsynced: they outlive the process, and after a power cut `Spool.walk` finds what they would
have said. While the process lives it holds a lock, so that anybody can tell whether it died.
"""

from __future__ import annotations

import fcntl
import os
import threading
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from dicom_node.records import ReceiverEvent
from dicom_node.spool.bell import Bell
from dicom_node.spool.durable import storing, write_all

LINES, LOCK = ".jsonl", ".lock"
ROTATED_AT = 16 * 1024 * 1024
"""Bytes after which a new file is begun, so that read ones can be taken away."""


class Journal:
    """Appends; the files are `<owner>.<part>.jsonl`. Safe for threads."""

    def __init__(self, folder: Path, rotated_at: int = ROTATED_AT) -> None:
        """Begins a journal for this process. Raises OutOfResources where the disk refuses."""
        self.owner = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}"
        self._folder, self._rotated_at = folder, rotated_at
        self._part, self._size = 0, 0
        self._pending: list[bytes] = []
        self._lock = threading.Lock()
        self._bell = Bell(folder)
        with storing():
            self._owned = os.open(folder / (self.owner + LOCK), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
            fcntl.flock(self._owned, fcntl.LOCK_EX)
            self._fd = self._begin()

    def append(self, event: ReceiverEvent) -> None:
        """Writes one line and rings the bell.

        Raises:
            OutOfResources: the disk refuses; the line waits in memory for the next `append` or `flush`.
        """
        line = encode(event)
        with self._lock:
            self._pending.append(line)
            self._flush()
        self._bell.ring()

    def flush(self) -> None:
        """Writes what the disk refused before. Raises OutOfResources where it still does."""
        with self._lock:
            if self._pending:
                self._flush()

    def close(self) -> None:
        """Lets go: from now on the owner counts as gone."""
        os.close(self._fd)
        os.close(self._owned)
        (self._folder / (self.owner + LOCK)).unlink(missing_ok=True)
        self._bell.close()

    def _flush(self) -> None:
        with storing():
            if self._size >= self._rotated_at:
                following = self._begin()
                os.close(self._fd)
                self._fd, self._size = following, 0
            lines = b"".join(self._pending)
            try:
                write_all(self._fd, lines)
            except OSError:
                os.ftruncate(self._fd, self._size)
                raise
            self._size += len(lines)
            self._pending.clear()

    def _begin(self) -> int:
        self._part += 1
        name = f"{self.owner}.{self._part:06d}{LINES}"
        return os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)


def names(folder: Path) -> list[str]:
    """Names of the journals' files, oldest first."""
    return sorted(path.name for path in folder.glob(f"*{LINES}"))


def read(path: Path, offset: int, limit: int) -> tuple[list[ReceiverEvent], int]:
    """Up to `limit` happenings from `offset`, and where the next one begins.

    A last line without its end is left for later; a line that can't be read is passed over.
    """
    events: list[ReceiverEvent] = []
    with path.open("rb") as file:
        file.seek(offset)
        while len(events) < limit and (line := file.readline()).endswith(b"\n"):
            offset += len(line)
            if (event := decode(line)) is not None:
                events.append(event)
    return events, offset


def owner_of(name: str) -> str:
    """The owner in a journal file's name."""
    return name.split(".", 1)[0]


def owner_alive(folder: Path, owner: str) -> bool:
    """Whether the process that writes these journals lives: it holds the lock."""
    try:
        fd = os.open(folder / (owner + LOCK), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)


def encode(event: ReceiverEvent) -> bytes:
    """A happening as a line; members that are None are left out."""
    return _adapter().dump_json(event, exclude_none=True) + b"\n"


def decode(line: bytes) -> ReceiverEvent | None:
    """The happening of a line; None where the line is damaged."""
    try:
        return _adapter().validate_json(line)
    except ValueError:
        return None


@cache
def _adapter() -> TypeAdapter[ReceiverEvent]:
    return TypeAdapter(ReceiverEvent)
