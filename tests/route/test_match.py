"""Rules as a table: conditions, a series, and whether they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.config import RouteConfig
from dicom_node.records import SeriesFacts
from dicom_node.route import Explanation, know, match

HEADER = {
    "Modality": "CT",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SeriesDescription": "Thorax Lunge 1.0 Br59",
    "SliceThickness": 1.0,
    "SeriesNumber": 3,
    "PatientAge": "045Y",
    "PatientSex": "F",
    "StudyDate": "20240229",
    "SeriesTime": "083015.5",
    "PixelSpacing": [0.7, 0.7],
    "EchoTime": "2.93",
    "RequestAttributesSequence": [{"RequestedProcedureID": "LUNG7"}, {"RequestedProcedureID": "LIVER"}],
    "ProcedureCodeSequence": [{"CodeValue": "24627-2", "CodingSchemeDesignator": "LN"}],
    "(0019,xx0C,SIEMENS MR HEADER)": "1000",
    "(0019,xx0C,OTHER)": "7",
    "(0043,xx39,GEMS_PARM_01)": [800, 8, 0],
}


def _facts(**changes: Any) -> SeriesFacts:
    known: dict[str, Any] = {
        "series_instance_uid": "1.2",
        "study_instance_uid": "1.1",
        "header": HEADER,
        "images": 120,
        "frames": 240,
        "calling_ae_titles": ("CT1", "PACS"),
        "derived": {
            "plane": "axial",
            "coverage_mm": 312.5,
            "slice_mm": 1.25,
            "age": 44.9,
            "localizer": False,
            "derived": True,
            "secondary": False,
            "dose_report": False,
            "body_part": ("chest", "abdomen"),
        },
    }
    return SeriesFacts(**(known | changes))


def _explain(when: Any, facts: SeriesFacts | None = None) -> Explanation:
    route = RouteConfig.model_validate({"name": "r", "run": "p", "when": when})
    [explanation] = match(facts or _facts(), [route])
    return explanation


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, True),
        ({"Modality": "CT"}, True),
        ({"Modality": "ct"}, True),
        ({"Modality": "MR"}, False),
        ({"Modality": ["MR", "CT"]}, True),
        ({"Modality": ["MR", "PT"]}, False),
        ({"Modality": {"not": "MR"}}, True),
        ({"Modality": {"not": ["CT", "MR"]}}, False),
        ({"ImageType": "PRIMARY"}, True),
        ({"ImageType": {"not": "LOCALIZER"}}, True),
        ({"ImageType": {"not": ["PRIMARY", "LOCALIZER"]}}, False),
        ({"ImageType": {"contains": "prim"}}, True),
        ({"SeriesDescription": {"contains": "lunge"}}, True),
        ({"SeriesDescription": {"contains": "leber"}}, False),
        ({"SeriesDescription": {"matches": "^thorax"}}, True),
        ({"SeriesDescription": {"matches": "lunge$"}}, False),
        ({"SeriesDescription": [{"contains": "leber"}, {"matches": "br\\d+"}]}, True),
        ({"SeriesDescription": {"matches": "br\\d+", "not": {"contains": "leber"}}}, True),
        ({"SeriesDescription": {"matches": "br\\d+", "not": {"contains": "lunge"}}}, False),
        ({"SliceThickness": 1}, True),
        ({"SliceThickness": {"min": 1, "max": 1}}, True),
        ({"SliceThickness": {"min": 1.01}}, False),
        ({"SliceThickness": {"max": 0.99}}, False),
        ({"PixelSpacing": {"max": 0.8}}, True),
        ({"EchoTime": {"max": 15}}, True),
        ({"SeriesNumber": 3}, True),
        ({"SeriesNumber": "3"}, True),
        ({"SeriesNumber": [1, 2]}, False),
        ({"SeriesDescription": {"min": 3}}, False),
        ({"PatientAge": {"min": 18}}, True),
        ({"PatientAge": {"min": "18Y", "max": "540M"}}, True),
        ({"PatientAge": {"max": "044Y"}}, False),
        ({"PatientSex": "f"}, True),
        ({"StudyDate": {"min": "2024-02-01"}}, True),
        ({"StudyDate": {"max": 20240228}}, False),
        ({"StudyDate": "2024-02-29"}, True),
        ({"SeriesTime": {"min": "08:00", "max": "18:00"}}, True),
        ({"SeriesTime": {"min": "08:31"}}, False),
        ({"BodyPartExamined": {"present": False}}, True),
        ({"BodyPartExamined": {"present": True}}, False),
        ({"BodyPartExamined": "CHEST"}, False),
        ({"BodyPartExamined": {"not": "CHEST"}}, True),
        ({"BodyPartExamined": [{"present": False}, {"matches": "chest"}]}, True),
        ({"BodyPartExamined": {"max": 3}}, False),
        ({"PatientName": {"present": False}}, True),
        ({"images": 120}, True),
        ({"images": {"min": 121}}, False),
        ({"frames": {"min": 121}}, True),
        ({"calling_ae_title": "ct1"}, True),
        ({"calling_ae_title": ["CT7", "PACS"]}, True),
        ({"calling_ae_title": "CT7"}, False),
        ({"plane": "axial"}, True),
        ({"plane": ["coronal", "sagittal"]}, False),
        ({"kind": {"present": False}}, True),
        ({"coverage_mm": {"min": 250}}, True),
        ({"coverage_mm": {"min": 250, "max": 300}}, False),
        ({"slice_mm": {"max": 1.5}}, True),
        ({"pixel_mm": {"max": 1}}, False),
        ({"age": {"min": "18Y", "max": "540M"}}, True),
        ({"age": {"min": 45}}, False),
        ({"localizer": False, "secondary": False, "dose_report": False}, True),
        ({"derived": False}, False),
        ({"derived": True}, True),
        ({"contrast": False}, False),
        ({"contrast": {"not": True}}, True),
        ({"body_part": "chest"}, True),
        ({"body_part": {"not": "abdomen"}}, False),
        ({"RequestAttributesSequence.RequestedProcedureID": "LUNG7"}, True),
        ({"RequestAttributesSequence.RequestedProcedureID": "LIVER"}, True),
        ({"RequestAttributesSequence.RequestedProcedureID": {"matches": "^heart"}}, False),
        ({"RequestAttributesSequence": {"present": True}}, True),
        ({"RequestAttributesSequence": "LUNG7"}, False),
        ({"ReferencedStudySequence": {"present": True}}, False),
        ({"ReferencedStudySequence.ReferencedSOPInstanceUID": {"present": False}}, True),
        ({"(0019,xx0C,SIEMENS MR HEADER)": 1000}, True),
        ({"(0019,xx0c,OTHER)": {"min": 8}}, False),
        ({"(0019,100C)": {"min": 900}}, True),
        ({"(0043,1039)": 8}, True),
        ({"(0021,1039)": {"present": True}}, False),
        ({"all": [{"Modality": "CT"}, {"images": {"min": 100}}]}, True),
        ({"any": [{"Modality": "MR"}, {"images": {"min": 100}}]}, True),
        ({"any": [{"Modality": "MR"}, {"images": {"min": 121}}]}, False),
        ({"not": {"Modality": "MR"}}, True),
        ({"not": {"Modality": "CT", "images": 3}}, True),
        ({"not": [{"Modality": "CT"}, {"images": 120}]}, False),
        ({"Modality": "CT", "any": [{"not": {"images": 120}}, {"plane": "axial"}]}, True),
    ],
)
def test_rules(when: Any, expected: bool) -> None:
    explanation = _explain(when)
    assert explanation.matched is expected
    assert explanation.weighed is not None
    assert explanation.weighed.held is expected


def test_each_condition_is_shown_with_its_value_and_whether_it_held() -> None:
    explanation = _explain(
        {"Modality": "CT", "SliceThickness": {"max": 0.5}, "any": [{"images": {"min": 200}}]}
    )
    assert explanation.weighed is not None
    parts = explanation.weighed.parts
    assert [(part.says, part.actual, part.held) for part in parts] == [
        ("Modality is CT", "CT", True),
        ("SliceThickness is at most 0.5", "1.0", False),
        ("any of", None, False),
    ]
    assert parts[2].parts[0].says == "images is at least 200"
    assert explanation.reason == "SliceThickness is at most 0.5: 1.0"


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"Modality": ["CT", "MR"]}, "Modality is CT or MR"),
        ({"ImageType": {"not": ["LOCALIZER", "SECONDARY"]}}, "no ImageType is LOCALIZER or SECONDARY"),
        ({"SliceThickness": {"min": 0.5, "max": 3}}, "SliceThickness is between 0.5 and 3"),
        ({"ProtocolName": {"matches": "a.b"}}, "ProtocolName matches /a.b/"),
        ({"ProtocolName": {"contains": "a", "not": "b"}}, 'ProtocolName contains "a" and never is b'),
        ({"StudyDate": {"max": "20240131"}}, "StudyDate is at most 2024-01-31"),
        ({"localizer": False}, "localizer is false"),
        ({"PatientID": {"present": False}}, "PatientID is absent"),
    ],
)
def test_conditions_in_words(when: Any, said: str) -> None:
    weighed = _explain(when).weighed
    assert weighed is not None
    assert weighed.says == said


def test_an_absent_value_is_said_to_be_absent() -> None:
    assert _explain({"BodyPartExamined": "CHEST"}).reason == "BodyPartExamined is CHEST: absent"


def test_several_routes_may_fire() -> None:
    routes = [
        RouteConfig.model_validate({"name": name, "run": "p", "when": when})
        for name, when in {"a": {}, "b": {"Modality": "CT"}, "c": {"Modality": "MR"}}.items()
    ]
    assert [(one.route, one.matched) for one in match(_facts(), routes)] == [
        ("a", True),
        ("b", True),
        ("c", False),
    ]


def test_own_results_are_never_routed() -> None:
    explanation = _explain({}, _facts(own=True))
    assert not explanation.matched
    assert explanation.reason == "a result of this node is never routed"


def test_an_explanation_survives_as_json() -> None:
    explanation = _explain({"Modality": "CT", "not": {"images": 3}})
    assert Explanation.from_json(explanation.as_json()) == explanation


def test_the_sites_rules_take_the_series_they_speak_of() -> None:
    from dicom_node.config import load

    routes = load(Path(__file__).parents[2] / "conf.yaml").routes
    axial = {"ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], "ImageType": ["ORIGINAL", "PRIMARY"]}
    head = axial | {"Modality": "MR", "SeriesDescription": "ADNI_Sag3D MPRAGE", "BodyPartExamined": "BRAIN"}
    chest = axial | {"Modality": "CT", "SeriesDescription": "lung", "StudyDescription": "CT CAP"}
    scout = chest | {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    flair = head | {"SeriesDescription": "T2 FLAIR"}
    cases = ((head, 170, [1]), (chest, 100, [0]), (scout, 100, []), (chest, 2, []), (flair, 170, []))
    for header, images, fired in cases:
        facts, _ = know(_facts(header=header, images=images, frames=images, derived={}), ())
        assert [index for index, one in enumerate(match(facts, routes)) if one.matched] == fired


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["RequestedProcedureID", "CodeValue"]), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(_PLAIN, st.sampled_from(["Modality", "PatientAge", "StudyDate", "SeriesTime", "EchoTime"]))
def test_no_value_makes_a_rule_fall_over(value: Any, keyword: str) -> None:
    facts = _facts(header={keyword: value, "RequestAttributesSequence": value})
    checks = [
        "1",
        {"min": 1} if keyword not in ("StudyDate", "SeriesTime") else {"present": True},
        {"matches": "a"},
    ]
    for check in checks if keyword not in ("StudyDate", "SeriesTime") else checks[1:]:
        straight = _explain({keyword: check}, facts)
        assert straight.matched != _explain({"not": {keyword: check}}, facts).matched
    _explain({"RequestAttributesSequence.RequestedProcedureID": "x"}, facts)
