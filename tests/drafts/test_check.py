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


def test_there_are_enough_generated_drafts() -> None:
    drafts = [
        text
        for seed in range(12)
        for text in (
            *true_drafts(make_patient(seed), random.Random(seed)),
            *(text for _, text in false_drafts(make_patient(seed), random.Random(seed))),
        )
    ]
    assert len(set(drafts)) > 600


TRUE_OF_LUNGS = """
The left lung measures 2450 ml.
The left lung measures 2450.3 ml, the right lung 2801.0 ml.
Left lung: 2,450 ml.
Right lung: 2.80 L.
2450 ml were measured in the left lung.
The volumes of the left and right lung are 2450 ml and 2801 ml, respectively.
The left lung has a volume of 2450 ml and a mean density of -850 HU.
The left lung has a mean attenuation coefficient of −850 HU.
The lungs were segmented on the left and the right side.
The left and right lung were segmented.
A nodule is present.
There is a nodule and no cyst.
No cyst or pleural effusion is seen.
No cyst, pleural effusion.
There is no cyst in the left lung.
No pleural effusion was identified on this CT scan.
The CT shows a left lung volume of 2450 ml.
Impression: left lung volume 2450 ml, right lung volume 2801 ml.
The left lung was segmented with a volume of 2450 ml and shows no cyst.
The right lung (2801 ml) was measured.
The left-sided lung volume is 2450 cm3.
On the left, the lung measures 2450 ml.
On the left the lung measures 2450 ml, on the right it measures 2801 ml.
The left lung volume was automatically estimated to be ~2450 ml.
The left lung has a volume of 2450 cubic centimetres.
Automated volumetric analysis gives a left lung volume of 2450 ml.
Left lung – 2450 ml.
Both lungs were segmented.
The lungs were identified bilaterally.
Bilateral lung segmentation is shown.
""".strip().splitlines()

FALSE_OF_LUNGS = """
The left lung measures 2801 ml.
The left lung measures 2450 ml, the right lung 2450 ml.
The right lung measures 2450 ml and the left 2801 ml.
The volumes of the left and right lung are 2801 ml and 2450 ml, respectively.
The volumes of the right and left lung are 2450 and 2801 ml, respectively.
The left and right lung measure 2450 ml.
The left or right lung measures 2450 ml.
The lung measures 2450 ml.
Both lungs measure 2450 ml.
The lungs measure 2450 ml bilaterally.
The left lung measures 2450–2801 ml.
The left lung has a volume of 2450 square centimetres.
On the right, the lung measures 2450 ml.
Both nodules are seen.
A nodule is present, on the left.
A nodule is present on the right and the left.
The left lung measures 2450 ml, and the right.
On the left.
The left lung measures 2450.
The left lung measures 2450 mm.
The left lung measures 2 L.
The left lung measures 2450-2801 ml.
The left lung measures 2450/2801 ml.
The left lung measures more than 2450 ml.
The left lung measures at least 2450 ml.
The left lung lost 2450 ml.
The left lung does not measure 2450 ml.
The left lung measures 245 ml.
The left lung measures 24503 ml.
The left lung measures 2.450 ml.
The left lung measures 2450 ml in the prior study.
The left lung measures 2450 ml, unchanged.
The left lung is normal.
The left lung is enlarged.
The left lung volume is 2450 ml, which is within normal limits.
The left upper lobe measures 2450 ml.
The left kidney measures 2450 ml.
The left lung has a density of 850 HU.
The left lung has a mean density of +850 HU.
The left lung has a mean density of 2450 ml.
The left lung has a volume of -850 HU.
No nodule is present.
There is no evidence of a nodule.
The nodule is absent.
A cyst is present.
There is a cyst and no nodule.
No nodule or cyst is seen.
There is not no nodule.
Neither nodule nor cyst is seen.
A nodule is present in the left lung.
A nodule of 2450 ml is present.
The left lung measures 2450 ml and contains a nodule.
The left lung with a nodule measures 2450 ml.
A nodule, seen in the left lung, is present.
On the left, a nodule is present.
A nodule is present on the left.
Two nodules are present.
A malignant nodule is present.
A nodule is possibly present.
Is a nodule present?
The nodule is not in the left lung.
There is no left lung.
The left lung is absent.
The left lung is not seen.
Pneumothorax is present.
No pneumothorax.
No fracture is seen.
There is a left nodule.
The patient should return for follow-up.
Clinical correlation is recommended.
The MRI shows a left lung volume of 2450 ml.
The chest X-ray shows a nodule.
Both lungs are clear.
It is seen.
The left lung measures 2450 ml per minute.
The left lung measures 2450 ml².
The left lung measures 1e3 ml.
The left lung measures 2450 ml on 12/03/2020.
The left lung measures two ml.
The left lung contains 2450 ml of fluid.
The left lung measures 2450 ml and contains a mass.
The right lung measures 2801 ml with a tumour of 2450 ml.
Left lung 2450 ml. ± 3
Lung left right 2450 ml.
""".strip().splitlines()


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
