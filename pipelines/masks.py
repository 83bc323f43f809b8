"""Masks of a model's structures, out of label maps and of layers, without holding all of them at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Name = TypeVar("Name", bound=Hashable)
Masks = Mapping[int, NDArray[np.bool_]]
"""(k, j, i) by a structure's number."""


class LabelMasks(Mapping[Name, NDArray[np.bool_]]):
    """Masks of a label map, each made when it is asked for: a hundred of them would not fit memory."""

    def __init__(self, labels: NDArray[np.integer[Any]], values: Mapping[Name, tuple[int, ...]]) -> None:
        """Takes a (k, j, i) label map, and the labels that make each structure."""
        self.labels, self.values_of = labels, dict(values)

    def __getitem__(self, name: Name) -> NDArray[np.bool_]:
        values = self.values_of[name]
        if len(values) == 1:
            return np.asarray(self.labels == values[0])
        return np.isin(self.labels, values)

    def __iter__(self) -> Iterator[Name]:
        return iter(self.values_of)

    def __len__(self) -> int:
        return len(self.values_of)


def masks_of(result: NDArray[Any], channels: Sequence[int]) -> Masks | None:
    """Masks by channel number, of a label map (1, k, j, i) or of one layer a channel; None if neither."""
    if result.shape[0] == 1 and (len(channels) > 1 or channels[0] != 0):
        labels = np.rint(result[0]).astype(np.int32)
        return LabelMasks(labels, {number: (number,) for number in channels})
    if result.shape[0] > max(channels):
        return {number: result[number] >= 0.5 for number in channels}
    return None


def by_label(masks: Masks, labels: Mapping[str, int]) -> Mapping[str, NDArray[np.bool_]]:
    """The same masks by their structures' labels."""
    if isinstance(masks, LabelMasks):
        return LabelMasks(masks.labels, {label: masks.values_of[n] for label, n in labels.items()})
    return {label: masks[number] for label, number in labels.items()}


def stacked(masks: Masks, numbers: Sequence[int]) -> NDArray[np.generic]:
    """One label map, 1 for the first of the numbers, where no masks overlap, else one bool layer a mask."""
    if isinstance(masks, LabelMasks) and all(len(masks.values_of[number]) == 1 for number in numbers):
        values = [masks.values_of[number][0] for number in numbers]
        table = np.zeros(max(*values, int(masks.labels.max())) + 1, np.min_scalar_type(len(numbers)))
        table[values] = np.arange(1, len(numbers) + 1)
        return np.asarray(table[np.maximum(masks.labels, 0)])
    layers = np.stack([masks[number] for number in numbers])
    if np.count_nonzero(layers, axis=0).max() > 1:
        return layers
    ascending = np.arange(1, len(numbers) + 1, dtype=np.min_scalar_type(len(numbers)))
    return np.asarray(np.tensordot(ascending, layers, axes=1), dtype=ascending.dtype)
