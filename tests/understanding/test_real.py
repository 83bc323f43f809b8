"""Real series, and what a person says that they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicom_node.headers import plain, read_header, slice_fields
from dicom_node.understanding import facts_of, understand


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (
            "ct_chest_cmb_crc",
            {
                "plane": "axial", "kernel": "lung", "contrast": True, "localizer": False, "derived": False,
                "body_part": ("chest", "abdomen", "pelvis"), "slices": 100, "slice_mm": 2.5,
                "coverage_mm": 250.0,
            },
        ),
        (
            "mr_head_t1w_philips",
            {"kind": "t1w", "plane": "sagittal", "body_part": "head", "slices": 170, "slice_mm": 1.0},
        ),
        ("ct_head_ge_tilt_varspacing", {"plane": "axial", "body_part": "head", "slices": 28}),
        ("ct_study_localizer_sc_dose/S1000", {"localizer": True, "secondary": False, "body_part": "head"}),
        ("ct_study_localizer_sc_dose/S2010", {"localizer": False, "contrast": False, "phase": "native"}),
        ("ct_study_localizer_sc_dose/S4010", {"secondary": True, "derived": True, "dose_report": True}),
        ("mr_decubitus_HFDR", {"kind": "t1w", "plane": "sagittal", "body_part": "head", "slice_mm": 4.8}),
        ("odd_geometry_noise/sliceorientation/001", {"kind": "t2w", "localizer": False}),
    ],
)  # fmt: skip
def test_real_series(
    shared_data: Path, gunzipped: Callable[[Path], Path], folder: str, expected: dict[str, Any]
) -> None:
    read = [read_header(path) for path in sorted(gunzipped(shared_data / folder).iterdir())]
    facts = facts_of(understand(plain(read[0]), [slice_fields(ds) for ds in read]))
    assert {name: facts.get(name) for name in expected} == expected
    if folder in ("ct_head_ge_tilt_varspacing", "odd_geometry_noise/sliceorientation/001"):
        assert "slice_mm" not in facts


@pytest.mark.parametrize(
    ("file", "kind"),
    [("philips", "perfusion"), ("XA10", "bold"), ("emri_small", "t1w")],
)
def test_real_enhanced_objects(
    shared_data: Path, gunzipped: Callable[[Path], Path], file: str, kind: str
) -> None:
    folder = gunzipped(shared_data / "enhanced_multiframe")
    headers = [plain(read_header(path)) for path in sorted(folder.iterdir()) if path.suffix != ".md"]
    kinds = {str(facts_of(understand(header)).get("kind")) for header in headers}
    assert kind in kinds
