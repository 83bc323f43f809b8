"""Outlines of masks on single slices, and which slice shows a structure best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage import measure

from dicom_node.boxes import box_of
from dicom_node.findings import Segmentation


def key_slice(segmentation: Segmentation, number: int) -> int | None:
    """The slice k with the largest section of a segment; None where it is empty."""
    box = segmentation.boxes[number - 1]
    if box is None:
        return None
    return int(box[0].start + np.count_nonzero(segmentation.mask(number, box), axis=(1, 2)).argmax())


def outlines(section: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Closed outlines of a (rows, columns) mask, longest first.

    Args:
        section: the mask of one slice.

    Returns:
        (n, 2) arrays of (column, row), first point repeated at the end, with the top left corner of the
        first pixel at 0, 0, as in DICOM's image coordinates (PS3.3 C.18.6.1.2).
    """
    box = box_of(section[None])
    if box is None:
        return []
    _, rows, columns = box
    padded = np.pad(section[rows, columns].astype(np.float32), 1)
    corner = np.array([columns.start, rows.start]) - 0.5
    closed = [line[:, ::-1] + corner for line in _contours(padded) if len(line) >= 4]
    return sorted(closed, key=lambda line: -_length(line))


def _length(line: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def _contours(image: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    return list(measure.find_contours(image, 0.5))  # type: ignore[no-untyped-call]  # scikit-image is untyped


def simplified(line: NDArray[np.float64], tolerance: float = 0.4) -> NDArray[np.float64]:
    """An outline with fewer points, none of the old ones farther from it than the tolerance in pixels."""
    return np.asarray(measure.approximate_polygon(line, tolerance))  # type: ignore[no-untyped-call]  # untyped too


def without_collinear(line: NDArray[np.float64]) -> NDArray[np.float64]:
    """A closed outline without the points that lie on the straight line between their neighbours."""
    ring = line[:-1]
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    corner = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    kept = ring[corner]
    return np.vstack([kept, kept[:1]]) if len(kept) >= 3 else line
