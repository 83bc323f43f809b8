"""Volumes as dcm2niix makes them of the same files: every voxel's value, and its place in the patient."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from dicom_node.errors import BadInput
from dicom_node.geometry import Grid, Volume
from dicom_node.phantom import write_series
from dicom_node.volume import read_straight, read_volumes
from tests.peers.process import need
from tests.volume import test_real_series

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
DCM2NIIX_IS_WRONG = {
    "ct_head_ge_tilt_varspacing": "it stacks slices of two distances as if they had one",
    "cxr/Patient": "its decoder of lossy JPEG rounds otherwise than libjpeg",
    "transfer_syntaxes/JPEGBaseline": "its decoder of lossy JPEG rounds otherwise than libjpeg",
    "seg_sr_rt/1.2.777.777.77.7.7777.7777": "it takes no distance from a dose grid's offsets",
}


def converted(files: list[Path], folder: Path) -> list[nibabel.Nifti1Image]:
    """What dcm2niix makes of files, in the values that the header's own rescale gives."""
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    for number, file in enumerate(files):
        (folder / "in" / f"{number:04d}.dcm").symlink_to(file.resolve())
    options = ["-z", "n", "-b", "n", "-p", "n", "-f", "%s_%n_%p"]
    subprocess.run(
        [need("dcm2niix"), *options, "-o", folder / "out", folder / "in"], capture_output=True, check=False
    )
    return [nibabel.load(path) for path in sorted((folder / "out").glob("*.nii"))]


def same_places(volume: Volume, image: nibabel.Nifti1Image) -> NDArray[np.float64] | None:
    """The image's values in the order of the volume's (k, j, i); None where it lies elsewhere."""
    affine = image.affine.copy()
    if not volume.grid.affine[:3, 3].any():  # a radiograph: dcm2niix puts its middle at the origin
        affine[:3, 3] = 0, -affine[1, 1] * (image.shape[1] - 1), 0
    to_image = np.linalg.inv(affine) @ LPS_TO_RAS @ volume.grid.affine
    turn = np.rint(to_image[:3, :3])
    if abs(round(float(np.linalg.det(turn)))) != 1 or image.ndim != 3:
        return None
    last = np.asarray(volume.grid.shape) - 1
    corners = np.asarray(list(np.ndindex(2, 2, 2))) * last
    exact = corners @ to_image[:3, :3].T + to_image[:3, 3]
    if not np.allclose(exact, np.rint(exact), atol=0.05):
        return None
    order = np.abs(turn).argmax(axis=0)
    values = np.asarray(image.get_fdata()).transpose(order)
    flipped = [axis for axis in range(3) if turn[order[axis], axis] < 0]
    return np.flip(values, flipped) if values.shape == volume.grid.shape else None


def agrees(volume: Volume, images: list[nibabel.Nifti1Image]) -> bool:
    """Whether one of the images is the volume, voxel by voxel."""
    for image in images:
        values = same_places(volume, image)
        if values is not None:
            padding = (volume.array == -1024) & (values < -1024)
            if (np.isclose(volume.array, values, rtol=1e-5, atol=1e-2) | padding).all():
                return True
    return False


def test_real_series_are_dcm2niixs_voxel_by_voxel(series: dict[str, list[Path]], tmp_path: Path) -> None:
    agreed, differing = [], []
    for number, (name, files) in enumerate(series.items()):
        if name.startswith("dicomdir") or any(map(name.startswith, DCM2NIIX_IS_WRONG)):
            continue
        try:
            volumes = read_volumes(files)
        except BadInput:
            continue
        if images := converted(files, tmp_path / str(number)):
            for volume in volumes:
                (agreed if agrees(volume, images) else differing).append(name)
    assert differing == []
    assert len(agreed) >= 20


def test_every_volume_is_also_somebody_elses(series: dict[str, list[Path]], tmp_path: Path) -> None:
    """Every series with a volume is compared; the two that both peers get wrong have tests of their own."""
    nobodys = []
    for number, (name, files) in enumerate(series.items()):
        try:
            volumes = read_volumes(files)
        except BadInput:
            continue
        image = test_real_series.simpleitk(volumes[0], files) if len(volumes) == 1 else None
        if image is not None and test_real_series.agrees(volumes[0], image):
            continue
        images = converted(files, tmp_path / str(number))
        if not images or not all(agrees(volume, images) for volume in volumes):
            nobodys.append(name)
    assert [name.partition("/")[0] for name in nobodys] == ["ct_head_ge_tilt_varspacing", "seg_sr_rt"]


@pytest.mark.parametrize("degrees", [12.0, 20.0])
def test_tilted_slices_are_straightened_to_the_same_place(tmp_path: Path, degrees: float) -> None:
    """Both shear the slices back, each onto a box of its own; a mark lies at the same millimetres in both.

    Tilts to the other side are left out: there dcm2niix's box lies millimetres off the mark's true place.
    """
    array = np.full((24, 64, 60), -1000, np.int16)
    array[9:13, 20:30, 35:45] = 1000
    angle = np.radians(degrees)
    affine = np.diag([3.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]]
    affine[:3, 1] = 0, np.cos(angle), -np.sin(angle)
    grid = Grid((24, 64, 60), affine)
    files = write_series(array, grid, tmp_path / "ct", "CT", {"GantryDetectorTilt": degrees})
    straight = read_straight(files).volume
    theirs = converted(files, tmp_path / "nifti")
    mine = straight.grid.to_patient(np.argwhere(straight.array > 0).mean(axis=0))
    places = []
    for image in theirs:
        middle = np.argwhere(np.asarray(image.get_fdata()) > 0).mean(axis=0)
        places.append((LPS_TO_RAS @ image.affine @ [*middle, 1])[:3])
    assert min(np.abs(place - mine).max() for place in places) < 0.5
