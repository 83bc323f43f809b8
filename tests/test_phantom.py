"""The phantom is what it says: valid DICOM, and lungs of the stated volumes."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_node.phantom import axial_grid, chest, reoriented, write_series

SHAPE, SPACING = (40, 128, 128), (7.5, 2.88, 2.88)


def validator(name: str) -> str:
    """The program of the dicom3tools package, beside this Python."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is not installed")
    return str(path)


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_series_passes_the_validator(tmp_path: Path, modality: str) -> None:
    array = np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5)
    paths = write_series(array, axial_grid((3, 4, 5), (2, 1, 1)), tmp_path, modality)  # type: ignore[arg-type]
    for path in paths:
        report = subprocess.run([validator("dciodvfy"), path], capture_output=True, text=True, check=False)
        assert "Error" not in report.stderr
    report = subprocess.run([validator("dcentvfy"), *paths], capture_output=True, text=True, check=False)
    assert "Error" not in report.stderr


def test_values_and_positions_are_those_given(tmp_path: Path) -> None:
    array = np.arange(-30, 30, dtype=np.int16).reshape(3, 4, 5)
    paths = write_series(array, axial_grid((3, 4, 5), (2, 1, 0.5), (10, 20, 30)), tmp_path, "CT")
    ds = pydicom.dcmread(paths[2])
    assert ds.ImagePositionPatient == [9.0, 18.5, 32.0]
    assert ds.PixelSpacing == [1, 0.5]
    np.testing.assert_array_equal(ds.pixel_array + float(ds.RescaleIntercept), array[2])


def test_lungs_have_the_stated_volume_and_density() -> None:
    array, grid, truth = chest(SHAPE, SPACING)
    points = grid.to_patient(np.stack(np.indices(grid.shape), axis=-1))
    for side, sign in (("right", -1), ("left", 1)):
        lung = (array < -600) & (sign * points[..., 0] > 15) & (np.abs(points[..., 2]) < 116)
        lung &= np.abs(points[..., 1]) < 83
        lung &= (np.abs(points[..., 0] - sign * 77) / 60) ** 2 + (points[..., 1] / 84) ** 2 < 1
        ml = lung.sum() * grid.voxel_ml
        assert ml == pytest.approx(truth.ml[side], rel=0.06)  # vessels and the gas in the stomach
        assert -860 < truth.mean_hu[side] < -840
        assert 1 < truth.below_950[side] < 5


def test_the_same_seed_gives_the_same_voxels() -> None:
    first, second, other = (chest((4, 32, 32), (60, 11, 11), seed=seed)[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_a_reoriented_volume_keeps_every_voxel_in_its_place() -> None:
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    grid = axial_grid((2, 3, 4), (3, 2, 1), (5, 6, 7))
    home = {int(v): tuple(grid.to_patient(index)) for index, v in np.ndenumerate(array)}
    for axes in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            moved, its_grid = reoriented(array, grid, axes, flips)
            for index, value in np.ndenumerate(moved):
                assert tuple(its_grid.to_patient(index)) == pytest.approx(home[int(value)])
