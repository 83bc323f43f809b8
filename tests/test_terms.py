"""Models' names of structures to DICOM's codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr.codedict import codes

from dicom_node import terms
from dicom_node.findings import Code
from dicom_node.terms import LEFT, RIGHT, concept_for, segment_for


@pytest.mark.parametrize(
    ("label", "value", "side"),
    [
        ("liver", "10200004", None),
        ("kidney_left", "64033007", LEFT),
        ("Right Kidney", "64033007", RIGHT),
        ("lung_upper_lobe_left", "45653009", LEFT),
        ("vertebrae_L1", "66794005", None),
        ("cerebral white matter", "68523003", None),
        ("cerebellum cortex", "25991003", None),
        ("pallidum", "14738005", None),
        ("accumbens area", "427667007", None),
        ("tumor", "108369006", None),
    ],
)
def test_a_usual_name_has_its_snomed_code_and_side(label: str, value: str, side: Code | None) -> None:
    segment = segment_for(label)
    assert (segment.type.value, segment.type.scheme, segment.laterality) == (value, "SCT", side)


def test_what_dicom_does_not_know_gets_a_private_code_that_is_always_the_same() -> None:
    first, category = concept_for("portal vein and splenic vein")
    assert first.scheme == "99DICOMNODE"
    assert concept_for("Portal_vein and splenic vein")[0] == first
    assert category == terms.ANATOMICAL_STRUCTURE
    assert concept_for("odd lesion")[1] == terms.ABNORMAL_STRUCTURE


def test_the_constants_are_dicoms_own() -> None:
    own = [value for value in vars(terms).values() if isinstance(value, Code) and value.scheme == "SCT"]
    known = {str(codes.SCT.__getattr__(keyword).value) for keyword in codes.SCT.dir()}
    assert {code.value for code in own} <= known


@given(st.text(min_size=1, max_size=200).filter(lambda text: text.replace("_", " ").strip() != ""))
def test_any_name_gives_a_code_that_fits_its_attributes(label: str) -> None:
    segment = segment_for(label)
    assert 1 <= len(segment.label) <= 64
    assert 1 <= len(segment.type.value) <= 16
    assert 1 <= len(segment.type.meaning) <= 64
