"""Memory that another process maps: arrays are made in it, or copied into it where they were made elsewhere.

A volume of hundreds of megabytes lies there once, in memory that no folder limits (memfd_create(2);
/dev/shm of a container often holds 64 MB). To get it from the system takes longer than to read a volume
into it, so it is used again once the other process has let go of what it held.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNMENT = 64
"""Bytes: arrays begin where vector instructions like them to."""
KEPT_BYTES = 64 * 1024 * 1024
"""Most memory that is kept for another time: a hundred slices of 512 x 512 take 52 MB."""
Place = tuple[int, int]
"""Where an array's bytes lie in the memory: the first one, and how many."""


@dataclass(frozen=True, slots=True)
class _Made:
    """An array that was made in the memory: whether it lives, its address, and its place."""

    array: weakref.ref[NDArray[Any]]
    address: int
    place: Place


class Memory:
    """The memory of one end of a line; only this end writes into it."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._mapping: mmap.mmap | None = None
        self._made: list[_Made] = []
        self._used = 0
        self._sent = False
        self._let_go = True

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """As numpy.empty; an array that lies here need not be copied to be sent."""
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        if not size:
            return np.empty(shape, kind)
        descriptor = self._begin()
        place = self._take(descriptor, size)
        root = np.frombuffer(memoryview(self._mapped(descriptor))[place : place + size], kind)
        self._made.append(_Made(weakref.ref(root), root.ctypes.data, (place, size)))
        return root.reshape(shape)

    def share(self, views: Sequence[memoryview]) -> tuple[int, list[Place]]:
        """A file descriptor that stays this object's until the next call, and where in it each view lies."""
        descriptor = self._begin()
        places = [self._place_of(view) or self._copied(descriptor, view) for view in views]
        self._sent, self._let_go = True, False
        return descriptor, places

    def sent(self) -> None:
        """The other end has the descriptor; what is too large for another time goes when both let go."""
        if self._used > KEPT_BYTES:
            self.close()

    def let_go(self) -> None:
        """The other end refers to nothing here any more."""
        self._let_go = True

    def close(self) -> None:
        """Gives the memory back, as soon as nobody maps it any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._mapping = None
        self._made, self._used, self._sent, self._let_go = [], 0, False, True

    def _begin(self) -> int:
        """The descriptor of memory to add to; other memory where what was sent is still referred to."""
        lives = any(one.array() is not None for one in self._made)
        if self._sent and (lives or not self._let_go):
            self.close()
        elif not lives:
            self._made, self._used, self._sent = [], 0, False
        if self._descriptor is None:
            self._descriptor = os.memfd_create("dicom-node")
        return self._descriptor

    def _take(self, descriptor: int, size: int) -> int:
        """Where the next bytes begin; there are so many, and never none, which nobody could map."""
        place = self._used
        self._used += -(-max(size, 1) // ALIGNMENT) * ALIGNMENT
        if os.fstat(descriptor).st_size < self._used:
            os.ftruncate(descriptor, self._used)
        return place

    def _mapped(self, descriptor: int) -> mmap.mmap:
        """All of the memory; its pages are got at once, in less time than one by one as they are touched."""
        if self._mapping is None or len(self._mapping) < self._used:
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
            self._mapping = mmap.mmap(descriptor, os.fstat(descriptor).st_size, flags)
        return self._mapping

    def _place_of(self, view: memoryview) -> Place | None:
        """Where a view lies; None where it is elsewhere."""
        if not view.nbytes:
            return None
        address = np.frombuffer(view, np.uint8).ctypes.data
        for one in self._made:
            if one.array() is None:  # another array may lie at its address by now
                continue
            if one.address <= address and address + view.nbytes <= one.address + one.place[1]:
                return one.place[0] + address - one.address, view.nbytes
        return None

    def _copied(self, descriptor: int, view: memoryview) -> Place:
        place = self._take(descriptor, view.nbytes)
        written = 0
        while written < view.nbytes:
            written += os.pwrite(descriptor, view[written:], place + written)
        return place, view.nbytes
