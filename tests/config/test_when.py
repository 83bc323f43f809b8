"""The language of `when:`: what can be written, and what each mistake says."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.config.faults import FaultyConfigError
from dicom_node.config.values import comparable
from dicom_node.config.when import ALWAYS, Between, Term, parse_when


@pytest.mark.parametrize(
    ("raw", "where", "said"),
    [
        ({"Modalty": "CT"}, ("Modalty",), 'no DICOM keyword and no fact; did you mean "Modality"?'),
        ({"imgaes": 3}, ("imgaes",), 'did you mean "images"?'),
        ({"qqqqqqqq": 3}, ("qqqqqqqq",), "a keyword of PS3.6, or one of"),
        ({"Modality": None}, ("Modality",), "found nothing"),
        ({"Modality": []}, ("Modality",), "an empty list"),
        ({"Modality": {}}, ("Modality",), "found no check"),
        ({"Modality": {"matchs": "CT"}}, ("Modality", "matchs"), 'did you mean "matches"?'),
        ({"Modality": {"matches": "["}}, ("Modality", "matches"), "is no regular expression"),
        ({"Modality": {"contains": ""}}, ("Modality", "contains"), "a text"),
        ({"Modality": {"present": "yes"}}, ("Modality", "present"), "allowed: true, false"),
        ({"images": "many"}, ("images",), "compared as number"),
        ({"images": {"min": 5, "max": 4}}, ("images",), "min 5 is above max 4"),
        ({"PatientAge": {"min": "old"}}, ("PatientAge", "min"), "compared as age"),
        ({"StudyDate": {"min": "2024-13-01"}}, ("StudyDate", "min"), "compared as date"),
        ({"SeriesTime": {"min": "27:00"}}, ("SeriesTime", "min"), "compared as time"),
        ({"plane": "diagonal"}, ("plane",), "plane is never"),
        ({"any": {"Modality": "CT"}}, ("any",), "takes a list of conditions"),
        ({"all": []}, ("all",), "takes a list of conditions"),
        ({"any": [{"Modality": "CT"}, {"not": {"Rowz": 1}}]}, ("any", 1, "not", "Rowz"), '"Rows"'),
        ({"Modality.CodeValue": "1"}, ("Modality.CodeValue",), "Modality is no sequence"),
        ({"(0010,0010)": "x"}, ("(0010,0010)",), "with an odd group"),
        ({"(0019,xx0C)": "x"}, ("(0019,xx0C)",), "names no creator"),
        ("CT", (), "conditions are written as"),
        ([{"Modality": "CT"}, 3], (1,), "found 3"),
    ],
)
def test_each_mistake_says_what_would_be_right(raw: Any, where: tuple[Any, ...], said: str) -> None:
    with pytest.raises(FaultyConfigError) as caught:
        parse_when(raw)
    assert [fault.path for fault in caught.value.faults] == [where]
    assert said in str(caught.value.faults[0])


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(FaultyConfigError) as caught:
        parse_when({"Modalty": "CT", "images": {"min": "a", "max": "b"}, "not": {"Rowz": 1}})
    assert len(caught.value.faults) == 4


def test_no_conditions_always_hold() -> None:
    assert parse_when({}) == ALWAYS


@pytest.mark.parametrize(
    ("value", "sort", "expected"),
    [
        ("045Y", "age", 45.0),
        ("018M", "age", 1.5),
        ("004W", "age", 28 / 365.25),
        ("010D", "age", 10 / 365.25),
        (45, "age", 45.0),
        ("45", "age", 45.0),
        ("old", "age", None),
        ("20240131", "date", date(2024, 1, 31)),
        ("2024-01-31", "date", date(2024, 1, 31)),
        ("2024.01.31", "date", date(2024, 1, 31)),
        ("20240132", "date", None),
        ("1.50", "number", 1.5),
        ("1,5", "number", None),
        (True, "number", None),
        (None, "number", None),
    ],
)
def test_values_compare_as_what_they_mean(value: object, sort: Any, expected: object) -> None:
    assert comparable(value, sort) == expected


@pytest.mark.parametrize(
    ("value", "clock"),
    [("0830", "08:30:00"), ("083015.123", "08:30:15"), ("08:30", "08:30:00"), ("08", "08:00:00")],
)
def test_times_are_read_in_both_ways_of_writing(value: str, clock: str) -> None:
    assert str(comparable(value, "time")) == clock


@pytest.mark.parametrize("value", ["", "24", "8:30", "08301", "0", "noon"])
def test_what_is_no_time_is_none(value: str) -> None:
    assert comparable(value, "time") is None


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6))
def test_a_range_keeps_its_bounds(low: int, width: int) -> None:
    condition = parse_when({"images": {"min": low, "max": low + width}})
    assert isinstance(condition, Term)
    assert condition.check == Between(low, low + width)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(["Modality", "images", "PatientAge", "StudyDate", "not", "any", "all", "(0019,100C)"])


@given(st.dictionaries(_KEYS, _ANY, max_size=4))
def test_nothing_makes_the_parser_fall_over(raw: dict[str, Any]) -> None:
    try:
        parse_when(raw)
    except FaultyConfigError as error:
        assert error.faults  # noqa: PT017 - a parse or faults, and nothing else
