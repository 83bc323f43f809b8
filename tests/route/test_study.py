"""Routes of several series: who takes which role, how long they wait, what is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.config import RouteConfig
from dicom_node.records import SeriesFacts
from dicom_node.route import Complete, match_study

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
LESIONS = {
    "name": "lesions",
    "run": "p",
    "when": {"Modality": "MR"},
    "series": {"t1": {"when": {"kind": "t1w"}}, "flair": {"when": {"kind": "flair"}}},
    "wait": 900,
}


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def _series(uid: str, kind: str, at: float = 0, frames: int = 100, **others: Any) -> Complete:
    header = {"Modality": "MR", "SeriesNumber": int(uid)} | others.pop("header", {})
    facts = SeriesFacts(uid, "1", header, frames, frames, derived={"kind": kind}, **others)
    return Complete(facts, _at(at))


def _route(**changes: Any) -> RouteConfig:
    return RouteConfig.model_validate(LESIONS | changes)


T1, T1_SMALL, FLAIR, T2 = (
    _series("1", "t1w"),
    _series("2", "t1w", frames=20),
    _series("3", "flair", 60),
    _series("4", "t2w"),
)
OPTIONAL = {"t1": {"when": {"kind": "t1w"}}, "flair": {"when": {"kind": "flair"}, "optional": True}}
ALIKE = {"first": {"when": {"kind": "t1w"}}, "second": {"when": {"kind": "t1w"}}}
NARROW = {"any": {}, "t1": {"when": {"kind": "t1w"}}}


@pytest.mark.parametrize(
    ("study", "changes", "seconds", "stands", "series"),
    [
        ([T1, FLAIR], {}, 60, "ready", {"t1": "1", "flair": "3"}),
        ([FLAIR, T2, T1_SMALL, T1], {}, 60, "ready", {"t1": "1", "flair": "3"}),
        ([T1], {}, 899, "waiting", {"t1": "1"}),
        ([T1], {}, 900, "missing", {"t1": "1"}),
        ([T1], {"series": OPTIONAL}, 899, "waiting", {"t1": "1"}),
        ([T1], {"series": OPTIONAL}, 900, "ready", {"t1": "1"}),
        ([FLAIR], {"series": OPTIONAL}, 960, "missing", {"flair": "3"}),
        ([T2], {}, 900, "no", {}),
        ([], {}, 900, "no", {}),
        ([T1, FLAIR], {"when": {"Modality": "CT"}}, 60, "no", {}),
        ([T1, T1_SMALL], {"series": ALIKE}, 60, "ready", {"first": "1", "second": "2"}),
        ([T1], {"series": ALIKE}, 60, "waiting", {"first": "1"}),
        ([T1, T2], {"series": NARROW}, 60, "ready", {"any": "4", "t1": "1"}),
        ([_series("1", "t1w", own=True), FLAIR], {}, 61, "waiting", {"flair": "3"}),
        ([_series("9", "t1w"), T1, FLAIR], {}, 60, "ready", {"t1": "1", "flair": "3"}),
    ],
)
def test_roles(
    study: list[Complete], changes: dict[str, Any], seconds: float, stands: str, series: dict[str, str]
) -> None:
    found = match_study(study, _route(**changes), _at(seconds))
    assert found.stands == stands
    assert found.series == series
    assert (found.look_again_at is not None) == (stands == "waiting")


def test_reasons_name_what_is_found_and_what_is_missing() -> None:
    assert match_study([T1], _route(), _at(10)).reason == "t1 found; waiting up to 900 s for flair"
    assert match_study([T1], _route(), _at(900)).reason == "after 900 s there is no flair"
    late = match_study([T1], _route(series=OPTIONAL), _at(900))
    assert late.reason == "t1 found; goes on without flair after 900 s"


def test_looking_again_when_told_ends_the_waiting() -> None:
    waiting = match_study([T1], _route(), _at(10))
    assert waiting.look_again_at == _at(900)
    assert match_study([T1], _route(), waiting.look_again_at).stands == "missing"


def test_each_candidate_is_explained() -> None:
    found = match_study([T1, FLAIR], _route(), _at(60))
    assert found.candidates is not None
    assert {uid: why.reason for uid, why in found.candidates["t1"]} == {
        "1": "every condition holds",
        "3": "kind is t1w: flair",
    }
    assert found.as_json()["series"] == {"t1": "1", "flair": "3"}


@given(st.permutations([T1, T1_SMALL, FLAIR, T2, _series("5", "flair", frames=100)]))
def test_the_order_of_arrival_changes_nothing(study: list[Complete]) -> None:
    assert match_study(study, _route(), _at(60)).series == {"t1": "1", "flair": "3"}
