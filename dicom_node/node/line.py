"""A line between two processes: Python objects, with their arrays in anonymous shared memory.

A volume of hundreds of megabytes is written once and mapped by the other side, in memory that no folder
limits (memfd_create(2); /dev/shm of a container often holds 64 MB). What the receiver writes into an
array is its own alone.

To get memory from the system takes longer than to write a volume into it. So an end keeps some, and writes
into it again once the other end has said that nothing there refers to what it held.
"""

from __future__ import annotations

import mmap
import os
import pickle
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import cast

ALIGNMENT = 64
"""Bytes: arrays begin where vector instructions like them to."""


KEPT_BYTES = 64 * 1024 * 1024
"""Most memory that an end keeps: a hundred slices of 512 x 512 take 52 MB."""


class Line:
    """One end. A broken line raises EOFError or OSError."""

    def __init__(self, connection: Connection[object, object]) -> None:
        """Takes an end of a duplex multiprocessing.Pipe."""
        self._connection = connection
        self._memory = _Memory()
        self._received: weakref.ref[mmap.mmap] | None = None

    def send(self, thing: object) -> None:
        """Sends an object that pickle takes."""
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        over = self._received is None or self._received() is None
        self._connection.send((over, [view.nbytes for view in views]))
        self._connection.send_bytes(head)
        if views:
            send_handle(self._connection, self._memory.filled(views), 0)  # the pid matters on Windows alone

    def receive(self) -> object:
        """The next object; waits for it."""
        over, sizes = cast(tuple[bool, list[int]], self._connection.recv())
        if over:
            self._memory.may_be_reused()
        head = self._connection.recv_bytes()
        if not sizes:
            return pickle.loads(head)  # noqa: S301 - from a process of our own
        placed = _placed(sizes)
        whole = _mapped(recv_handle(self._connection), placed)
        self._received = weakref.ref(whole)
        parts = [memoryview(whole)[place : place + size] for place, size in placed]
        return pickle.loads(head, buffers=parts)  # noqa: S301 - likewise

    def waits(self, seconds: float) -> bool:
        """Whether something can be received within this time; also true where the line is broken."""
        return self._connection.poll(seconds)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()
        self._memory.close()


class _Memory:
    """What an end writes arrays into."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._free = True

    def filled(self, views: Sequence[memoryview]) -> int:
        """A file descriptor of memory that holds each view at its place; it stays this object's."""
        if self._descriptor is not None and not self._free:
            self.close()
        if self._descriptor is None:
            self._descriptor = os.memfd_create("dicom-node")
        self._free = False
        placed = _placed([view.nbytes for view in views])
        if os.fstat(self._descriptor).st_size < _length(placed):
            os.ftruncate(self._descriptor, _length(placed))
        for (place, size), view in zip(placed, views, strict=True):
            written = 0
            while written < size:
                written += os.pwrite(self._descriptor, view[written:], place + written)
        return self._descriptor

    def may_be_reused(self) -> None:
        """The other end has let go of what was sent; what is too large to keep goes."""
        self._free = True
        if self._descriptor is not None and os.fstat(self._descriptor).st_size > KEPT_BYTES:
            self.close()

    def close(self) -> None:
        """Gives the memory back, as soon as the other end doesn't map it any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _mapped(memory: int, placed: Sequence[tuple[int, int]]) -> mmap.mmap:
    """Another process's memory, copied page by page where it is written to."""
    try:
        return mmap.mmap(memory, _length(placed), mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    finally:
        os.close(memory)


def _placed(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Where each view begins, and its size."""
    places, place = [], 0
    for size in sizes:
        places.append((place, size))
        place += -(-size // ALIGNMENT) * ALIGNMENT
    return places


def _length(placed: Sequence[tuple[int, int]]) -> int:
    """Bytes of memory for all views; never none, which nobody could map."""
    place, size = placed[-1]
    return place + max(1, size)
