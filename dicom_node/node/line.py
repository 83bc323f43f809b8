"""A line between two processes: Python objects, with their arrays in memory that both map.

What the receiver writes into an array is its own alone.
"""

from __future__ import annotations

import mmap
import os
import pickle
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, cast

from numpy.typing import DTypeLike, NDArray

from dicom_node.node.shared import Memory, Place


class Line:
    """One end. A broken line raises EOFError or OSError."""

    def __init__(self, connection: Connection[object, object]) -> None:
        """Takes an end of a duplex multiprocessing.Pipe."""
        self._connection = connection
        self._memory = Memory()
        self._received: weakref.ref[mmap.mmap] | None = None

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """As numpy.empty: an array that is sent without being copied.

        Once it is sent, the other end sees what is written into it.
        """
        return self._memory.empty(shape, dtype)

    def send(self, thing: object) -> None:
        """Sends an object that pickle takes."""
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
        descriptor, places = self._memory.share([one.raw() for one in buffers]) if buffers else (0, [])
        let_go = self._received is None or self._received() is None
        self._connection.send((let_go, places))
        self._connection.send_bytes(head)
        if places:
            send_handle(self._connection, descriptor, 0)  # the pid matters on Windows alone
            self._memory.sent()

    def receive(self) -> object:
        """The next object; waits for it."""
        let_go, places = cast(tuple[bool, list[Place]], self._connection.recv())
        if let_go:
            self._memory.let_go()
        head = self._connection.recv_bytes()
        if not places:
            return pickle.loads(head)  # noqa: S301 - from a process of our own
        whole = _mapped(recv_handle(self._connection), places)
        self._received = weakref.ref(whole)
        parts = [memoryview(whole)[first : first + size] for first, size in places]
        return pickle.loads(head, buffers=parts)  # noqa: S301 - likewise

    def waits(self, seconds: float) -> bool:
        """Whether something can be received within this time; also true where the line is broken."""
        return self._connection.poll(seconds)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()
        self._memory.close()


def _mapped(descriptor: int, places: Sequence[Place]) -> mmap.mmap:
    """Another process's memory, copied page by page where it is written to."""
    length = max(first + max(size, 1) for first, size in places)
    try:
        return mmap.mmap(descriptor, length, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    finally:
        os.close(descriptor)
