"""Straightens tilted or unevenly spaced stacks, and brings what was found back to their own slices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dicom_node.errors import GeometryError
from dicom_node.findings import Detection, Finding, Heatmap, Segmentation
from dicom_node.geometry import Grid, Volume
from dicom_node.volume.stacks import Slice, normal_of

WIDEST_GAP = 2.5
"""A distance between slices above this many times the usual one can't be bridged: slices are missing."""


@dataclass(frozen=True, slots=True)
class Straightening:
    """How the slices of a stack lie on a regular, orthogonal grid made for them.

    Attributes:
        grid: the orthogonal grid, with the source's pixel spacing and orientation.
        heights: (n,) where each source slice lies along k of the grid, in grid slices.
        shifts: (n, 2) where each source slice's first pixel lies, in grid rows and columns.
        shape: of the source: (slices, rows, columns).
    """

    grid: Grid
    heights: NDArray[np.float64]
    shifts: NDArray[np.float64]
    shape: tuple[int, int, int]

    def forward(self, array: NDArray[np.int16] | NDArray[np.float32], outside: float) -> NDArray[np.float32]:
        """Resamples source slices linearly.

        Args:
            array: (k, j, i) source slices.
            outside: value of what no source slice covers.

        Returns:
            float32 on the grid.
        """
        out = np.empty(self.grid.shape, np.float32)
        for k in range(self.grid.shape[0]):
            above = int(np.searchsorted(self.heights, k, side="right"))
            lower, upper = max(above - 1, 0), min(above, len(self.heights) - 1)
            gap = self.heights[upper] - self.heights[lower]
            share = np.float32((k - self.heights[lower]) / gap if gap else 0.0)
            out[k] = self._moved(array[lower], lower, outside)
            if share > 0:
                out[k] += share * (self._moved(array[upper], upper, outside) - out[k])
        return out

    def back(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """Brings an array on the grid, (..., k, j, i), to the source's slices, by nearest neighbours."""
        ks = np.clip(np.rint(self.heights), 0, self.grid.shape[0] - 1).astype(int)
        _, rows, columns = self.shape
        out = np.empty((*array.shape[:-3], *self.shape), array.dtype)
        for n, (k, shift) in enumerate(zip(ks, np.rint(self.shifts).astype(int), strict=True)):
            out[..., n, :, :] = array[..., k, shift[0] : shift[0] + rows, shift[1] : shift[1] + columns]
        return out

    def index_back(self, index: tuple[float, float, float]) -> tuple[float, float, float]:
        """Brings an index (k, j, i) on the grid to the source's slices."""
        n = float(np.interp(index[0], self.heights, np.arange(len(self.heights))))
        nearest = round(n)
        j, i = np.asarray(index[1:]) - self.shifts[nearest]
        return n, float(j), float(i)

    def _moved(
        self, pixels: NDArray[np.int16] | NDArray[np.float32], n: int, outside: float
    ) -> NDArray[np.float32]:
        """A source slice at its place among the grid's rows and columns, interpolated linearly."""
        canvas = np.full((self.grid.shape[1] + 1, self.grid.shape[2] + 1), outside, np.float32)
        (row, column), (rows, columns) = np.floor(self.shifts[n] + 1e-6).astype(int), pixels.shape
        canvas[row + 1 : row + 1 + rows, column + 1 : column + 1 + columns] = pixels
        down, right = (self.shifts[n] - (row, column)).astype(np.float32)
        canvas = canvas[1:] + down * (canvas[:-1] - canvas[1:])
        return np.asarray(canvas[:, 1:] + right * (canvas[:, :-1] - canvas[:, 1:]))


@dataclass(frozen=True, slots=True)
class Straight:
    """A volume that a pipeline can take as a plain box, and the way back to the source's slices.

    Attributes:
        volume: regular and orthogonal; the source itself where that is so.
        source: the source's own slices, aligned with its frames; where they are unevenly spaced, its grid
            is that of the mean spacing, and only the frames say where each slice lies.
        straightening: None where nothing had to be straightened.
        even: the source's slices make a grid, be it oblique.
    """

    volume: Volume
    source: Volume
    straightening: Straightening | None = None
    even: bool = True

    @property
    def target(self) -> Volume:
        """What findings lie on after `back`: the source's slices where they make a grid, else the box."""
        return self.source if self.even else self.volume

    def back(self, findings: Iterable[Finding], role: str = "image") -> list[Finding]:
        """Brings masks, heat maps and boxes of one role from the volume to the target."""
        return [self._back(finding, role) for finding in findings]

    def _back(self, finding: Finding, role: str) -> Finding:
        if self.straightening is None or not self.even or getattr(finding, "role", None) != role:
            return finding
        match finding:
            case Segmentation():
                return replace(finding, array=self.straightening.back(finding.array))
            case Heatmap():
                return replace(finding, array=self.straightening.back(finding.array).astype(np.float32))
            case Detection():
                lower, upper = map(self.straightening.index_back, (finding.lower, finding.upper))
                return replace(finding, lower=lower, upper=upper)
            case _:
                return finding


def straightening_of(stack: Sequence[Slice]) -> Straightening:
    """Finds the orthogonal grid for slices of one orientation, sorted along their normal.

    The grid's spacing along the normal is the slices' median distance; its rows and columns are widened so
    that every slice fits.

    Raises:
        GeometryError: two slices at one position, or slices missing.
    """
    first, normal = stack[0], normal_of(stack[0])
    origins = np.asarray([plane.position for plane in stack])
    heights = (origins - origins[0]) @ normal
    gaps = np.diff(heights)
    if not len(gaps) or gaps.min() <= 0:
        raise GeometryError("slices that lie at one position can't be resampled")
    spacing = float(np.median(gaps))
    if gaps.max() > WIDEST_GAP * spacing:
        raise GeometryError(f"slices are missing: a gap of {gaps.max():.1f} mm among {spacing:.1f} mm")
    cosines = np.asarray(first.orientation)
    plane = np.stack([cosines[3:] * first.spacing[0], cosines[:3] * first.spacing[1]])
    shifts = (origins - origins[0]) @ (plane / np.asarray(first.spacing)[:, None] ** 2).T
    lowest = np.floor(shifts.min(0) + 1e-6)
    rows, columns = (np.ceil((shifts - lowest).max(0) - 1e-6)).astype(int) + first.shape
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = normal * spacing, plane[0], plane[1]
    affine[:3, 3] = origins[0] + lowest @ plane
    slices = int(np.floor(heights[-1] / spacing + 1e-6)) + 1
    return Straightening(
        grid=Grid((slices, int(rows), int(columns)), affine),
        heights=heights / spacing,
        shifts=shifts - lowest,
        shape=(len(stack), *first.shape),
    )
