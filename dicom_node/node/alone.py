"""A lock that one process of a data folder holds as long as it lives, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicom_node.errors import Permanent


@contextmanager
def alone(lock: Path, refusal: str) -> Iterator[None]:
    """Holds a lock; the kernel gives it back when the process ends.

    Args:
        lock: a file of its own, made where there is none.
        refusal: what is said where another process holds it.

    Raises:
        Permanent: another process holds it, or the file can't be made.
    """
    try:
        file = lock.open("w")
    except OSError as fault:
        raise Permanent(f"{lock} can't be written: {fault.strerror}") from fault
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Permanent(refusal) from None
        yield
