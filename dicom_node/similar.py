"""Embeddings as files that stay with their series, and which of them are most alike: by their angle."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dicom_node.errors import BadInput
from dicom_node.findings import Embedding

Name = TypeVar("Name")
FIELDS = ("model", "version", "of", "role")
"""What a file says of its vector, as text."""


def embedding_bytes(embedding: Embedding) -> bytes:
    """The file of an embedding: NumPy's .npz, which opens without pickles; the same always."""
    buffer = BytesIO()
    told = {name: np.asarray(getattr(embedding, name)) for name in FIELDS}
    np.savez(buffer, allow_pickle=False, vector=embedding.vector, **told)
    return buffer.getvalue()


def read_embedding(path: Path) -> Embedding:
    """The embedding of a file. Raises BadInput where it holds none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return Embedding(held["vector"], **{name: str(held[name]) for name in FIELDS})
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path.name} holds no embedding: {type(error).__name__}") from error


def embedder(embedding: Embedding) -> str:
    """Whose vector it is: what two embeddings must share to be compared."""
    return f"{embedding.model} {embedding.version}"


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of the angle between two vectors of one length, in -1..1; 0 where either is all zero."""
    first, second = one.astype(np.float64), other.astype(np.float64)
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.clip(first @ second / lengths, -1, 1)) if lengths else 0.0


def nearest(
    wanted: Embedding, others: Iterable[tuple[Name, Embedding]], most: int
) -> list[tuple[Name, float]]:
    """The most alike of others, with their cosines, most alike first.

    Args:
        wanted: what the others are compared with.
        others: by any name; those of another model, version or length can't be compared, and are left out.
        most: how many at most.
    """
    same = (embedder(wanted), wanted.vector.shape)
    alike = [
        (name, cosine(wanted.vector, one.vector))
        for name, one in others
        if (embedder(one), one.vector.shape) == same
    ]
    return sorted(alike, key=lambda pair: -pair[1])[:most]
