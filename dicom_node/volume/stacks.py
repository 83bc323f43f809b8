"""Which planes belong to one stack, and whether a stack is a regular grid: pure geometry, no pixels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dicom_node.counted import counted
from dicom_node.geometry import Grid

SPACING_TOLERANCE = 0.1
"""How far a slice may lie from its regular place, as a share of the slice spacing."""
DRIFT_TOLERANCE_MM = 0.2
"""How far a slice's origin may lie, in its plane, from the line through all origins."""
DUPLICATE_MM = 0.01
"""Slices nearer to each other than this are at one position (positions are written to 0.01 mm or finer)."""
TILT_MM = 0.5
"""Drift in the plane over a whole stack from which it counts as tilted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Where one image lies, and what tells it apart from others at the same place.

    Attributes:
        orientation: direction cosines of rows, then of columns, in LPS; None where the image has none.
        position: LPS mm of the first pixel's centre; None where the image has none.
        spacing: mm between rows, and between columns.
        thickness: mm; 0 where not stated.
        split: DICOM keywords that may differ between images at one position, with their values.
    """

    instance_number: int
    frame_of_reference_uid: str
    shape: tuple[int, int]
    orientation: tuple[float, ...] | None
    position: tuple[float, ...] | None
    spacing: tuple[float, float]
    thickness: float
    split: Mapping[str, Any]


S = TypeVar("S", bound=Slice)


@dataclass(frozen=True, slots=True)
class Fit:
    """How well planes, sorted along their normal, lie on a regular grid.

    Attributes:
        step: LPS mm from one slice's origin to the next's, fitted.
        fault: why they are not regular, in words; None where they are.
    """

    step: NDArray[np.float64]
    fault: str | None


def stacks_of(planes: Iterable[S], keywords: Sequence[str], *, uneven: bool = False) -> list[list[S]]:
    """Splits planes into stacks, each sorted along its normal, the largest first.

    Planes of different frame of reference, size, pixel spacing or orientation never share a stack.
    Where the rest has several planes at one position, or is not regular, they are told apart by what
    they state under `keywords`, and if that doesn't help, by the order of their instance numbers. With
    `uneven`, planes at different positions are one stack whatever their distances.
    """
    groups: dict[Hashable, list[S]] = defaultdict(list)
    for plane in planes:
        groups[geometry_key(plane)].append(plane)
    stacks = [
        stack for group in groups.values() for stack in _told_apart(along_normal(group), keywords, uneven)
    ]
    return sorted(stacks, key=len, reverse=True)


def geometry_key(plane: Slice) -> Hashable:
    """Equal for planes that may share a stack; cosines are written to 6 digits, and rounded by scanners."""
    cosines = None if plane.orientation is None else tuple(round(v, 3) + 0.0 for v in plane.orientation)
    spacing = tuple(round(v, 4) for v in plane.spacing)
    return plane.frame_of_reference_uid, plane.shape, spacing, cosines, plane.position is None


def along_normal(planes: Iterable[S]) -> list[S]:
    """Sorts planes of one orientation by position along row direction times column direction."""
    ordered = sorted(planes, key=lambda plane: plane.instance_number)
    if not ordered or ordered[0].orientation is None:
        return ordered
    normal = normal_of(ordered[0])
    return sorted(ordered, key=lambda plane: round(float(normal @ np.asarray(plane.position)), 3))


