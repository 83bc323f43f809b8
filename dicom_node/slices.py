"""Volumes to pictures for models that see in two dimensions: which slices, in which window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_node.geometry import Volume

PERCENTILES = (0.5, 99.5)
"""The grey range where neither site nor header gives a window."""


@dataclass(frozen=True, slots=True)
class KeySlice:
    """One slice as a picture: `k` in the volume, (rows, columns, 3) uint8."""

    k: int
    picture: NDArray[np.uint8]


def evenly(slices: int, count: int) -> list[int]:
    """At most `count` of a volume's slices, spread evenly with the ends left out."""
    number = min(count, slices)
    return [int((position + 0.5) * slices / number) for position in range(number)]


def key_slices(
    volume: Volume,
    header: Mapping[str, Any],
    ks: Sequence[int],
    window: tuple[float, float] | None = None,
) -> list[KeySlice]:
    """Shows slices of a volume in a window.

    Args:
        volume: (k, j, i).
        header: where Window Center and Width (0028,1050 and 0028,1051) may stand.
        ks: which slices.
        window: (centre, width) in the volume's units; None: the header's, or percentiles of the volume.
    """
    lower, upper = grey_range(volume, header, window)
    return [KeySlice(k, _shown(volume.array[k], lower, upper)) for k in ks]


def grey_range(
    volume: Volume, header: Mapping[str, Any], window: tuple[float, float] | None = None
) -> tuple[float, float]:
    """The values that are shown black and white (PS3.3 C.11.2.1.2)."""
    stated = window or _stated_window(header)
    if stated is not None:
        centre, width = stated
        return centre - width / 2, centre + width / 2
    lower, upper = np.percentile(volume.array, PERCENTILES)
    return float(lower), float(max(upper, lower + 1))


def montage(pictures: Sequence[NDArray[np.uint8]], columns: int | None = None) -> NDArray[np.uint8]:
    """Lays pictures of one size side by side, row by row: (rows, columns, 3) uint8."""
    columns = columns or int(np.ceil(np.sqrt(len(pictures))))
    rows = int(np.ceil(len(pictures) / columns))
    height, width = pictures[0].shape[:2]
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height, left : left + width] = picture
    return sheet


def _shown(array: NDArray[Any], lower: float, upper: float) -> NDArray[np.uint8]:
    scaled = np.clip((array.astype(np.float32) - lower) / (upper - lower), 0, 1)
    return np.repeat(np.rint(scaled * 255).astype(np.uint8)[..., None], 3, axis=2)


def _stated_window(header: Mapping[str, Any]) -> tuple[float, float] | None:
    """The header's first window, or None where it states none that can be used."""
    pair = []
    for keyword in ("WindowCenter", "WindowWidth"):
        value = header.get(keyword)
        first = value[0] if isinstance(value, list | tuple) and value else value
        try:
            pair.append(float(first))  # type: ignore[arg-type]  # None and odd values raise, as is meant
        except (TypeError, ValueError):
            return None
    return (pair[0], pair[1]) if pair[1] > 0 else None
