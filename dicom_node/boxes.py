"""Where in a volume anything lies: most of it is empty, and what looks at a mask need not look there."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]
"""Part of a (k, j, i) grid."""
WHOLE: Box = (slice(None), slice(None), slice(None))


def box_of(array: NDArray[np.generic]) -> Box | None:
    """The smallest box around what isn't zero in a (k, j, i) array of integers or bool; None where all is."""
    ks = np.flatnonzero([plane.any() for plane in array])
    if not len(ks):
        return None
    slices = slice(int(ks[0]), int(ks[-1]) + 1)
    shadow = np.bitwise_or.reduce(array[slices], axis=0)
    rows, columns = (np.flatnonzero(shadow.any(axis=axis)) for axis in (1, 0))
    return slices, slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def label_boxes(labels: NDArray[np.generic], count: int) -> tuple[Box | None, ...]:
    """The smallest box around each label in a (k, j, i) array of 0 to `count`; None where there is none."""
    from scipy import ndimage

    whole = box_of(labels)
    if whole is None or count == 1:
        return (whole,) * count
    found: list[Box | None] = ndimage.find_objects(labels[whole], count)
    return tuple(box and within(whole, box) for box in found)


def around(boxes: Iterable[Box | None]) -> Box | None:
    """The smallest box that holds all boxes; None where there is none."""
    axes = list(zip(*(box for box in boxes if box), strict=True))
    if not axes:
        return None
    k, j, i = (slice(min(one.start for one in axis), max(one.stop for one in axis)) for axis in axes)
    return k, j, i


def within(outer: Box, inner: Box) -> Box:
    """A box that is given in the indices of another box, in those of the whole."""
    k, j, i = (slice(o.start + n.start, o.start + n.stop) for o, n in zip(outer, inner, strict=True))
    return k, j, i
