"""Volumes for the adapters' tests: one patient, seen in any orientation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_node.geometry import Grid, Volume
from dicom_node.pipeline import Case, Input, Measurement

AXIAL: tuple[Sequence[int], Sequence[int]] = ((2, 1, 0), ())
ORIENTATIONS: tuple[tuple[Sequence[int], Sequence[int]], ...] = (
    AXIAL,
    ((0, 2, 1), (2,)),
    ((1, 2, 0), (0, 2)),
    ((2, 0, 1), (0, 1, 2)),
)
"""Permutation of (x, y, z) that gives (k, j, i), and the patient axes that are flipped first."""


def seen(
    array: NDArray[Any], affine: NDArray[np.float64], order: Sequence[int], flips: Sequence[int]
) -> Volume:
    """An array (x, y, z) with its LPS affine, as a volume whose slices run another way; the same in space."""
    affine = affine.copy()
    for axis in flips:
        flip = np.eye(4)
        flip[axis, axis], flip[axis, 3] = -1, array.shape[axis] - 1
        array, affine = np.flip(array, axis), affine @ flip
    turned = np.ascontiguousarray(array.transpose(order))
    shape = (turned.shape[0], turned.shape[1], turned.shape[2])
    return Volume(turned, Grid(shape, affine[:, [*order, 3]]), "1.2.3", ())


def case_of(volume: Volume, modality: str = "MR", **header: Any) -> Case:
    """A case of one input."""
    return Case({"image": Input(volume, {"Modality": modality} | header)})


def volumes_ml(findings: Sequence[object]) -> dict[str, float]:
    """Measured values by segment."""
    return {f.segment: f.value for f in findings if isinstance(f, Measurement) and f.segment}


def lopsided() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A head-like blob with one bright and one dark lump off its middle: (x, y, z) and an LPS affine."""
    x, y, z = np.meshgrid(np.arange(40), np.arange(36), np.arange(30), indexing="ij")

    def ball(cx: int, cy: int, cz: int, radius: float) -> NDArray[np.bool_]:
        return np.asarray((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2 < radius**2)

    array = np.where(ball(20, 18, 15, 13), 500.0, 0.0)
    array[ball(14, 14, 12, 4)] = 900.0
    array[ball(26, 22, 18, 3)] = 100.0
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    affine[:3, 3] = 40, 35, -25
    return array.astype(np.float32), affine
