"""Why a route fired or didn't, as a status page may say it: no value of the patient's."""

from __future__ import annotations

from typing import Any

import pytest

from dicom_node.config.models import RouteConfig
from dicom_node.records import SeriesFacts
from dicom_node.route import match

HEADER = {
    "Modality": "CT", "PatientName": "Doe^Jane", "PatientID": "4711", "SeriesDescription": "Lung Doe",
    "OperatorsName": "Roe^Joe", "(0019,xx0C,ACME)": "Doe",
}  # fmt: skip


@pytest.mark.parametrize(
    ("when", "told"),
    [
        ({}, "it asks for nothing"),
        ({"Modality": "CT"}, "Modality is ct (found: CT)"),
        ({"Modality": "MR"}, "Modality is mr (found: CT)"),
        ({"Modality": "CT", "slices": {"min": 30}}, "slices is at least 30 (found: 12)"),
        ({"Modality": "CT", "slices": 12}, "Modality is ct (found: CT); slices is 12 (found: 12)"),
        ({"kind": "t1w"}, "kind is t1w (found: nothing)"),
        ({"SeriesDescription": "brain"}, "SeriesDescription is brain (found: something else)"),
        ({"SeriesDescription": {"contains": "lung"}}, 'SeriesDescription contains "lung"'),
        ({"ProtocolName": "brain"}, "ProtocolName is brain (found: nothing)"),
        ({"PatientID": "4711"}, "a condition on PatientID"),
        ({"OperatorsName": {"contains": "roe"}}, "a condition on OperatorsName"),
        ({"(0019,xx0C,ACME)": "Doe"}, "a condition on (0019,xx0C,ACME)"),
        ({"age": {"min": 18}}, "age is at least 18"),
        ({"any": [{"kind": "t1w"}, {"Modality": "CT"}]}, "any of (Modality is ct (found: CT))"),
        ({"not": {"Modality": "CT"}}, "not (Modality is ct (found: CT))"),
    ],
)  # fmt: skip
def test_the_line_says_what_decided_and_nothing_of_the_patient(when: dict[str, Any], told: str) -> None:
    route = RouteConfig.model_validate({"name": "r", "when": when, "run": "p"})
    facts = SeriesFacts("1.2.3", "1.2", HEADER, 12, 12, derived={"slices": 12, "age": 41.0})
    (explanation,) = match(facts, [route])
    assert explanation.brief.lower() == told.lower()
    assert "jane" not in explanation.brief.lower()
    assert "41" not in explanation.brief


def test_it_is_kept_with_the_explanation() -> None:
    route = RouteConfig.model_validate({"name": "r", "when": {"Modality": "MR"}, "run": "p"})
    (explanation,) = match(SeriesFacts("1.2.3", "1.2", HEADER, 12, 12), [route])
    assert type(explanation).from_json(explanation.as_json()) == explanation
    older = explanation.as_json()
    del older["brief"], older["weighed"]["subject"]
    assert type(explanation).from_json(older).brief == "", "one that was kept before it was told so"
