"""Masks to the frames of segmentations, empty ones left out: bits, label numbers, or fractions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicom_node.errors import ModelFailed
from dicom_node.findings import Segmentation


@dataclass(frozen=True, slots=True)
class Patch:
    """The part of one slice where one segment has any voxel: rows `start` and on, whole width.

    Attributes:
        number: of the segment, from 1. k: the slice. start: first row, a multiple of 8, so that the
            patch begins at a whole byte whatever the width is. rows: (rows, columns) bool.
    """

    number: int
    k: int
    start: int
    rows: NDArray[np.bool_]


def patches(segmentation: Segmentation) -> list[Patch]:
    """Every part that isn't empty, by segment number, then by slice; rows of one segment alike."""
    return list(_patches(segmentation))


def _patches(segmentation: Segmentation) -> Iterator[Patch]:
    for number, box in enumerate(segmentation.boxes, start=1):
        if box is None:
            continue
        slices, rows, _ = box
        start = rows.start - rows.start % 8
        part = segmentation.mask(number, (slices, slice(start, rows.stop), slice(None)))
        for k, section in enumerate(part, start=slices.start):
            if section.any():
                yield Patch(number, k, start, section)


def pack(found: list[Patch], rows: int, columns: int) -> bytes:
    """Frames one after the other, one bit a pixel, the first pixel in the lowest bit, of even length.

    Frames of a number of pixels that isn't a multiple of 8 don't begin at a byte (PS3.5 8.1.1).
    """
    size = rows * columns
    if size % 8:
        return _pack_unaligned(found, rows, columns)
    packed = np.zeros((len(found), size // 8), dtype=np.uint8)
    for frame, patch in zip(packed, found, strict=True):
        bits = np.packbits(patch.rows, axis=None, bitorder="little")
        begin = patch.start * columns // 8
        frame[begin : begin + len(bits)] = bits
    return packed.tobytes() + b"\0" * (packed.size % 2)


def _pack_unaligned(found: list[Patch], rows: int, columns: int) -> bytes:
    packed = bytearray()
    for first in range(0, len(found), 8):  # eight frames fill whole bytes
        group = found[first : first + 8]
        frames = np.zeros((len(group), rows, columns), dtype=bool)
        for frame, patch in zip(frames, group, strict=True):
            frame[patch.start : patch.start + len(patch.rows)] = patch.rows
        packed += np.packbits(frames, axis=None, bitorder="little").tobytes()
    return bytes(packed) + b"\0" * (len(packed) % 2)


def label_frames(segmentation: Segmentation) -> tuple[list[int], NDArray[np.generic]]:
    """Slices that hold any label, and (frames, rows, columns) of label numbers in as few bytes as fit.

    Raises:
        ModelFailed: masks overlap.
    """
    array = segmentation.array
    kind = np.dtype(np.uint8 if len(segmentation.segments) < 256 else np.uint16)
    if array.ndim == 3:
        slices = np.flatnonzero(array.any(axis=(1, 2)))
        return [int(k) for k in slices], array[slices].astype(kind)
    masks = np.stack([segmentation.mask(number) for number in range(1, len(array) + 1)])
    if np.count_nonzero(masks, axis=0).max(initial=0) > 1:
        raise ModelFailed("masks that overlap can't be one label map")
    numbers = np.arange(1, len(array) + 1, dtype=kind)
    labels = (masks * numbers[:, None, None, None]).sum(axis=0, dtype=kind)
    slices = np.flatnonzero(labels.any(axis=(1, 2)))
    return [int(k) for k in slices], labels[slices]


def fractions(segmentation: Segmentation) -> tuple[list[tuple[int, int]], bytes]:
    """(segment number, slice) of each frame that isn't empty, and their pixels in 1/255."""
    keys, frames = [], []
    for number in range(1, len(segmentation.segments) + 1):
        array = segmentation.array
        layer = array[number - 1] if array.ndim == 4 else array == number
        levels = np.rint(layer.astype(np.float32) * 255).astype(np.uint8)
        for k in np.flatnonzero(levels.any(axis=(1, 2))):
            keys.append((number, int(k)))
            frames.append(levels[k].tobytes())
    return keys, b"".join(frames)
