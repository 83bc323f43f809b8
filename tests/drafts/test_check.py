"""The text check: no unsupported statement passes, and what is supported does."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.drafts import facts_of, judge, template_sentences
from dicom_node.drafts.parse import sentences
from dicom_node.findings import Classification, Code, Detection, Finding, Measurement, Segmentation
from dicom_node.terms import ABSENT, MILLILITRE, PRESENT, STANDARD_DEVIATION, VOLUME, segment_for
from tests.drafts.patients import (
    DENSITY,
    DIAMETER,
    HU,
    JUDGED,
    MEAN,
    MM,
    Patient,
    false_drafts,
    make_patient,
    true_drafts,
)
from tests.drafts.sentences import FALSE_OF_LUNGS, TRUE_OF_LUNGS

LUNGS = Patient(
    {("left", "lung"): 2450.3, ("right", "lung"): 2801.0},
    {("left", "lung"): -850.0, ("right", "lung"): -841.0},
    {"nodule": True, "cyst": False, "pleural effusion": False},
)
PERCENT = Code("%", "UCUM", "%")
NODULE = JUDGED["nodule"]
SIZED = Measurement(DIAMETER, 8.2, MM)
DETECTED: list[Finding] = [
    Detection(NODULE, (0, 0, 0), (1, 1, 1), 0.9, (SIZED,)),
    Detection(NODULE, (0, 0, 0), (1, 1, 1), 0.8, (Measurement(DIAMETER, 5.0, MM),)),
]
BREAST: list[Finding] = [
    Classification(
        Code("129715009", "SCT", "Breast composition"), Code("1", "99X", "Scattered fibroglandular")
    ),
    Classification(Code("233604007", "SCT", "Pneumonia"), PRESENT, probability=0.87),
    Measurement(Code("1", "99X", "Intracranial volume"), 1450.0, MILLILITRE),
]


def supported(sentence: str, findings: list[Finding] | None = None, modality: str = "CT") -> bool:
    return (
        judge(sentence, facts_of(LUNGS.findings if findings is None else findings), modality).support
        is not None
    )


@pytest.mark.parametrize("seed", range(12))
def test_generated_truths_pass_and_falsehoods_never(seed: int) -> None:
    patient, draw = make_patient(seed), random.Random(seed)
    facts = facts_of(patient.findings)
    passed = [(kind, text) for kind, text in false_drafts(patient, draw) if judge(text, facts).support]
    assert passed == []
    truths = list(true_drafts(patient, draw))
    dropped = [judge(text, facts) for text in truths if judge(text, facts).support is None]
    assert dropped == []


def test_of_many_drafts_no_false_one_passes_and_nearly_all_true_ones_do() -> None:
    """The whole measure at once: generated drafts of twelve patients, and those written by hand."""
    true = [(text, facts_of(LUNGS.findings)) for text in TRUE_OF_LUNGS]
    false = [(text, facts_of(LUNGS.findings)) for text in FALSE_OF_LUNGS]
    for seed in range(12):
        patient, draw = make_patient(seed), random.Random(seed)
        facts = facts_of(patient.findings)
        false += [(text, facts) for _, text in false_drafts(patient, draw)]
        true += [(text, facts) for text in true_drafts(patient, draw)]
    held = [text for text, facts in true if judge(text, facts, "CT").support]
    passed = [text for text, facts in false if judge(text, facts, "CT").support]
    print(f"{len(held)} of {len(true)} supported drafts pass, {len(passed)} of {len(false)} others")
    assert len({text for text, _ in true + false}) >= 300
    assert passed == []
    assert len(held) >= 0.95 * len(true)


@pytest.mark.parametrize("sentence", TRUE_OF_LUNGS)
def test_a_true_sentence_is_supported(sentence: str) -> None:
    assert judge(sentence, facts_of(LUNGS.findings), "CT").reason == ""


@pytest.mark.parametrize("sentence", FALSE_OF_LUNGS)
def test_an_unsupported_sentence_is_found(sentence: str) -> None:
    judged = judge(sentence, facts_of(LUNGS.findings), "CT")
    assert judged.support is None
    assert judged.reason


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("Two nodules were detected.", True),
        ("2 nodules are seen.", True),
        ("There are nodules.", True),
        ("A nodule with a diameter of 8.2 mm is seen.", True),
        ("A nodule measures 5 mm.", True),
        ("A nodule measures 0.82 cm.", True),
        ("Three nodules were detected.", False),
        ("A nodule measures 9 mm.", False),
        ("No nodules are seen.", False),
        ("A nodule measures 8.2 cm.", False),
    ],
)
def test_detections_are_counted_and_measured(sentence: str, holds: bool) -> None:
    assert supported(sentence, DETECTED) is holds


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("Breast composition is scattered fibroglandular.", True),
        ("The breast composition is present.", False),
        ("Pneumonia is scattered fibroglandular.", False),
        ("Pneumonia is present with a probability of 0.87.", True),
        ("Pneumonia has a probability of 87 %.", True),
        ("Pneumonia has a probability of 0.97.", False),
        ("Pneumonia has a probability of 1.", False),
        ("Pneumonia has a probability of 100 %.", False),
        ("The intracranial volume is 1450 ml.", True),
        ("The volume is 1450 ml.", False),
        ("The intracranial volume of the liver is 1450 ml.", False),
    ],
)
def test_other_answers_probabilities_and_whole_images(sentence: str, holds: bool) -> None:
    assert supported(sentence, BREAST) is holds


def test_a_judgement_of_one_structure_holds_there_alone() -> None:
    findings = [*LUNGS.findings[:1], Classification(NODULE, ABSENT, segment="left lung")]
    assert supported("There is no nodule in the left lung.", findings)
    assert not supported("There is no nodule.", findings)
    assert not supported("There is no nodule in the right lung.", findings)
    findings = [*LUNGS.findings[:1], Classification(NODULE, PRESENT, segment="left lung")]
    assert supported("There is a nodule in the left lung.", findings)
    assert supported("There is a nodule.", findings)
    assert not supported("There is a nodule in the right lung.", findings)


REAL: list[Finding] = [
    Segmentation(np.zeros((1, 1, 1), np.uint8), (segment_for("Left lung"), segment_for("Right lung"))),
    Measurement(VOLUME, 2450.0, MILLILITRE, "Left lung", digits=0),
    Measurement(DENSITY, -850.4, HU, "Left lung", MEAN, digits=0),
    Measurement(Code("LAA", "99X", "Lung voxels below -950 HU"), 3.21, PERCENT, "Left lung"),
    Measurement(Code("P15", "99X", "15th percentile of lung attenuation"), -920.0, HU, "Left lung", digits=0),
    Measurement(VOLUME, 12.0, MILLILITRE, "Left lung", STANDARD_DEVIATION, digits=0),
    Measurement(Code("TLV", "99X", "Volume of both lungs"), 5251.0, MILLILITRE, digits=0),
]


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("The percentage of lung voxels below -950 HU in the left lung is 3.2 %.", True),
        ("The left lung has 3.2% lung voxels below -950 HU.", True),
        ("The 15th percentile of lung attenuation of the left lung is -920 HU.", True),
        ("The volume of both lungs is 5251 ml.", True),
        ("The left lung measures 2450 ml and the volume of both lungs is 5.25 L.", True),
        ("The mean attenuation of the left lung is -850 HU.", True),
        ("The mean attenuation of the left lung is -920 HU.", False),
        ("The left lung measures -920 HU.", False),
        ("The left lung has 3.2% lung voxels below -910 HU.", False),
        ("The left lung has 3.2% emphysema.", False),
        ("The left lung is 3.2 %.", False),
        ("The left lung measures 12 ml.", False),
        ("The standard deviation volume of the left lung is 12 ml.", True),
        ("The volume of the left lung is 5251 ml.", False),
        ("Both lungs measure 5251 ml.", False),
    ],
)
def test_measures_as_real_pipelines_name_them(sentence: str, holds: bool) -> None:
    assert supported(sentence, REAL) is holds


def test_the_template_of_a_real_pipeline_passes_its_own_check() -> None:
    for sentence, _ in template_sentences(REAL):
        assert judge(sentence, facts_of(REAL), "CT").reason == "", sentence


@given(st.text(alphabet="left right lung nodule no 2450 ml -.,;/%", max_size=60))
def test_no_text_breaks_the_check(text: str) -> None:
    for sentence in sentences(text):
        judge(sentence, facts_of(LUNGS.findings))


@given(st.floats(1, 5000), st.integers(0, 3))
def test_a_number_passes_only_if_it_rounds_to_the_fact(value: float, digits: int) -> None:
    findings: list[Finding] = [
        *LUNGS.findings[:1],
        Measurement(VOLUME, 1234.567, MILLILITRE, "left lung", digits=1),
    ]
    text = f"{value:.{digits}f}"
    if supported(f"The left lung measures {text} ml.", findings):
        assert abs(float(text) - 1234.567) <= 0.5 * 10**-digits + 1e-6
