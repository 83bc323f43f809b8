"""Plausibility of masks: how many parts, and whether left and right lie on their sides."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dicom_node.geometry import Grid


def connected_parts(mask: NDArray[np.bool_]) -> int:
    """Number of parts of a (k, j, i) mask that touch by face, edge or corner."""
    from scipy import ndimage

    boxes = ndimage.find_objects(np.asarray(mask, np.uint8))
    return int(ndimage.label(mask[boxes[0]], structure=np.ones((3, 3, 3)))[1]) if boxes else 0


def side_doubts(masks: Mapping[str, NDArray[np.bool_]], grid: Grid) -> dict[str, str]:
    """Doubts about "left …" and "right …" structures that lie on each other's side, by label.

    Args:
        masks: (k, j, i) by label.
        grid: where they lie; x of LPS runs to the patient's left.
    """
    doubts: dict[str, str] = {}
    for label in masks:
        other = label.replace("left", "right")
        if label == other or other not in masks:
            continue
        left, right = _centre_x(masks[label], grid), _centre_x(masks[other], grid)
        if left is not None and right is not None and left <= right:
            doubts[label] = doubts[other] = "left and right seem to be swapped"
    return doubts


def _centre_x(mask: NDArray[np.bool_], grid: Grid) -> float | None:
    """The middle of a mask, as x in LPS millimetres; None where it is empty."""
    places = np.argwhere(mask)
    return float(grid.to_patient(places.mean(axis=0))[0]) if len(places) else None