def normal_of(plane: Slice) -> NDArray[np.float64]:
    """The unit vector, in LPS, along which k ascends."""
    cosines = np.asarray(plane.orientation)
    normal = np.cross(cosines[:3], cosines[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def fit(planes: Sequence[Slice]) -> Fit:
    """Fits a regular grid to the origins of planes sorted along their normal."""
    normal = normal_of(planes[0])
    origins = np.asarray([plane.position for plane in planes])
    if len(planes) == 1:
        return Fit(normal * (planes[0].thickness or 1.0), None)
    heights = origins @ normal
    gaps = np.diff(heights)
    same = int((gaps < DUPLICATE_MM).sum())
    if same:
        return Fit(normal, f"{same} of {len(planes)} images lie at a position that another image has")
    step = (origins[-1] - origins[0]) / (len(planes) - 1)
    spacing = float(np.median(gaps))
    off = origins - (origins[0] + np.arange(len(planes))[:, None] * step)
    off -= off.mean(0)
    along = off @ normal
    if np.abs(gaps - spacing).max() > 2 * SPACING_TOLERANCE * spacing or (
        np.abs(along).max() > SPACING_TOLERANCE * spacing
    ):
        return Fit(step, _why_uneven(gaps, spacing))
    drift = np.linalg.norm(off - along[:, None] * normal, axis=1).max()
    if drift > DRIFT_TOLERANCE_MM:
        return Fit(step, f"the slices' origins stray up to {drift:.1f} mm from a straight line")
    return Fit(step, None)


def grid_of(planes: Sequence[Slice], step: NDArray[np.float64]) -> Grid:
    """The grid of planes sorted along their normal, `step` mm apart."""
    first = planes[0]
    cosines = np.asarray(first.orientation)
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = cosines[3:] * first.spacing[0]
    affine[:3, 2] = cosines[:3] * first.spacing[1]
    affine[:3, 3] = first.position
    return Grid((len(planes), *first.shape), affine)


def tilt_degrees(grid: Grid) -> float:
    """Angle between the line through the slices' origins and their normal; 0 where the drift is nothing."""
    normal = np.cross(grid.directions[:, 2], grid.directions[:, 1])
    step = grid.affine[:3, 0]
    drift = np.linalg.norm(step - (step @ normal) * normal)
    if drift * (grid.shape[0] - 1) < TILT_MM:
        return 0.0
    return float(np.degrees(np.arctan2(drift, abs(step @ normal))))


def _why_uneven(gaps: NDArray[np.float64], spacing: float) -> str:
    whole = np.rint(gaps / spacing)
    if (np.abs(gaps - whole * spacing) <= 2 * SPACING_TOLERANCE * spacing).all() and whole.min() >= 1:
        absent, places = int(whole.sum()) - len(gaps), int((whole > 1).sum())
        return f"{counted(absent, 'slice')} missing in {counted(places, 'place')}"
    return f"the distance between slices varies from {gaps.min():.2f} to {gaps.max():.2f} mm"


def _told_apart(group: list[S], keywords: Sequence[str], uneven: bool) -> list[list[S]]:
    """Splits a group of one orientation until each part is regular, as far as that goes."""
    if group[0].orientation is None or group[0].position is None:
        return [group]
    crowd = _crowd(group)
    if fit(group).fault is None or (uneven and crowd == 1):
        return [group]
    for keyword in keywords:
        parts = _parts(group, keyword)
        if len(parts) < 2:
            continue
        regular = min(map(len, parts)) > 1 and all(fit(part).fault is None for part in parts)
        if regular or (len(parts) <= crowd and max(map(_crowd, parts)) < crowd):
            return [stack for part in parts for stack in _told_apart(part, keywords, uneven)]
    return _by_order(group, crowd) if crowd > 1 else [group]


def _parts(group: Sequence[S], keyword: str) -> list[list[S]]:
    parts: dict[str, list[S]] = defaultdict(list)
    for plane in group:
        parts[str(plane.split.get(keyword))].append(plane)
    return list(parts.values())


def _positions(group: Sequence[Slice]) -> list[int]:
    """Numbers the distinct positions of planes sorted along their normal."""
    heights = np.asarray([plane.position for plane in group]) @ normal_of(group[0])
    return [0, *np.cumsum(np.diff(heights) >= DUPLICATE_MM).tolist()]


def _crowd(group: Sequence[Slice]) -> int:
    """The largest number of planes at one position."""
    return max(Counter(_positions(group)).values())


def _by_order(group: list[S], crowd: int) -> list[list[S]]:
    """Deals planes out by instance number where each position has equally many; else leaves them together."""
    parts: list[list[S]] = [[] for _ in range(crowd)]
    seen: Counter[int] = Counter()
    for position, plane in zip(_positions(group), group, strict=True):
        parts[seen[position]].append(plane)
        seen[position] += 1
    return parts if min(seen.values()) == crowd else [group]
