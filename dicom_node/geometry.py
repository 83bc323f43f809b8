"""Volumes in patient coordinates: the shape that images take between the files and a pipeline.

Coordinates are DICOM's patient system (PS3.3 C.7.6.2.1.1): millimetres, x to the patient's left,
y to the back, z to the head (LPS). Array axes are always (k, j, i): k counts slices along the
volume's normal, j rows (down the image), i columns (to the right in the image).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Frame:
    """One source image: a single-frame instance, or one frame of a multi-frame one."""

    sop_class_uid: str
    sop_instance_uid: str
    number: int | None = None
    """Frame number, from 1; None for a single-frame instance."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid of voxels in patient coordinates.

    Attributes:
        shape: (slices, rows, columns).
        affine: 4x4 float64; maps (k, j, i, 1) of a voxel's centre to (x, y, z, 1) in LPS millimetres.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between voxel centres in mm along (k, j, i)."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def directions(self) -> NDArray[np.float64]:
        """3x3; column n is the unit vector, in LPS, of axis n of (k, j, i)."""
        return np.asarray(self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    def to_patient(self, index: NDArray[np.floating] | tuple[float, ...]) -> NDArray[np.float64]:
        """Maps (..., 3) indices (k, j, i) to (..., 3) LPS millimetres."""
        points = np.asarray(index, dtype=np.float64)
        return points @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, point: NDArray[np.floating] | tuple[float, ...]) -> NDArray[np.float64]:
        """Maps (..., 3) LPS millimetres to (..., 3) fractional indices (k, j, i)."""
        points = np.asarray(point, dtype=np.float64)
        return (points - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T


@dataclass(frozen=True, slots=True)
class Volume:
    """The pixels of a series as one regular array, in the modality's units (HU, SUV or as stored).

    Attributes:
        array: (k, j, i), int16 or float32, after the modality's rescale.
        grid: where each voxel lies in the patient.
        frame_of_reference_uid: the source's; results carry the same.
        frames: one source frame for each k, so that a mask's slice k lies on frames[k]; empty when
            the array was resampled and its slices are no longer the source's own.
        unit: UCUM code of the values ("[hnsf'U]" for CT), or "1" where the values have no unit.
        notes: what was done or found on the way (tilt sheared, slices missing), in words.
    """

    array: NDArray[np.int16] | NDArray[np.float32]
    grid: Grid
    frame_of_reference_uid: str
    frames: tuple[Frame, ...]
    unit: str = "1"
    notes: tuple[str, ...] = field(default=())
