"""Declared requirements against real headers and grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dicom_node.geometry import Grid
from dicom_node.infer.gates import _grid_faults, age_years, check_requirements, plane_of
from dicom_node.pipeline import Requirements
from tests.infer.cases import make_case


def reason(requires: dict[str, Any], header: dict[str, Any] | None = None) -> str | None:
    return check_requirements(Requirements(**requires), make_case(header=header).inputs["image"])


@pytest.mark.parametrize(
    ("requires", "header", "said"),
    [
        ({"modality": ("MR",)}, {}, "Modality is CT, needed is MR"),
        ({"body_part": ("CHEST",)}, {"BodyPartExamined": "HEAD"}, "Body Part Examined is HEAD"),
        ({"plane": ("sagittal",)}, {}, "the slices are axial"),
        ({"max_slice_spacing_mm": 4.9}, {}, "5.00 mm apart"),
        ({"max_pixel_spacing_mm": 0.5}, {}, "pixels are 1.00 mm apart"),
        ({"min_coverage_mm": 21}, {}, "cover 20 mm"),
        ({"min_slices": 5}, {}, "4 slices"),
        ({"contrast": "given"}, {"ContrastBolusAgent": ""}, "no contrast agent"),
        ({"contrast": "none"}, {"ContrastBolusAgent": "OMNIPAQUE"}, "contrast agent was given"),
        ({"min_age_years": 18}, {"PatientAge": "017Y"}, "younger than 18"),
        ({"max_age_years": 18}, {"PatientAge": "090Y"}, "older than 18"),
        ({"min_age_years": 18}, {}, "not stated"),
    ],
)
def test_an_unmet_requirement_is_named(requires: dict[str, Any], header: dict[str, Any], said: str) -> None:
    assert said in str(reason(requires, header))
    assert "90" not in str(reason(requires, header))


def test_one_slice_is_no_plural() -> None:
    faults = list(_grid_faults(Requirements(min_slices=5), Grid((1, 4, 4), np.eye(4))))
    assert faults == ["1 slice, needed are at least 5"]


def test_a_met_requirement_gives_none() -> None:
    requires = {
        "modality": ("CT", "MR"),
        "body_part": ("CHEST",),
        "plane": ("axial",),
        "max_slice_spacing_mm": 5,
        "min_coverage_mm": 20,
        "contrast": "none",
        "min_age_years": 18,
    }
    assert reason(requires, {"PatientAge": "018Y", "BodyPartExamined": "chest"}) is None
    assert reason({"body_part": ("CHEST",)}) is None


def test_every_unmet_requirement_is_in_one_reason() -> None:
    assert str(reason({"modality": ("MR",), "min_slices": 9})).count(";") == 1


@pytest.mark.parametrize(
    ("header", "years"),
    [
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientAge": "026W"}, 0.5),
        ({"PatientBirthDate": "20000101", "StudyDate": "20200101"}, 20),
        ({"PatientAge": "young", "PatientBirthDate": "", "StudyDate": "20200101"}, None),
        ({"PatientBirthDate": "20001399", "StudyDate": "20200101"}, None),
    ],
)
def test_age(header: dict[str, Any], years: float | None) -> None:
    found = age_years(header)
    assert found == (years if years is None else pytest.approx(years, abs=0.01))


def test_planes() -> None:
    grid = make_case().volume.grid
    for axis, plane in enumerate(("sagittal", "coronal", "axial")):
        affine = np.eye(4)
        affine[:3, :3] = np.roll(np.eye(3), axis, axis=0)
        assert plane_of(type(grid)(grid.shape, affine)) == plane
