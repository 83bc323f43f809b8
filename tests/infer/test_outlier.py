"""Images unlike a site's reference are told apart, before any model sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dicom_node.cli.models import models
from dicom_node.errors import ModelUnavailable
from dicom_node.geometry import Grid, Volume
from dicom_node.infer.gates import check_requirements
from dicom_node.infer.outlier import features, make_reference
from dicom_node.phantom.series import axial_grid, write_series
from dicom_node.pipeline import Input, Requirements

GRID = axial_grid((12, 32, 32), (4.0, 2.0, 2.0))


def head(
    seed: int, *, gain: float = 1.0, noise: float = 10.0
) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """A bright ball in air, a little different each time."""
    draw = np.random.default_rng(seed)
    k, j, i = np.ogrid[:12, :32, :32]
    ball = ((k - 6) / 5) ** 2 + ((j - 16) / 12) ** 2 + ((i - 16) / 12) ** 2 < draw.uniform(0.9, 1.1)
    return np.asarray(np.where(ball, gain * 400, 0) + draw.normal(0, noise, ball.shape), np.int16)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the command, of DICOM files."""
    root = tmp_path_factory.mktemp("reference")
    for seed in range(12):
        write_series(head(seed), GRID, root / str(seed), "MR")
    (root / "odd").mkdir()
    (root / "odd" / "no.dcm").write_bytes(b"no image")
    folders = [str(folder) for folder in root.iterdir()]
    made = CliRunner().invoke(models, ["reference", *folders, "--output", str(root / "reference.json")])
    assert made.exit_code == 0, made.output
    assert "12 images" in made.output
    return root / "reference.json"


def reason(reference: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.int16]], grid: Grid = GRID) -> str:
    requires = Requirements(modality=("MR",), reference=reference)
    return check_requirements(requires, Input(Volume(array, grid, "1.2", ()), {"Modality": "MR"})) or ""


def test_what_is_alike_passes(reference: Path) -> None:
    assert [reason(reference, head(seed)) for seed in range(100, 110)] == [""] * 10


def test_what_is_unlike_is_refused_with_its_distance(reference: Path) -> None:
    wide = axial_grid((12, 32, 32), (8.0, 4.0, 4.0))
    for array, grid in (
        (head(1, gain=3), GRID),
        (head(1, noise=150), GRID),
        (np.zeros_like(head(1)), GRID),
        (400 - head(1), GRID),
        (head(1), wide),
    ):
        assert "unlike the 12 images of the reference" in reason(reference, array, grid)


def test_a_reference_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="can't be read"):
        reason(tmp_path / "none.json", head(1))


def test_a_reference_needs_enough_images() -> None:
    with pytest.raises(ValueError, match="at least 5"):
        make_reference([features(Volume(head(1), GRID, "1.2", ()))])
