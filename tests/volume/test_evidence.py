"""Whether a stack is whole, from header fields alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.headers import read_header, slice_fields
from dicom_node.phantom import axial_grid, write_series
from dicom_node.volume import stack_evidence


def fields(count: int = 20, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "InstanceNumber": n + 1,
            "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            "ImagePositionPatient": [-100.0, -100.0, 2.5 * n],
            "PixelSpacing": [1.0, 1.0],
            "Rows": 64,
            "Columns": 64,
            "FrameOfReferenceUID": "1.2",
        }
        | more
        for n in range(count)
    ]


def test_a_whole_stack_in_any_order() -> None:
    for order in (fields(), fields()[::-1], random.Random(1).sample(fields(), 20)):
        evidence = stack_evidence(order)
        assert evidence.whole
        assert evidence.reason == "20 slices at even distances in 1 stack"


@given(missing=st.sets(st.integers(0, 18), min_size=1, max_size=6))
def test_missing_slices_are_not_whole(missing: set[int]) -> None:
    kept = [item for n, item in enumerate(fields()) if n not in missing]
    assert not stack_evidence(kept).whole
    renumbered = [item | {"InstanceNumber": n + 1} for n, item in enumerate(kept)]
    inner = missing - set(range(max(missing) + 1)) if missing == set(range(max(missing) + 1)) else missing
    if inner:  # a gap shows in the positions too, where the stack doesn't only begin later
        assert not stack_evidence(renumbered).whole


def test_images_in_acquisition_decides() -> None:
    assert stack_evidence(fields(20, ImagesInAcquisition=20)).whole
    short = stack_evidence(fields(19, ImagesInAcquisition=20))
    assert not short.whole
    assert short.reason == "19 of 20 images in the acquisition"


def test_numbers_that_do_not_begin_with_one_prove_nothing() -> None:
    assert not stack_evidence(fields()[3:]).whole


def test_time_points_must_all_be_whole() -> None:
    series = [
        item | {"InstanceNumber": 20 * t + item["InstanceNumber"], "TemporalPositionIdentifier": t + 1}
        for t in range(3)
        for item in fields()
    ]
    assert stack_evidence(series).whole
    assert not stack_evidence(series[:-5]).whole


def test_multi_frame_objects_and_concatenations() -> None:
    assert stack_evidence([{"NumberOfFrames": 40}]).whole
    part = {"NumberOfFrames": 40, "InConcatenationTotalNumber": 3}
    assert not stack_evidence([part, part]).whole
    assert stack_evidence([part, part, part]).whole


@pytest.mark.parametrize(
    "series", [[], [{}], fields(3), [{"InstanceNumber": "x", "ImagePositionPatient": "oops"}]]
)
def test_too_little_is_not_whole(series: list[dict[str, Any]]) -> None:
    assert not stack_evidence(series).whole


def test_from_written_headers(tmp_path: Path) -> None:
    array = np.zeros((8, 4, 4), np.int16)
    paths = write_series(array, axial_grid((8, 4, 4), (2.5, 1, 1)), tmp_path, "CT")
    headers = [slice_fields(read_header(path)) for path in paths]
    assert stack_evidence(headers).whole
    assert not stack_evidence(headers[:4] + headers[5:]).whole
