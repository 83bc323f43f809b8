"""Every series of the real data: voxels and places as SimpleITK has them where it is right, or a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from dicom_node.errors import BadInput
from dicom_node.geometry import Volume
from dicom_node.headers import read_header
from dicom_node.volume import read_volume

SIMPLEITK_IS_WRONG = {
    "ct_head_ge_tilt_varspacing": "it stacks tilted, unevenly spaced slices blindly",
    "odd_geometry_noise": "it stacks slices of two orientations",
    "seg_sr_rt/1.2.777.777.77.7.7777.7777": "it leaves out the dose grid scaling",
}


def simpleitk(volume: Volume, paths: list[Path]) -> sitk.Image | None:
    """What SimpleITK makes of the same files, in the order of k; None where it can't read them."""
    files = {str(read_header(path).SOPInstanceUID): str(path) for path in paths}
    ordered = [files[frame.sop_instance_uid] for frame in volume.frames]
    try:
        if len(set(ordered)) == 1:
            return sitk.ReadImage(ordered[0])
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(ordered)
        return reader.Execute()
    except RuntimeError:
        return None


def agrees(volume: Volume, image: sitk.Image) -> bool:
    values = sitk.GetArrayFromImage(image)
    if volume.frames[-1].number is not None and len(volume.frames) == len(values):
        values = values[[(frame.number or 1) - 1 for frame in volume.frames]]  # its order is the file's
    if values.shape != volume.array.shape:
        return False
    padding = (volume.array == -1024) & (values < -1024)
    same = np.isclose(volume.array, values, rtol=1e-5, atol=1e-3) | padding
    if not same.all():
        return False
    if volume.frame_of_reference_uid and volume.grid.shape[0] > 1:
        last = np.asarray(volume.grid.shape) - 1
        for corner in np.ndindex(2, 2, 2):
            index = np.asarray(corner) * last
            point = [float(v) for v in volume.grid.to_patient(index)]
            theirs = np.asarray(image.TransformPhysicalPointToContinuousIndex(point)[::-1])
            if volume.frames[0].number is not None and volume.frames[0].number > 1:
                theirs[0] = last[0] - theirs[0]
            if not np.allclose(theirs, index, atol=0.05):
                return False
    return True


def test_every_series_gives_the_right_volume_or_a_reason(series: dict[str, list[Path]]) -> None:
    agreed, refused, differing = [], {}, []
    for name, paths in series.items():
        try:
            volume = read_volume(paths)
        except BadInput as reason:
            refused[name] = str(reason)
            continue
        image = simpleitk(volume, paths)
        if image is None or any(map(name.startswith, SIMPLEITK_IS_WRONG)):
            continue
        (agreed if agrees(volume, image) else differing).append(name)
    assert len(agreed) >= 30
    assert differing == []
    assert all(len(reason) > 15 for reason in refused.values())
    assert len(refused) >= 20


def test_a_dose_is_scaled_as_its_header_says(shared_data: Path) -> None:
    """SimpleITK gives the stored numbers, and leaves the scaling to its caller."""
    [path] = [
        file for file in (shared_data / "seg_sr_rt").rglob("*.dcm") if read_header(file).Modality == "RTDOSE"
    ]
    volume = read_volume([path])
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    order = [(frame.number or 1) - 1 for frame in volume.frames]
    scaling = float(read_header(path).DoseGridScaling)
    np.testing.assert_allclose(volume.array, stored[order] * scaling, rtol=1e-5)
    assert volume.array.max() > 0


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_every_malformed_file_gives_the_right_volume_or_a_reason(shared_data: Path) -> None:
    volumes, reasons = 0, []
    for path in sorted((shared_data / "malformed").rglob("*.dcm")):
        try:
            volume = read_volume([path])
        except BadInput as reason:
            reasons.append(str(reason))
            continue
        if "DoseGridScaling" in read_header(path):  # as above
            continue
        image = simpleitk(volume, [path])
        assert image is None or agrees(volume, image), path.name
        volumes += image is not None
    assert volumes >= 10
    assert len(reasons) >= 15
    assert all(len(reason) > 15 for reason in reasons)
