"""Values in the modality's units, from every way in which files hold them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import JPEGExtended12Bit, JPEGLSLossless, RLELossless

from dicom_node.errors import BadInput, GeometryError
from dicom_node.phantom import axial_grid, write_series
from dicom_node.volume import read_volume
from dicom_node.volume.pixels import read_pixels
from dicom_node.volume.planes import planes_of
from tests.peers.process import need

ARRAY = np.random.default_rng(1).integers(0, 2000, (4, 9, 11)).astype(np.int16)
GRID = axial_grid(ARRAY.shape, (3.0, 0.8, 0.7))
PET = {"Modality": "PT", "Units": "BQML", "CorrectedImage": ["DECY", "ATTN"], "DecayCorrection": "START"}
TIMES = {"SeriesDate": "20240102", "SeriesTime": "101500", "AcquisitionDate": "20240102"}


def series(folder: Path, change: Callable[[Dataset], None]) -> list[Path]:
    paths = write_series(ARRAY, GRID, folder, "MR")
    for path in paths:
        ds = pydicom.dcmread(path)
        change(ds)
        ds.save_as(path, enforce_file_format=True)
    return paths


def updated(keywords: dict[str, Any]) -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        for keyword, value in keywords.items():
            setattr(ds, keyword, value)

    return change


def isotope(**keywords: Any) -> list[Dataset]:
    item = Dataset()
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = 370e6, 6586.2
    for keyword, value in keywords.items():
        setattr(item, keyword, value)
    return [item]


@pytest.mark.parametrize(
    ("start", "more", "minutes"),
    [
        ({"RadiopharmaceuticalStartTime": "091500.000"}, {}, 60),
        ({"RadiopharmaceuticalStartDateTime": "20240102094500"}, {}, 30),
        (
            {"RadiopharmaceuticalStartTime": "235500"},
            {"SeriesTime": "002500", "AcquisitionTime": "002500"},
            30,
        ),
        # processed again later: the images' own time counts
        (
            {"RadiopharmaceuticalStartTime": "091500"},
            {"SeriesTime": "180000", "AcquisitionTime": "101500"},
            60,
        ),
    ],
)
def test_pet_becomes_suv(tmp_path: Path, start: dict[str, Any], more: dict[str, Any], minutes: int) -> None:
    keywords = PET | TIMES | {"AcquisitionTime": "101600", "PatientWeight": 70} | more
    keywords["RadiopharmaceuticalInformationSequence"] = isotope(**start)
    volume = read_volume(series(tmp_path, updated(keywords)))
    factor = 70_000 / (370e6 * 2 ** (-minutes * 60 / 6586.2))
    np.testing.assert_allclose(volume.array, ARRAY * factor, rtol=1e-5)
    assert volume.unit == "g/ml{SUVbw}"
    assert f"SUV by body weight, {minutes} min after injection" in volume.notes


@pytest.mark.parametrize(
    ("keywords", "why"),
    [
        ({"PatientWeight": 70, "CorrectedImage": ["DECY"]}, "attenuation"),
        ({"RadiopharmaceuticalInformationSequence": isotope()}, "weight"),
        ({"PatientWeight": 70, "RadiopharmaceuticalInformationSequence": isotope()}, "time from injection"),
    ],
)
def test_pet_without_what_suv_needs_stays_as_it_is(
    tmp_path: Path, keywords: dict[str, Any], why: str
) -> None:
    volume = read_volume(series(tmp_path, updated(PET | keywords)))
    np.testing.assert_array_equal(volume.array, ARRAY)
    assert volume.unit == "Bq/ml"
    assert why in volume.notes[0]


def real_world_values(unit: str) -> list[Dataset]:
    item, code = Dataset(), Dataset()
    item.RealWorldValueSlope, item.RealWorldValueIntercept = 0.25, 3.0
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
    item.MeasurementUnitsCodeSequence = [code]
    return [item]


def test_real_world_values_where_they_name_a_unit(tmp_path: Path) -> None:
    def change(unit: str) -> Callable[[Dataset], None]:
        return updated({"RealWorldValueMappingSequence": real_world_values(unit), "RescaleSlope": 2})

    diffusion = read_volume(series(tmp_path / "a", change("um2/s")))
    np.testing.assert_allclose(diffusion.array, ARRAY * 0.25 + 3)
    assert diffusion.unit == "um2/s"
    plain = read_volume(series(tmp_path / "b", change("1")))
    np.testing.assert_allclose(plain.array, ARRAY * 2.0)
    assert plain.unit == "1"


def test_a_radiograph_is_brighter_where_there_is_more(tmp_path: Path) -> None:
    def radiograph(photometric: str) -> Callable[[Dataset], None]:
        def change(ds: Dataset) -> None:
            ds.Modality, ds.PhotometricInterpretation = "DX", photometric
            ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 0, 12, 11
            del ds.ImagePositionPatient, ds.ImageOrientationPatient

        return change

    upright = read_volume(series(tmp_path / "a", radiograph("MONOCHROME2"))[:1])
    inverted = read_volume(series(tmp_path / "b", radiograph("MONOCHROME1"))[:1])
    np.testing.assert_array_equal(upright.array[0], ARRAY[0])
    np.testing.assert_array_equal(inverted.array[0], 4095 - ARRAY[0])
    assert inverted.frame_of_reference_uid == ""
    assert inverted.grid.spacing == pytest.approx((1.0, 0.8, 0.7))


def test_frames_of_rt_dose_lie_at_their_offsets(tmp_path: Path) -> None:
    def dose(offsets: list[float]) -> Path:
        ds = pydicom.dcmread(write_series(ARRAY[:1], axial_grid((1, 9, 11), (1, 1, 1)), tmp_path, "MR")[0])
        ds.Modality, ds.NumberOfFrames, ds.GridFrameOffsetVector = "RTDOSE", 4, offsets
        ds.DoseGridScaling, ds.DoseUnits, ds.PixelRepresentation = 0.001, "GY", 0
        ds.PixelData = ARRAY.astype(np.uint16).tobytes()
        ds.save_as(tmp_path / "dose.dcm", enforce_file_format=True)
        return tmp_path / "dose.dcm"

    up, down = (read_volume([dose([0, 3 * sign, 6 * sign, 9 * sign])]) for sign in (1, -1))
    np.testing.assert_allclose(up.array, ARRAY * 0.001, rtol=1e-5)
    assert up.grid.spacing[0] == pytest.approx(3)
    assert up.unit == "Gy"
    assert [frame.number for frame in down.frames] == [4, 3, 2, 1]
    np.testing.assert_allclose(down.array, ARRAY[::-1] * 0.001, rtol=1e-5)
    np.testing.assert_allclose(up.grid.to_patient((3, 0, 0)) - down.grid.to_patient((0, 0, 0)), [0, 0, 18])


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_frames_and_files_are_decoded_in_parallel(tmp_path: Path, syntax: str) -> None:
    singles = series(tmp_path, lambda ds: ds.compress(syntax, generate_instance_uid=False))
    np.testing.assert_array_equal(read_volume(singles).array, ARRAY)
    ds = pydicom.dcmread(write_series(ARRAY[:1], axial_grid((1, 9, 11), (1, 1, 1)), tmp_path, "MR")[0])
    ds.NumberOfFrames, ds.GridFrameOffsetVector = 4, [0, 1, 2, 3]
    ds.PixelData = ARRAY.tobytes()
    ds.compress(syntax, generate_instance_uid=False)
    ds.save_as(tmp_path / "multi.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_volume([tmp_path / "multi.dcm"]).array, ARRAY)


def test_float_pixels(tmp_path: Path) -> None:
    def floats(ds: Dataset) -> None:
        ds.FloatPixelData = (np.frombuffer(ds.PixelData, np.int16) / np.float32(8)).astype("<f4").tobytes()
        ds.BitsAllocated = 32
        del ds.PixelData, ds.BitsStored, ds.HighBit, ds.PixelRepresentation

    np.testing.assert_array_equal(read_volume(series(tmp_path, floats)).array, ARRAY / np.float32(8))


def test_one_image_in_seven_transfer_syntaxes(shared_data: Path) -> None:
    files = sorted((shared_data / "transfer_syntaxes" / "same_image").iterdir())
    first, *others = (read_pixels(planes_of(file)) for file in files)
    assert len(others) == 8
    for other in others:
        np.testing.assert_array_equal(other, first)
    with pytest.raises(GeometryError, match="mosaic"):
        read_volume(files[:1])


def test_enhanced_mr_in_five_transfer_syntaxes(shared_data: Path) -> None:
    files = sorted((shared_data / "enhanced_multiframe").glob("emri_small*.dcm"))
    first, *others = (read_pixels(planes_of(file)) for file in files)
    assert len(others) == 4
    for other in others:
        np.testing.assert_array_equal(other, first)
    with pytest.raises(GeometryError, match="none of the 10 images says where it lies"):
        read_volume(files[:1])


@pytest.mark.parametrize(
    ("file", "error", "reason"),
    [
        ("malformed/MR_truncated.dcm", BadInput, "ends before its pixels"),
        ("malformed/JPEG2000-embedded-sequence-delimiter.dcm", BadInput, "can't be decoded"),
        ("transfer_syntaxes/misc/SC_rgb_rle_2frame.dcm", GeometryError, "says where it lies"),
        ("us/US1_J2KI.dcm", BadInput, "colour"),
        ("ct_study_localizer_sc_dose/S1000/I10", GeometryError, "localizers"),
        (
            "seg_sr_rt/rt-utils/rt.dcm",
            GeometryError,
            "no file .* holds an image",
        ),
    ],
)
def test_real_files_that_make_no_volume_say_why(
    shared_data: Path, file: str, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        read_volume([shared_data / file])


@pytest.mark.parametrize("bits", [10, 12])
def test_jpeg_extended_with_12_bits_is_what_dcmtk_decodes(tmp_path: Path, bits: int) -> None:
    highest = (1 << bits) - 1
    ramp = np.add.outer(np.arange(4) * 100, np.add.outer(np.arange(40) * 9, np.arange(48) * 7)) % highest
    grid = axial_grid(ramp.shape, (3.0, 0.8, 0.7))
    values = updated({"PixelRepresentation": 0, "BitsStored": bits, "HighBit": bits - 1})
    compressed, decoded = [], []
    for path in write_series(ramp.astype(np.int16), grid, tmp_path / "plain", "MR"):
        ds = pydicom.dcmread(path)
        values(ds)
        ds.save_as(path, enforce_file_format=True)
        compressed.append(tmp_path / f"extended {path.name}")
        subprocess.run([need("dcmcjpeg"), "+ee", "+bt", "+q", "95", path, compressed[-1]], check=True)
        assert pydicom.dcmread(compressed[-1]).file_meta.TransferSyntaxUID == JPEGExtended12Bit
        decoded.append(tmp_path / f"decoded {path.name}")
        subprocess.run([need("dcmdjpeg"), compressed[-1], decoded[-1]], check=True)
    volume, truth = read_volume(compressed), read_volume(decoded)
    assert np.array_equal(volume.array, truth.array)
    assert np.corrcoef(volume.array[0].ravel(), ramp[0].ravel())[0, 1] > 0.999  # stretched by dcmcjpeg

    cut = pydicom.dcmread(compressed[0])
    cut.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xc1 no picture"])
    cut.save_as(compressed[0], enforce_file_format=True)
    with pytest.raises(BadInput, match=r"JPEG Extended.*can't be decoded"):
        read_volume(compressed)
