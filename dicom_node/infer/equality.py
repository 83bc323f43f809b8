"""How far two runs' findings differ: what a reduced precision, a smaller tile or another device changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dicom_node.findings import Classification, Finding, Measurement, Segmentation


@dataclass(frozen=True, slots=True)
class Difference:
    """The largest differences between two runs.

    Attributes:
        dice: smallest Dice overlap of a segment; 1 where there is none.
        value: largest relative difference of a measured value.
        probability: largest absolute difference of a probability.
    """

    dice: float
    value: float
    probability: float

    def within(self, tolerance: float) -> bool:
        """Whether every difference is at most the tolerance."""
        return max(1 - self.dice, self.value, self.probability) <= tolerance


def difference(first: Sequence[Finding], second: Sequence[Finding]) -> Difference:
    """Compares two runs on the same case; what one has and the other lacks counts as wholly different."""
    masks, others = (_masks(findings) for findings in (first, second))
    values, other_values = (_values(findings) for findings in (first, second))
    chances, other_chances = (_probabilities(findings) for findings in (first, second))
    return Difference(
        dice=min(
            (_dice(masks.get(key), others.get(key)) for key in masks.keys() | others.keys()), default=1.0
        ),
        value=max(
            (_apart(values.get(key), other_values.get(key)) for key in values.keys() | other_values.keys()),
            default=0.0,
        ),
        probability=max(
            (
                abs(chances.get(key, 0.0) - other_chances.get(key, 0.0))
                for key in chances.keys() | other_chances.keys()
            ),
            default=0.0,
        ),
    )


def _masks(findings: Sequence[Finding]) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    return {
        segment.label: finding.mask(number)
        for finding in findings
        if isinstance(finding, Segmentation)
        for number, segment in enumerate(finding.segments, start=1)
    }


def _values(findings: Sequence[Finding]) -> dict[tuple[str, ...], float]:
    return {
        (f.name.value, f.segment or "", f.derivation.value if f.derivation else ""): f.value
        for f in findings
        if isinstance(f, Measurement)
    }


def _probabilities(findings: Sequence[Finding]) -> dict[str, float]:
    return {f.name.value: f.probability or 0.0 for f in findings if isinstance(f, Classification)}


def _dice(
    first: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None,
    second: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None,
) -> float:
    if first is None or second is None:
        return 0.0
    total = np.count_nonzero(first) + np.count_nonzero(second)
    return 2 * np.count_nonzero(first & second) / total if total else 1.0


def _apart(first: float | None, second: float | None) -> float:
    if first is None or second is None:
        return 1.0
    return abs(first - second) / max(abs(first), abs(second), 1e-9)
