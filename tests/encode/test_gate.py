"""The gate stops every planted defect, and lets every good object through."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from pydicom.uid import RLELossless

from dicom_node.encode import EncodedObject, check, encode, encode_no_result
from dicom_node.encode.gate import tables
from dicom_node.encode.gate.units import quantity
from dicom_node.errors import GateRefused
from dicom_node.findings import Segmentation
from tests.encode.cases import Worked
from tests.encode.defects import PLACED, WROUGHT, plant


@pytest.fixture(scope="module")
def good(small: Worked) -> list[EncodedObject]:
    return encode(small.findings, small.context)


def refused(objects: list[EncodedObject], small: Worked) -> str:
    with pytest.raises(GateRefused) as told:
        check(objects, small.context, small.findings)
    return str(told.value)


@pytest.mark.parametrize("name", PLACED)
def test_a_planted_defect_is_stopped(small: Worked, good: list[EncodedObject], name: str) -> None:
    objects = deepcopy(good)
    plant({obj.kind: obj.ds for obj in objects}, *PLACED[name])
    assert PLACED[name][0] in refused(objects, small)


@pytest.mark.parametrize("name", WROUGHT)
def test_a_defect_that_viewers_show_as_right_is_stopped(
    small: Worked, good: list[EncodedObject], name: str
) -> None:
    objects = deepcopy(good)
    WROUGHT[name]({obj.kind: obj.ds for obj in objects})
    refused(objects, small)


def test_good_objects_pass(small: Worked, good: list[EncodedObject]) -> None:
    check(good, small.context, small.findings)
    check(encode_no_result("too short", small.context), small.context)


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array[:, :, ::-1],
        lambda array: array[:, ::-1],
        lambda array: array[::-1],
        lambda array: np.where(array == 0, 0, 3 - array),
        lambda array: np.roll(array, 1, axis=2),
    ],
    ids=["left and right", "front and back", "head and feet", "labels", "one pixel"],
)
def test_a_mask_that_is_not_the_finding_is_stopped(
    small: Worked, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    wrong = replace(small.mask, array=np.ascontiguousarray(change(small.mask.array)).astype(np.uint8))
    context = replace(small.context, outputs=frozenset({"seg"}))
    objects = encode([wrong], context)
    with pytest.raises(GateRefused, match="other pixels"):
        check(objects, context, small.findings)


def test_a_slice_that_is_missing_is_stopped(small: Worked) -> None:
    array = small.mask.array.copy()
    array[np.flatnonzero(array.any(axis=(1, 2)))[-1]] = 0
    context = replace(small.context, outputs=frozenset({"seg"}))
    objects = encode([replace(small.mask, array=array)], context)
    with pytest.raises(GateRefused, match="more or fewer voxels"):
        check(objects, context, small.findings)


def test_a_series_of_its_own(small: Worked, good: list[EncodedObject]) -> None:
    objects = deepcopy(good)
    objects[0].ds.SeriesInstanceUID = small.headers[0].SeriesInstanceUID
    with pytest.raises(GateRefused, match="SeriesInstanceUID is that of a source series"):
        check(objects, small.context)


def test_every_fault_is_told_and_no_value(small: Worked, good: list[EncodedObject]) -> None:
    objects = deepcopy(good)
    objects[1].ds.PatientID = "SECRET"
    del objects[2].ds.ConversionType
    with pytest.raises(GateRefused) as told:
        check(objects, small.context)
    assert "PatientID differs" in str(told.value)
    assert "ConversionType is missing" in str(told.value)
    assert "SECRET" not in str(told.value)
    assert str(small.headers[0].PatientID) not in str(told.value)


def test_lossy_sources_need_their_ratio(small: Worked, good: list[EncodedObject]) -> None:
    objects = deepcopy(good)
    objects[2].ds.LossyImageCompression = "01"
    with pytest.raises(GateRefused, match="LossyImageCompressionRatio"):
        check(objects, small.context)


def test_the_tables_are_the_standards(small: Worked) -> None:
    assert json.loads(tables.TARGET.read_text()) == tables.generate(), "run dicom_node.encode.gate.tables"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("ml", {"L": 3}),
        ("cm3", {"L": 3}),
        ("mm2", {"L": 2}),
        ("[hnsf'U]", {}),
        ("%", {}),
        ("1", {}),
        ("{ratio}", {}),
        ("mg/ml", {"M": 1, "L": -3}),
        ("ml/min", {"L": 3, "T": -1}),
        ("/min", {"T": -1}),
        ("10*-6.mm2/s", {"L": 2, "T": -1}),
        ("g/ml{SUVbw}", {"M": 1, "L": -3}),
        ("cm4", None),
        ("HU", None),
        ("mL3x", None),
        ("", None),
        ("sq mm", None),
    ],
)
def test_units(unit: str, expected: dict[str, int] | None) -> None:
    assert quantity(unit) == expected


def test_pixels_that_are_compressed_are_not_measured(small: Worked, good: list[EncodedObject]) -> None:
    objects = deepcopy(good)
    objects[2].ds.file_meta.TransferSyntaxUID = RLELossless
    check(objects, small.context, small.findings)


def test_masks_that_overlap_pass(small: Worked) -> None:
    layers = np.stack([small.mask.array == 1, small.mask.array > 0])
    encode([Segmentation(layers, small.mask.segments)], small.context)
