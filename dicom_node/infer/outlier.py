"""Whether an image is like those that a method was tried on: a distance to a site's own reference.

A few statistics of intensity and geometry make a vector; the reference holds the mean and the shrunk
covariance of many (Ledoit and Wolf 2004, here with a fixed weight), and the Mahalanobis distance says how
far an image is from them (Lee et al., NeurIPS 2018, use the same on embeddings).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dicom_node.errors import ModelUnavailable
from dicom_node.geometry import Volume

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
SHRINKAGE = 0.1
"""Weight of the diagonal in the covariance: few images make it near singular."""
FEWEST = 5
MARGIN = 1.5
"""The threshold is this many times the largest distance of an image from the reference of the others."""
MOST_VOXELS = 2_000_000


class Reference(BaseModel):
    """What the images of a reference have in common.

    Attributes:
        mean: of the features. precision: inverse of their shrunk covariance.
        threshold: distances above it are out of distribution.
        images: how many there were.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    threshold: float = Field(gt=0)
    images: int

    def distance(self, volume: Volume) -> float:
        """Mahalanobis distance of a volume's features from the reference's."""
        return _distance(features(volume), np.asarray(self.mean), np.asarray(self.precision))


def features(volume: Volume) -> NDArray[np.float64]:
    """Statistics of a volume: percentiles, mean and spread of its values, entropy, roughness and extent."""
    step = max(1, round((volume.array.size / MOST_VOXELS) ** (1 / 3)))
    values = volume.array[::step, ::step, ::step].astype(np.float64)
    counts = np.histogram(values, bins=64)[0] / values.size
    entropy = -float(np.sum(counts[counts > 0] * np.log(counts[counts > 0])))
    spread = float(values.std())
    roughness = (
        float(np.abs(np.diff(values, axis=2)).mean()) / (spread + 1e-6) if values.shape[2] > 1 else 0.0
    )
    extent = np.log(np.asarray(volume.grid.shape) * np.asarray(volume.grid.spacing))
    return np.asarray(
        [*np.percentile(values, PERCENTILES), values.mean(), spread, entropy, roughness, *extent]
    )


def make_reference(seen: Sequence[NDArray[np.float64]]) -> Reference:
    """Makes a reference of many images' features.

    The threshold comes from the distance of each image to a reference made of the others, since an image
    is always near to what it was part of. Raises ValueError where there are too few.
    """
    if len(seen) < FEWEST:
        raise ValueError(f"a reference needs at least {FEWEST} images, not {len(seen)}")
    made = np.stack(seen)
    mean, precision = _shape_of(made)
    left_out = [
        _distance(image, *_shape_of(np.delete(made, number, axis=0))) for number, image in enumerate(made)
    ]
    return Reference(
        mean=tuple(mean),
        precision=tuple(tuple(row) for row in precision),
        threshold=max(MARGIN * max(left_out), 1e-6),
        images=len(seen),
    )


def _shape_of(made: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and inverse of the shrunk covariance of (images, features)."""
    covariance = np.cov(made, rowvar=False)
    mean: NDArray[np.float64] = made.mean(axis=0)
    # What never varied in the reference may vary a little elsewhere: a floor of one percent of its size.
    floor = np.diag((0.01 * (np.abs(mean) + 1e-3)) ** 2)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance)) + floor
    return mean, np.asarray(np.linalg.inv(shrunk), np.float64)


def _distance(image: NDArray[np.float64], mean: NDArray[np.float64], precision: NDArray[np.float64]) -> float:
    return float(np.sqrt((image - mean) @ precision @ (image - mean)))


@lru_cache(maxsize=16)
def read_reference(path: Path) -> Reference:
    """The reference in a file. Raises ModelUnavailable where it can't be read."""
    try:
        return Reference.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelUnavailable(f"the reference {path.name} can't be read: {type(error).__name__}") from error


def unlike(volume: Volume, path: Path, threshold: float | None = None) -> str | None:
    """Why a volume is unlike a reference, or None where it is like it."""
    reference = read_reference(path)
    distance, limit = reference.distance(volume), threshold or reference.threshold
    if distance <= limit:
        return None
    return (
        f"the image is unlike the {reference.images} images of the reference {path.name}: "
        f"distance {distance:.1f}, allowed is {limit:.1f}"
    )
