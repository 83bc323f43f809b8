"""Files in, voxels at their places out: what would be flipped, shifted or wrong if it failed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_node.errors import BadInput, GeometryError
from dicom_node.phantom import axial_grid, reoriented, write_series
from dicom_node.volume import read_volume, read_volumes

ARRAY = np.random.default_rng(1).integers(-1000, 2000, (7, 9, 11)).astype(np.int16)
GRID = axial_grid(ARRAY.shape, (3.0, 0.8, 0.7), (12, -30, 55))


def edited(paths: list[Path], change: Callable[[int, pydicom.Dataset], None]) -> list[Path]:
    for number, path in enumerate(paths):
        ds = pydicom.dcmread(path)
        change(number, ds)
        ds.save_as(path, enforce_file_format=True)
    return paths


def same_acquisition(path: Path) -> dict[str, str]:
    ds = pydicom.dcmread(path)
    keywords = ("FrameOfReferenceUID", "SeriesInstanceUID", "AcquisitionTime", "ContentTime")
    return {keyword: ds[keyword].value for keyword in keywords}


def test_a_series_comes_back_as_it_was_written(tmp_path: Path) -> None:
    paths = write_series(ARRAY, GRID, tmp_path, "CT")
    shuffled = random.Random(2).sample(paths, len(paths))
    volume = read_volume(shuffled)
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.grid.affine, GRID.affine, atol=1e-6)
    assert volume.unit == "[hnsf'U]"
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in paths]
    assert [frame.sop_instance_uid for frame in volume.frames] == uids


def test_slopes_that_differ_by_slice_give_floats(tmp_path: Path) -> None:
    paths = edited(
        write_series(ARRAY, GRID, tmp_path, "MR"),
        lambda k, ds: ds.update({"RescaleSlope": k + 0.5, "RescaleIntercept": -3}),
    )
    volume = read_volume(paths)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, ARRAY * (np.arange(7) + 0.5)[:, None, None] - 3, rtol=1e-6)


def test_unsigned_values_that_overflow_int16_give_floats(tmp_path: Path) -> None:
    def unsigned(_k: int, ds: pydicom.Dataset) -> None:
        ds.PixelRepresentation, ds.RescaleIntercept = 0, 0
        ds.PixelData = (np.frombuffer(ds.PixelData, np.int16).astype(np.uint16) + 50_000).tobytes()

    volume = read_volume(edited(write_series(abs(ARRAY), GRID, tmp_path, "MR"), unsigned))
    np.testing.assert_array_equal(volume.array, abs(ARRAY) + np.float32(50_000))


def test_bits_outside_bits_stored_are_dropped(tmp_path: Path) -> None:
    def twelve_bits(_k: int, ds: pydicom.Dataset) -> None:
        ds.BitsStored, ds.HighBit = 12, 11
        stored = np.frombuffer(ds.PixelData, np.uint16)
        ds.PixelData = ((stored & 0x0FFF) | 0x3000).tobytes()

    values = (ARRAY % 2000).astype(np.int16)
    volume = read_volume(edited(write_series(values, GRID, tmp_path, "MR"), twelve_bits))
    np.testing.assert_array_equal(volume.array, values)


def test_ct_padding_becomes_air_and_water_never_does(tmp_path: Path) -> None:
    values = ARRAY.copy()
    values[:, 0, :] = -3024
    paths = edited(
        write_series(values, GRID, tmp_path / "a", "CT"),
        lambda _k, ds: ds.add_new("PixelPaddingValue", "US", 0x10000 - 2000),
    )
    assert (read_volume(paths).array[:, 0, :] == -1024).all()
    np.testing.assert_array_equal(read_volume(paths).array[:, 1:], ARRAY[:, 1:])
    water = edited(
        write_series(ARRAY, GRID, tmp_path / "b", "CT"),
        lambda _k, ds: ds.add_new("PixelPaddingValue", "US", 1024),
    )
    np.testing.assert_array_equal(read_volume(water).array, ARRAY)


def test_a_missing_slice_is_found(tmp_path: Path) -> None:
    paths = write_series(ARRAY, GRID, tmp_path, "CT")
    with pytest.raises(GeometryError, match="1 slice missing in 1 place"):
        read_volume(paths[:3] + paths[4:])


def test_a_second_image_at_one_position_is_found(tmp_path: Path) -> None:
    paths = write_series(ARRAY, GRID, tmp_path / "a", "CT")
    uids = same_acquisition(paths[0])
    other = write_series(ARRAY + 1, GRID, tmp_path / "b", "CT", uids)
    with pytest.raises(GeometryError, match="1 of 8 images lie at a position that another image has"):
        read_volume([*paths, other[2]])


def test_the_same_image_twice_counts_once(tmp_path: Path) -> None:
    paths = write_series(ARRAY, GRID, tmp_path / "a", "CT")
    uids = same_acquisition(paths[0])
    copies = write_series(ARRAY, GRID, tmp_path / "b", "CT", uids)  # other SOP Instance UIDs
    volume = read_volume([*paths, paths[1], copies[2]])
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert volume.notes == ("left out: 1 image outside every stack",)


def test_a_slice_acquired_again_is_left_out_and_said_so(tmp_path: Path) -> None:
    paths = write_series(ARRAY, GRID, tmp_path / "a", "CT")
    later = same_acquisition(paths[0]) | {"AcquisitionTime": "235959"}
    again = write_series(ARRAY + 1, GRID, tmp_path / "b", "CT", later)
    volume = read_volume([again[2], *paths])
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert volume.notes == ("left out: 1 image outside every stack",)


def test_uneven_distances_are_found(tmp_path: Path) -> None:
    def moved(k: int, ds: pydicom.Dataset) -> None:
        ds.ImagePositionPatient[2] += 0.2 * k * k

    with pytest.raises(GeometryError, match="distance between slices varies from"):
        read_volume(edited(write_series(ARRAY, GRID, tmp_path, "CT"), moved))


def test_a_localizer_is_left_out_and_said_so(tmp_path: Path) -> None:
    paths = write_series(ARRAY, GRID, tmp_path, "CT")
    edited(paths[:1], lambda _k, ds: ds.update({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}))
    volume = read_volume(paths)
    np.testing.assert_array_equal(volume.array, ARRAY[1:])
    assert "left out: 1 image outside every stack" in volume.notes
    with pytest.raises(GeometryError, match="only localizers"):
        read_volume(paths[:1])


def test_reformats_are_left_out_beside_slices_and_a_stack_alone(tmp_path: Path) -> None:
    slices = write_series(ARRAY, GRID, tmp_path / "a", "CT")
    shared = {"FrameOfReferenceUID": pydicom.dcmread(slices[0]).FrameOfReferenceUID}
    turned, its_grid = reoriented(ARRAY, GRID, (1, 0, 2), (False, False, False))
    reformats = write_series(
        turned, its_grid, tmp_path / "b", "CT", shared | {"ImageType": ["DERIVED", "SECONDARY", "MPR"]}
    )
    np.testing.assert_array_equal(read_volume([*slices, *reformats]).array, ARRAY)
    assert read_volume(reformats).array.shape == turned.shape


@pytest.mark.parametrize("keyword", ["EchoTime", "TemporalPositionIdentifier", "AcquisitionNumber", None])
def test_echoes_and_time_points_are_told_apart(tmp_path: Path, keyword: str | None) -> None:
    paths = [
        *write_series(ARRAY, GRID, tmp_path / "a", "MR"),
        *write_series(ARRAY + 1, GRID, tmp_path / "b", "MR"),
    ]

    def joined(n: int, ds: pydicom.Dataset) -> None:
        ds.FrameOfReferenceUID, ds.InstanceNumber = "1.2.3", n + 1
        if keyword:
            setattr(ds, keyword, 1 + n // 7)

    edited(paths, joined)
    first, second = read_volumes(random.Random(3).sample(paths, 14))
    np.testing.assert_array_equal(first.array, ARRAY)
    np.testing.assert_array_equal(second.array, ARRAY + 1)
    with pytest.raises(GeometryError, match="2 stacks"):
        read_volume(paths)


def test_files_without_images_or_with_colour_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError, match="no file of the series holds an image"):
        read_volume([])
    paths = edited(
        write_series(ARRAY[:1], axial_grid((1, 9, 11), (1, 1, 1)), tmp_path, "MR"),
        lambda _k, ds: ds.update({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}),
    )
    with pytest.raises(BadInput, match="colour"):
        read_volume(paths)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    paths = write_series(ARRAY, GRID, tmp_path, "CT")
    paths[3].write_bytes(paths[3].read_bytes()[:-20])
    with pytest.raises(BadInput, match="ends before its pixels"):
        read_volume(paths)
