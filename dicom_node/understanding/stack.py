"""How the images of a series lie in the patient, from headers alone: plane, distances, extent, in mm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from dicom_node.understanding.belief import Answer
from dicom_node.understanding.header import Header

_PLANES = ("sagittal", "coronal", "axial")
"""By the patient's axis (x to the left, y to the back, z to the head) that the normal lies nearest to."""
_ALIKE = 0.996
"""Cosine of 5 degrees: normals this near are parallel."""
_SAME_MM = 0.01
_FIRST_FRAME = 0.9
"""How often all frames of a multi-frame object lie as its first does."""
Vector = tuple[float, float, float]


def stack_answers(header: Header, fields: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Answers on plane, slices, slice_mm, pixel_mm and coverage_mm.

    Args:
        header: of the series' first image.
        fields: `headers.slice_fields` of every image; may be empty.
    """
    images = [Header(one) for one in fields] or [header]
    normals = [normal for normal in map(_normal, images) if normal is not None]
    answers = []
    spacing = header.numbers("PixelSpacing", 2)
    if spacing is not None and min(spacing) > 0:
        answers.append(Answer("pixel_mm", max(spacing), 1.0, ("PixelSpacing",)))
    if not normals:
        return answers + _of_first_frame(header)
    along = [normal for normal in normals if abs(_dot(normal, normals[0])) > _ALIKE]
    agreed = len(along) / len(images)
    answers.append(_plane(normals[0], agreed, _normals(len(along), len(images))))
    return answers + _depths(header, images, normals[0], agreed)


def _normals(along: int, images: int) -> str:
    """Whose normal it is, as the subject of a sentence."""
    if images == 1:
        return "the normal of the only image lies"
    return f"the normal of {'all' if along == images else f'{along} of'} {images} images lies"


def _of_first_frame(header: Header) -> list[Answer]:
    """The plane of a multi-frame object, of which the header tells the first frame's orientation alone."""
    normal = _normal(header)
    return [] if normal is None else [_plane(normal, _FIRST_FRAME, "the first frame's normal lies")]


def _plane(normal: Vector, agreed: float, says: str) -> Answer:
    """The plane that a normal lies nearest to; the more oblique, the less sure."""
    shares = [abs(axis) for axis in normal]
    nearest = max(range(3), key=lambda axis: shares[axis])
    because = f"{says} {shares[nearest]:.0%} along one axis"
    return Answer("plane", _PLANES[nearest], agreed * shares[nearest] ** 2, (because,))


def _depths(header: Header, images: Sequence[Header], normal: Vector, agreed: float) -> list[Answer]:
    """Slices at different depths along a normal, their usual distance, and the extent from edge to edge."""
    positions = [image.numbers("ImagePositionPatient", 3) for image in images]
    depths = sorted(_dot((p[0], p[1], p[2]), normal) for p in positions if p is not None)
    distinct = [
        depth for index, depth in enumerate(depths) if not index or depth - depths[index - 1] > _SAME_MM
    ]
    if not distinct or (len(distinct) == 1 and (header.number("NumberOfFrames") or 1) > 1):
        return []  # of a multi-frame object only the first frame is known here
    answers = [Answer("slices", len(distinct), agreed, ("different depths along the normal",))]
    steps = [right - left for left, right in pairwise(distinct)]
    step = (
        median(steps) if steps else header.number("SpacingBetweenSlices") or header.number("SliceThickness")
    )
    if step is None:
        return answers
    even = sum(abs(one - step) <= 0.1 * step for one in steps) / len(steps) if steps else 0.6
    because = f"{even:.0%} of the distances are {step:.2f} mm" if steps else "of the only slice, as stated"
    answers.append(Answer("slice_mm", round(step, 3), agreed * even, (because,)))
    extent = distinct[-1] - distinct[0] + step
    answers.append(Answer("coverage_mm", round(extent, 1), agreed, ("first to last slice, edge to edge",)))
    return answers


def _normal(image: Header) -> Vector | None:
    """The unit normal of an image: row direction times column direction (PS3.3 C.7.6.2.1.1)."""
    found = image.numbers("ImageOrientationPatient", 6)
    if found is None:
        return None
    rx, ry, rz, cx, cy, cz = found
    normal = (ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx)
    length = _dot(normal, normal) ** 0.5
    return (normal[0] / length, normal[1] / length, normal[2] / length) if length > 0.5 else None


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
