"""Plane, distances and extent, in every orientation and for stacks that are none."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.understanding import facts_of, understand

AXIAL, CORONAL, SAGITTAL = (
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    [1.0, 0.0, 0.0, 0.0, 0.0, -1.0],
    [0.0, 1.0, 0.0, 0.0, 0.0, -1.0],
)


def _stack(orientation: list[float], steps: list[float], **values: Any) -> list[dict[str, Any]]:
    rx, ry, rz, cx, cy, cz = orientation
    normal = (ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx)
    return [
        {
            "ImageOrientationPatient": orientation,
            "ImagePositionPatient": [10 + depth * axis for axis in normal],
            "PixelSpacing": [0.7, 0.8],
            "InstanceNumber": index + 1,
        }
        | values
        for index, depth in enumerate(steps)
    ]


def _facts(fields: list[dict[str, Any]]) -> dict[str, Any]:
    return facts_of(understand(fields[0], fields))


@pytest.mark.parametrize(
    ("orientation", "plane"), [(AXIAL, "axial"), (CORONAL, "coronal"), (SAGITTAL, "sagittal")]
)
def test_a_regular_stack(orientation: list[float], plane: str) -> None:
    facts = _facts(_stack(orientation, [2.5 * k for k in range(40)]))
    assert facts["plane"] == plane
    assert facts["slices"] == 40
    assert facts["slice_mm"] == 2.5
    assert facts["coverage_mm"] == 100.0
    assert facts["pixel_mm"] == 0.8


def test_files_in_any_order_and_slices_at_one_place() -> None:
    fields = _stack(AXIAL, [0.0, 3.0, 6.0, 9.0])
    facts = _facts([*fields[::-1], *fields])
    assert (facts["slices"], facts["slice_mm"], facts["coverage_mm"]) == (4, 3.0, 12.0)


def test_uneven_distances_are_no_distance() -> None:
    facts = _facts(_stack(AXIAL, [0, 1, 4, 5, 11, 12.5, 20]))
    assert "slice_mm" not in facts
    assert facts["slices"] == 7


def test_three_planes_are_none() -> None:
    fields = [_stack(orientation, [0.0])[0] for orientation in (AXIAL, CORONAL, SAGITTAL)]
    assert "plane" not in _facts(fields)


@given(st.floats(-40, 40), st.floats(0.3, 10), st.integers(2, 60))
def test_oblique_stacks(degrees: float, step: float, count: int) -> None:
    angle = math.radians(degrees)
    tilted = [1.0, 0.0, 0.0, 0.0, math.cos(angle), math.sin(angle)]
    facts = _facts(_stack(tilted, [step * k for k in range(count)]))
    assert facts["plane"] == "axial"
    assert facts["slice_mm"] == pytest.approx(step, abs=0.001)
    assert facts["coverage_mm"] == pytest.approx(step * count, abs=0.06)


@pytest.mark.parametrize(
    "values",
    [
        {"ImageOrientationPatient": [1.0, 0.0]},
        {"ImageOrientationPatient": [0.0] * 6},
        {"ImageOrientationPatient": ["a"] * 6},
        {"ImagePositionPatient": [1.0]},
        {"PixelSpacing": [0.0, 0.0]},
        {"PixelSpacing": "1"},
    ],
)
def test_what_cannot_be_read_gives_no_answer(values: dict[str, Any]) -> None:
    assert "coverage_mm" not in _facts(_stack(AXIAL, [0.0, 1.0], **values)) or "PixelSpacing" in values


def test_of_a_multi_frame_object_only_the_plane_is_known() -> None:
    facts = _facts(_stack(AXIAL, [0.0], NumberOfFrames=40))
    assert facts["plane"] == "axial"
    assert "coverage_mm" not in facts
    assert "slices" not in facts


_LISTS = st.lists(st.integers() | st.text(max_size=3), max_size=6)
_ANY = st.none() | st.integers() | st.floats() | st.text(max_size=4) | _LISTS
_KEYS = [
    "Modality", "ImageType", "SeriesDescription", "ImageOrientationPatient", "ImagePositionPatient",
    "PixelSpacing", "RepetitionTime", "EchoTime", "InversionTime", "ConvolutionKernel",
    "PatientAge", "PatientBirthDate", "StudyDate", "NumberOfFrames", "SliceThickness",
    "AnatomicRegionSequence", "SequenceName",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(_KEYS), _ANY), st.sampled_from(["MR", "CT", "US"]))
def test_no_header_makes_it_fall_over(header: dict[str, Any], modality: str) -> None:
    header = {**header, "Modality": modality}
    understand(header, [header, header])
