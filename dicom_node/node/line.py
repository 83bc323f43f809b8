"""A line between two processes: Python objects, with their arrays in anonymous shared memory.

A volume of hundreds of megabytes is written once and mapped by the other side, in memory that no folder
limits (memfd_create(2); /dev/shm of a container often holds 64 MB). What the receiver writes into an
array is its own alone.
"""

from __future__ import annotations

import mmap
import os
import pickle
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle

ALIGNMENT = 64
"""Bytes: arrays begin where vector instructions like them to."""


class Line:
    """One end. A broken line raises EOFError or OSError."""

    def __init__(self, connection: Connection[object, object]) -> None:
        """Takes an end of a duplex multiprocessing.Pipe."""
        self._connection = connection

    def send(self, thing: object) -> None:
        """Sends an object that pickle takes."""
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        self._connection.send([view.nbytes for view in views])
        self._connection.send_bytes(head)
        if views:
            memory = os.memfd_create("dicom-node")
            try:
                _fill(memory, views)
                send_handle(self._connection, memory, 0)  # the pid matters on Windows alone
            finally:
                os.close(memory)

    def receive(self) -> object:
        """The next object; waits for it."""
        sizes = self._connection.recv()
        assert isinstance(sizes, list)  # noqa: S101 - by the protocol of this class
        head = self._connection.recv_bytes()
        parts = list(_mapped(recv_handle(self._connection), sizes)) if sizes else []
        return pickle.loads(head, buffers=parts)  # noqa: S301 - from a process of our own

    def waits(self, seconds: float) -> bool:
        """Whether something can be received within this time; also true where the line is broken."""
        return self._connection.poll(seconds)

    def close(self) -> None:
        """Hangs up."""
        self._connection.close()


def _fill(memory: int, views: Sequence[memoryview]) -> None:
    """Writes each view at its place."""
    for place, view in zip(_places([view.nbytes for view in views]), views, strict=True):
        written = 0
        while written < view.nbytes:
            written += os.pwrite(memory, view[written:], place + written)


def _mapped(memory: int, sizes: Sequence[int]) -> Iterator[memoryview]:
    """Yields each view of another process's memory, copied page by page where it is written to."""
    places = _places(sizes)
    try:
        length = places[-1] + max(1, sizes[-1])
        whole = memoryview(mmap.mmap(memory, length, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE))
    finally:
        os.close(memory)
    for place, size in zip(places, sizes, strict=True):
        yield whole[place : place + size]


def _places(sizes: Sequence[int]) -> list[int]:
    """Where each view begins."""
    places, place = [], 0
    for size in sizes:
        places.append(place)
        place += -(-size // ALIGNMENT) * ALIGNMENT
    return places
