"""Input gates: whether a series is what a pipeline declared that it needs, asked before any model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np

from dicom_node.counted import counted
from dicom_node.geometry import Grid
from dicom_node.infer.outlier import unlike
from dicom_node.pipeline import Input, Requirements

PLANES = ("sagittal", "coronal", "axial")
"""By the axis of LPS that the slices' normal is nearest to."""


def plane_of(grid: Grid) -> str:
    """Returns "axial", "coronal" or "sagittal", by the patient axis nearest to the slices' normal."""
    return PLANES[int(np.argmax(np.abs(grid.directions[:, 0])))]


def coverage_mm(grid: Grid) -> float:
    """Extent along the normal in mm, from the first slice's outer face to the last one's."""
    return grid.shape[0] * grid.spacing[0]


def age_years(header: Mapping[str, Any]) -> float | None:
    """The patient's age at the study, by Patient's Age (VR AS, PS3.5 6.2) or else by birth and study date."""
    stated = re.fullmatch(r"(\d{3})([DWMY])", str(header.get("PatientAge") or "").strip())
    if stated:
        return int(stated[1]) / {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[stated[2]]
    born, seen = (_date(header.get(keyword)) for keyword in ("PatientBirthDate", "StudyDate"))
    return (seen - born).days / 365.25 if born and seen else None


def check_requirements(requires: Requirements, given: Input) -> str | None:
    """Returns why an input does not meet the requirements, every point in one text, or None if it does.

    The text names what was found, save for the patient's age, and so holds no patient data.
    Raises ModelUnavailable where a reference that is required can't be read.
    """
    faults = [*_header_faults(requires, given.header), *_grid_faults(requires, given.volume.grid)]
    if not faults and requires.reference is not None:
        return unlike(given.volume, requires.reference, requires.max_distance)
    return "; ".join(faults) or None


def _header_faults(requires: Requirements, header: Mapping[str, Any]) -> Iterable[str]:
    modality = str(header.get("Modality") or "")
    if requires.modality and modality not in requires.modality:
        yield f"Modality is {modality or 'not stated'}, needed is {_any_of(requires.modality)}"
    part = str(header.get("BodyPartExamined") or "").strip().upper()
    if requires.body_part and part and part not in {wanted.upper() for wanted in requires.body_part}:
        yield f"Body Part Examined is {part}, needed is {_any_of(requires.body_part)}"
    contrast = bool(str(header.get("ContrastBolusAgent") or "").strip())
    if requires.contrast == "given" and not contrast:
        yield "no contrast agent is stated, and one is needed"
    if requires.contrast == "none" and contrast:
        yield "a contrast agent was given, and none may be"
    yield from _age_faults(requires, header)


def _age_faults(requires: Requirements, header: Mapping[str, Any]) -> Iterable[str]:
    if requires.min_age_years is None and requires.max_age_years is None:
        return
    age = age_years(header)
    if age is None:
        yield "the patient's age is not stated, and the method is bound to an age range"
        return
    if requires.min_age_years is not None and age < requires.min_age_years:
        yield f"the patient is younger than {requires.min_age_years:g} years"
    if requires.max_age_years is not None and age > requires.max_age_years:
        yield f"the patient is older than {requires.max_age_years:g} years"


def _grid_faults(requires: Requirements, grid: Grid) -> Iterable[str]:
    plane = plane_of(grid)
    if requires.plane and plane not in requires.plane:
        yield f"the slices are {plane}, needed is {_any_of(requires.plane)}"
    if grid.shape[0] < requires.min_slices:
        yield f"{counted(grid.shape[0], 'slice')}, needed are at least {requires.min_slices}"
    extent = coverage_mm(grid)
    if requires.min_coverage_mm is not None and extent < requires.min_coverage_mm:
        yield f"the slices cover {extent:.0f} mm, needed are at least {requires.min_coverage_mm:g} mm"
    between, *in_plane = grid.spacing
    if requires.max_slice_spacing_mm is not None and _above(between, requires.max_slice_spacing_mm):
        yield f"the slices are {between:.2f} mm apart, allowed are {requires.max_slice_spacing_mm:g} mm"
    if requires.max_pixel_spacing_mm is not None and _above(max(in_plane), requires.max_pixel_spacing_mm):
        yield f"pixels are {max(in_plane):.2f} mm apart, allowed are {requires.max_pixel_spacing_mm:g} mm"


def _above(value: float, limit: float) -> bool:
    """Whether a spacing is above its limit by more than what headers round away."""
    return value > limit * 1.001


def _any_of(values: Iterable[str]) -> str:
    return " or ".join(values)


def _date(value: object) -> date | None:
    """VR DA as a date, or None where it is empty or not one."""
    text = str(value or "")
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None
