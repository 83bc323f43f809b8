"""A chest made of simple shapes, whose lung volumes and densities are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import pi
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dicom_node.geometry import Grid
from dicom_node.phantom.series import axial_grid, write_series

Point = tuple[float, float, float]

AIR, LUNG, EMPHYSEMA, FAT, SOFT, BLOOD, TABLE, BONE = -1000, -860, -985, -100, 40, 45, 150, 400
"""HU of what the phantom is made of."""
NOISE_HU = 12.0
BLUR_PIXELS = 0.5
"""Point spread of the imaginary scanner, in the plane."""


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """Axes along the patient's; LPS mm."""

    centre: Point
    semi_axes: Point
    hu: float

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper corner."""
        centre, size = np.asarray(self.centre), np.asarray(self.semi_axes)
        return centre - size, centre + size

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tests (..., 3) points."""
        scaled = (points - np.asarray(self.centre)) / np.asarray(self.semi_axes)
        return np.asarray(np.einsum("...n,...n", scaled, scaled) <= 1)

    @property
    def ml(self) -> float:
        """Volume, analytically."""
        a, b, c = self.semi_axes
        return 4 / 3 * pi * a * b * c / 1000


@dataclass(frozen=True, slots=True)
class Tube:
    """A straight tube with round ends; LPS mm."""

    start: Point
    end: Point
    radius: float
    hu: float

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper corner."""
        ends = np.asarray([self.start, self.end])
        return ends.min(0) - self.radius, ends.max(0) + self.radius

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tests (..., 3) points."""
        start, along = np.asarray(self.start), np.subtract(self.end, self.start)
        away = points - start
        share = np.clip(away @ along / (along @ along), 0, 1)
        away -= share[..., None] * along
        return np.asarray(np.einsum("...n,...n", away, away) <= self.radius**2)


Shape = Ellipsoid | Tube

LUNGS: Mapping[str, Ellipsoid] = {
    "right": Ellipsoid((-78, 0, -5), (58, 82, 112), LUNG),
    "left": Ellipsoid((76, 0, 0), (52, 80, 108), LUNG),
}
CARINA: Point = (0, 15, 35)


@dataclass(frozen=True, slots=True)
class ChestTruth:
    """What is known of the phantom's lungs, by side ("left", "right").

    Attributes:
        ml: volume of each ellipsoid, vessels within it included.
        mean_hu: mean of its voxels before noise and blur.
        below_950: percentage of its voxels below -950 HU before noise and blur, airways left out.
    """

    ml: Mapping[str, float]
    mean_hu: Mapping[str, float]
    below_950: Mapping[str, float]


def chest(
    shape: tuple[int, int, int] = (120, 512, 512),
    spacing: tuple[float, float, float] = (2.5, 0.72, 0.72),
    grid: Grid | None = None,
    seed: int = 1,
) -> tuple[NDArray[np.int16], Grid, ChestTruth]:
    """Draws the phantom.

    Args:
        shape: (slices, rows, columns), of axial slices from the feet up.
        spacing: mm along (k, j, i).
        grid: any other grid, in place of these.
        seed: of the noise.

    Returns:
        (k, j, i) int16 in HU, its grid, and the truth.
    """
    grid = grid or axial_grid(shape, spacing)
    array = np.full(grid.shape, AIR, np.float32)
    for item in _anatomy():
        _paint(array, grid, item)
    truth = _truth(array, grid)
    rng = np.random.default_rng(seed)
    for k, plane in enumerate(array):
        blurred = gaussian_filter(plane, BLUR_PIXELS)
        array[k] = blurred + rng.standard_normal(plane.shape, np.float32) * np.float32(NOISE_HU)
    return np.rint(np.clip(array, -1024, 3071)).astype(np.int16), grid, truth


def write_chest(folder: Path, attributes: Mapping[str, object] | None = None) -> ChestTruth:
    """Writes the phantom of `chest()` as a CT series of 120 slices, and returns the truth."""
    array, grid, truth = chest()
    named = {
        "PatientName": "PHANTOM^CHEST",
        "PatientID": "PHANTOM-CHEST",
        "BodyPartExamined": "CHEST",
        "StudyDescription": "CT chest, phantom",
        "SeriesDescription": "Chest phantom of known lung volumes",
        "ProtocolName": "Phantom",
    }
    write_series(array, grid, folder, "CT", named | dict(attributes or {}))
    return truth


