"""Embeddings kept by series, and the series most alike: a folder of vectors, compared by their angle."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UID = re.compile(r"[0-9.]{1,64}")


class EmbeddingIndex:
    """One model's embeddings, a file for each series. Any process may add to it while others read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, series_instance_uid: str, vector: NDArray[np.float32]) -> None:
        """Keeps a series' vector, in the place of an earlier one. Raises ValueError for what is no UID."""
        if not UID.fullmatch(series_instance_uid):
            raise ValueError("a series is kept by its Series Instance UID")
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f"{series_instance_uid}.{os.getpid()}.tmp"
        with temporary.open("wb") as file:
            np.save(file, unit(vector))
        temporary.replace(self._folder / f"{series_instance_uid}.npy")

    def nearest(self, vector: NDArray[np.float32], count: int, without: str = "") -> list[tuple[str, float]]:
        """The series most alike, with the cosine of the angle between the vectors, most alike first.

        Args:
            vector: of the series that is compared.
            count: how many at most.
            without: a Series Instance UID that is left out.
        """
        files = [path for path in sorted(self._folder.glob("*.npy")) if path.stem != without]
        wanted = unit(vector)
        kept = [(path.stem, np.load(path, allow_pickle=False)) for path in files]
        alike = [(uid, float(held @ wanted)) for uid, held in kept if held.shape == wanted.shape]
        return sorted(alike, key=lambda pair: -pair[1])[:count]


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """A vector of length 1 in the same direction."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
