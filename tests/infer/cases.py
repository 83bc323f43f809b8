"""Cases and findings that the tests of this room share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_node.geometry import Grid, Volume
from dicom_node.pipeline import Case, Code, Input, Measurement, Segment, Segmentation

ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
ORGAN = Code("39607008", "SCT", "Lung")
VOLUME = Code("118565006", "SCT", "Volume")
ML = Code("ml", "UCUM", "ml")
LUNG = Segment("lung", ANATOMY, ORGAN)


def make_case(
    array: NDArray[Any] | None = None,
    header: dict[str, Any] | None = None,
    spacing: tuple[float, float, float] = (5.0, 1.0, 1.0),
) -> Case:
    """An axial CT of (4, 6, 8) zeros, unless told otherwise."""
    array = np.zeros((4, 6, 8), np.float32) if array is None else array
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *spacing, 1
    grid = Grid((array.shape[0], array.shape[1], array.shape[2]), affine)
    return Case({"image": Input(Volume(array, grid, "1.2.3", ()), {"Modality": "CT"} | (header or {}))})


def lung_findings(case: Case) -> list[Segmentation | Measurement]:
    """A sound pair: one mask and its volume."""
    mask = np.zeros(case.volume.grid.shape, np.uint8)
    mask[1] = 1
    return [Segmentation(mask, (LUNG,)), Measurement(VOLUME, 1.5, ML, segment="lung")]
