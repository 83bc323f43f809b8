"""What a pipeline may return, and that every breach is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dicom_node.errors import ModelFailed
from dicom_node.infer.contracts import check_findings
from dicom_node.pipeline import (
    Classification,
    Code,
    Detection,
    Embedding,
    Heatmap,
    Measurement,
    NotApplicable,
    Picture,
    Segmentation,
    Text,
)
from tests.infer.cases import LUNG, ML, VOLUME, lung_findings, make_case

CASE = make_case()
SHAPE = CASE.volume.grid.shape
ZEROS = np.zeros(SHAPE, np.uint8)
NODULE = Code("27925004", "SCT", "Nodule")
PRESENT = Code("52101004", "SCT", "Present")


def test_sound_findings_of_every_type_pass() -> None:
    check_findings(
        [
            *lung_findings(CASE),
            Classification(NODULE, PRESENT, 0.5, segment="lung"),
            Detection(NODULE, (0, 0, 0), (3, 5, 7), 1.0),
            Heatmap(np.ones(SHAPE, np.float32), "heat"),
            Embedding(np.ones(8, np.float32), "dino", "1", "1 key slice"),
            Text((("A nodule.", None),)),
            Picture(np.zeros((2, 2, 3), np.uint8), "picture"),
        ],
        CASE,
    )
    check_findings([NotApplicable("no lung")], CASE)
    check_findings([Segmentation(np.zeros((1, *SHAPE), bool), (LUNG,))], CASE)
    check_findings([Segmentation(np.zeros((1, *SHAPE), np.float32), (LUNG,))], CASE)


SEGMENTATION = Segmentation(ZEROS, (LUNG,))
MEASUREMENT = Measurement(VOLUME, 1.0, ML)
DETECTION = Detection(NODULE, (0, 0, 0), (1, 1, 1), 0.5)
EMBEDDING = Embedding(np.ones(8, np.float32), "dino", "1", "1 key slice")
BREACHES: list[tuple[list[Any], str]] = [
    ([], "returned nothing"),
    ([NotApplicable("no"), MEASUREMENT], "beside other findings"),
    ([NotApplicable(" ")], "needs a reason"),
    (["lung"], "finding 1 is str"),
    ([replace(SEGMENTATION, array=np.zeros((4, 8, 6), np.uint8))], "(4, 8, 6)"),
    ([replace(SEGMENTATION, array=ZEROS + 2)], "holds the value 2 and names 1"),
    ([replace(SEGMENTATION, array=ZEROS.astype(np.int16))], "3 axes of int16"),
    ([replace(SEGMENTATION, array=np.zeros((2, *SHAPE), bool))], "needed is (1, 4, 6, 8)"),
    ([replace(SEGMENTATION, array=np.full((1, *SHAPE), np.nan, np.float32))], "not all in 0..1"),
    ([replace(SEGMENTATION, segments=(LUNG, LUNG))], "not unique: lung"),
    ([SEGMENTATION, SEGMENTATION], "not unique: lung"),
    ([replace(SEGMENTATION, segments=(replace(LUNG, label=""),))], "1 to 64 characters"),
    ([replace(SEGMENTATION, segments=(replace(LUNG, color=(0, 0, 256)),))], "colour of 'lung'"),
    ([replace(SEGMENTATION, role="prior")], "no input 'prior'"),
    ([replace(MEASUREMENT, value=float("nan"))], "Volume is nan"),
    ([replace(MEASUREMENT, value=float("inf"))], "Volume is inf"),
    ([replace(MEASUREMENT, segment="liver")], "'liver', which no segmentation holds"),
    ([replace(MEASUREMENT, unit=Code("", "UCUM", "ml"))], "the value of a code"),
    ([replace(MEASUREMENT, name=Code("1", "SCT", "x" * 65))], "1 to 64 characters"),
    ([Classification(NODULE, PRESENT, 1.01)], "probability 1.01"),
    ([Classification(NODULE, PRESENT, float("nan"))], "probability nan"),
    ([replace(DETECTION, score=-0.1)], "score -0.1"),
    ([replace(DETECTION, upper=(4, 1, 1))], "does not lie in"),
    ([replace(DETECTION, lower=(2, 2, 2))], "does not lie in"),
    ([Heatmap(np.full(SHAPE, 2, np.float32), "heat")], "not all in 0..1"),
    ([replace(EMBEDDING, vector=np.ones((2, 4), np.float32))], "needed is (d,) float32"),
    ([replace(EMBEDDING, vector=np.ones(8))], "(8,) float64"),
    ([replace(EMBEDDING, vector=np.full(8, np.nan, np.float32))], "it has no direction"),
    ([replace(EMBEDDING, vector=np.zeros(8, np.float32))], "all zero"),
    ([replace(EMBEDDING, version="")], "says its model"),
    ([replace(EMBEDDING, model="x" * 128)], "more than 128"),
    ([replace(EMBEDDING, role="prior")], "there is no input"),
    ([Text(())], "needs sentences"),
    ([Picture(np.zeros((2, 2), np.uint8), "grey")], "(rows, columns, 3)"),
]


@pytest.mark.parametrize(("findings", "said"), BREACHES, ids=[said for _, said in BREACHES])
def test_a_breach_fails_the_job_and_is_named(findings: list[Any], said: str) -> None:
    with pytest.raises(ModelFailed) as caught:
        check_findings(findings, CASE)
    assert said in str(caught.value)


def test_every_breach_is_named_at_once() -> None:
    findings = [replace(MEASUREMENT, value=float("nan")), replace(MEASUREMENT, segment="liver")]
    with pytest.raises(ModelFailed) as caught:
        check_findings(findings, CASE)
    assert "finding 1" in str(caught.value)
    assert "finding 2" in str(caught.value)
