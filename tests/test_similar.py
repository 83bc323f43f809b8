"""Embeddings as files, and which are most alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dicom_node.errors import BadInput
from dicom_node.findings import Embedding
from dicom_node.similar import cosine, embedding_bytes, nearest, read_embedding


def embedding(*values: float, model: str = "dino", version: str = "1") -> Embedding:
    return Embedding(np.asarray(values, np.float32), model, version, "1 key slice, float32")


def test_a_file_gives_its_embedding_back_and_is_the_same_always(tmp_path: Path) -> None:
    made = replace(embedding(0.1, -2.5, 1e-30, model="Größe ü"), role="prior")
    (tmp_path / "e.npz").write_bytes(embedding_bytes(made))
    read = read_embedding(tmp_path / "e.npz")
    assert read.vector.dtype == np.float32
    assert np.array_equal(read.vector, made.vector)
    assert replace(read, vector=made.vector) == made
    assert embedding_bytes(read) == embedding_bytes(made)


def test_what_is_no_embedding_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "e.npz"
    whole = embedding_bytes(embedding(1, 2))
    np.savez(tmp_path / "other.npz", array=np.ones(3))
    np.savez(tmp_path / "pickle.npz", vector=np.asarray([{}], object), allow_pickle=True)
    others = [(tmp_path / name).read_bytes() for name in ("other.npz", "pickle.npz")]
    for content in (b"", b"not a file of numbers", whole[:-30], *others):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"e\.npz holds no embedding"):
            read_embedding(path)
    with pytest.raises(BadInput, match="none"):
        read_embedding(tmp_path / "none.npz")


def test_the_nearest_come_first_and_only_what_can_be_compared_counts() -> None:
    others = {
        "east": embedding(1, 0),
        "north": embedding(0, 1),
        "between": embedding(1, 1),
        "west": embedding(-3, 0),
        "longer": embedding(1, 0, 0),
        "another model": embedding(1, 0, model="rad-dino"),
        "another version": embedding(1, 0, version="2"),
    }
    found = nearest(embedding(2, 0.2), others.items(), 9)
    assert [name for name, _ in found] == ["east", "between", "north", "west"]
    assert dict(found)["east"] == pytest.approx(1 / np.sqrt(1.01))
    assert [name for name, _ in nearest(embedding(2, 0.2), others.items(), 1)] == ["east"]


def test_a_cosine_depends_on_no_length() -> None:
    one, other = embedding(3e-20, 4e-20).vector, embedding(3e18, 4e18).vector
    assert cosine(one, other) == pytest.approx(1)
    assert cosine(one, -other) == pytest.approx(-1)
    assert cosine(one, np.zeros(2, np.float32)) == 0
