"""From modality values to grey levels, as the source's own window says (PS3.3 C.11.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.multival import MultiValue

from dicom_node.encode.planes import functional_group

STRIDE = 4
"""Of pixels that a window is taken from, each way: sorting all of a slice's takes longer than showing it."""


def window_of(
    ds: Dataset, frame: int | None, values: NDArray[np.int16] | NDArray[np.float32]
) -> tuple[float, float]:
    """Centre and width in modality units: the source's first window, else the middle 98 % of the values."""
    group = functional_group(ds, "FrameVOILUTSequence", frame)
    center, width = _first(group, "WindowCenter"), _first(group, "WindowWidth")
    if center is not None and width is not None and width >= 1:
        return center, width
    low, high = np.percentile(values[::STRIDE, ::STRIDE], (1, 99))
    return float(low + high) / 2, max(float(high - low), 1.0)


def grey(
    values: NDArray[np.int16] | NDArray[np.float32], center: float, width: float, *, inverted: bool = False
) -> NDArray[np.uint8]:
    """Grey levels 0 to 255 by the linear function of PS3.3 C.11.2.1.2.1; `inverted` for MONOCHROME1."""
    scaled = (values.astype(np.float32) - (center - 0.5)) / max(width - 1, 1) + 0.5
    levels = np.clip(np.rint(scaled * 255), 0, 255).astype(np.uint8)
    return np.asarray(255 - levels if inverted else levels, dtype=np.uint8)


def _first(ds: Dataset, keyword: str) -> float | None:
    value = ds.get(keyword)
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    return None if value in (None, "") else float(value)