def _anatomy() -> Iterator[Shape]:
    """Yields the shapes in the order in which they are painted over one another."""
    yield Tube((-190, 152, -1000), (-190, 152, 1000), 8, TABLE)
    yield Tube((190, 152, -1000), (190, 152, 1000), 8, TABLE)
    yield Ellipsoid((0, 0, 0), (178, 128, 5000), FAT)
    yield Ellipsoid((0, 0, 0), (162, 113, 5000), SOFT)
    yield Tube((0, 88, -1000), (0, 88, 1000), 18, BONE)
    yield Ellipsoid((70, -30, -135), (45, 35, 18), AIR)  # gas in the stomach, no lung
    for side, lung in LUNGS.items():
        yield lung
        yield from _emphysema(lung)
        yield from _vessels(side, lung)
    yield from _airways()


def _emphysema(lung: Ellipsoid) -> Iterator[Shape]:
    x, y, z = lung.centre
    yield Ellipsoid((x, y - 20, z + 55), (20, 25, 25), EMPHYSEMA)


def _vessels(side: str, lung: Ellipsoid) -> Iterator[Shape]:
    """Yields straight vessels from the hilum, thinner to the periphery, all within the lung."""
    inward = 1.0 if side == "right" else -1.0
    x, y, z = lung.centre
    hilum = (x + inward * 0.7 * lung.semi_axes[0], y + 5.0, z)
    for rise in (-0.65, -0.3, 0.05, 0.4, 0.7):
        for depth in (-0.5, 0.0, 0.45):
            reach = 0.75 * np.sqrt(max(1 - rise**2 - depth**2, 0.05))
            middle = (x, y + 0.5 * depth * lung.semi_axes[1], z + 0.6 * rise * lung.semi_axes[2])
            end = (
                x - inward * reach * 0.7 * lung.semi_axes[0],
                y + 0.8 * depth * lung.semi_axes[1],
                z + 0.85 * rise * lung.semi_axes[2],
            )
            yield Tube(hilum, middle, 3.0, BLOOD)
            yield Tube(middle, end, 1.6, BLOOD)


def _airways() -> Iterator[Shape]:
    """Yields trachea and main bronchi: walls first, then the air; the bronchi open into the lungs."""
    lines = [
        (CARINA, (0.0, 5.0, 1000.0), 9.0),
        (CARINA, (-36.0, 8.0, 8.0), 6.5),
        (CARINA, (38.0, 8.0, 6.0), 6.0),
    ]
    for start, end, radius in lines:
        yield Tube(start, end, radius + 1.5, SOFT)
    for start, end, radius in lines:
        yield Tube(start, end, radius, AIR)


def _paint(array: NDArray[np.float32], grid: Grid, item: Shape) -> None:
    for window, points in _planes(grid, item):
        array[window][item.inside(points)] = item.hu


def _truth(array: NDArray[np.float32], grid: Grid) -> ChestTruth:
    values = {
        side: np.concatenate([array[window][lung.inside(points)] for window, points in _planes(grid, lung)])
        for side, lung in LUNGS.items()
    }
    return ChestTruth(
        ml={side: lung.ml for side, lung in LUNGS.items()},
        mean_hu={side: float(inside.mean()) for side, inside in values.items()},
        below_950={side: float(100 * (inside == EMPHYSEMA).mean()) for side, inside in values.items()},
    )


def _planes(grid: Grid, item: Shape) -> Iterator[tuple[tuple[int, slice, slice], NDArray[np.float64]]]:
    """Yields, for each slice that a shape may touch, a window (k, rows, columns) and its voxels' places."""
    bounds = np.asarray(item.bounds)
    corners = np.stack(np.meshgrid(*bounds.T, indexing="ij"), axis=-1).reshape(-1, 3)
    index = grid.to_index(corners)
    lower = np.maximum(np.floor(index.min(0)), 0).astype(int)
    upper = np.minimum(np.ceil(index.max(0)) + 1, grid.shape).astype(int)
    rows, columns = np.meshgrid(*map(np.arange, lower[1:], upper[1:]), indexing="ij")
    first = grid.to_patient(np.stack([np.zeros_like(rows), rows, columns], axis=-1))
    for k in range(lower[0], upper[0]):
        window = (k, slice(lower[1], upper[1]), slice(lower[2], upper[2]))
        yield window, first + k * grid.affine[:3, 0]
