"""Models' names of structures to DICOM's codes."""

from __future__ import annotations

import re

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
        ("rib_left_7", "24915002", LEFT),
        ("autochthon_right", "244849004", RIGHT),
        ("vertebrae_S1", "65985001", None),
    ],
)
def test_a_usual_name_has_its_snomed_code_and_side(label: str, value: str, side: Code | None) -> None:
    segment = segment_for(label)
    assert (segment.type.value, segment.type.scheme, segment.laterality) == (value, "SCT", side)


TOTALSEGMENTATOR = """
spleen kidney_* gallbladder liver stomach pancreas adrenal_gland_* lung_upper_lobe_* lung_lower_lobe_*
lung_middle_lobe_right esophagus trachea thyroid_gland small_bowel duodenum colon urinary_bladder prostate
kidney_cyst_* sacrum vertebrae_S1 vertebrae_L(1-5) vertebrae_T(1-12) vertebrae_C(1-7) heart aorta
pulmonary_vein
brachiocephalic_trunk subclavian_artery_* common_carotid_artery_* brachiocephalic_vein_* atrial_appendage_left
superior_vena_cava inferior_vena_cava portal_vein_and_splenic_vein iliac_artery_* iliac_vena_* humerus_*
scapula_*
clavicula_* femur_* hip_* spinal_cord gluteus_maximus_* gluteus_medius_* gluteus_minimus_* autochthon_*
iliopsoas_* brain skull rib_left_(1-12) rib_right_(1-12) sternum costal_cartilages
"""
"""Its 117 classes; * stands for left and right, (a-b) for the numbers from a to b."""


def written_out(pattern: str) -> list[str]:
    if pattern.endswith("*"):
        return [pattern[:-1] + side for side in ("left", "right")]
    if found := re.fullmatch(r"(.*)\((\d+)-(\d+)\)", pattern):
        return [f"{found[1]}{number}" for number in range(int(found[2]), int(found[3]) + 1)]
    return [pattern]


def test_every_class_of_totalsegmentator_has_a_snomed_code() -> None:
    classes = [name for pattern in TOTALSEGMENTATOR.split() for name in written_out(pattern)]
    assert len(classes) == 117
    for name in classes:
        segment = segment_for(name)
        assert segment.type.scheme == "SCT", name
        assert (segment.laterality is not None) == bool({"left", "right"} & set(name.split("_"))), name
        kinds = (terms.ANATOMICAL_STRUCTURE, terms.TISSUE, terms.ABNORMAL_STRUCTURE)
        assert segment.category in kinds, name


def test_what_dicom_does_not_know_gets_a_private_code_that_is_always_the_same() -> None:
    first, category = concept_for("portal vein and its branches")
    assert first.scheme == "99DICOMNODE"
    assert concept_for("Portal_vein and its branches")[0] == first
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
