"""Urgency and times of the week, as tables."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.config import RouteConfig
from dicom_node.records import SeriesFacts
from dicom_node.route import not_before, priority

ZONE = ZoneInfo("Europe/Zurich")
NIGHT = {"start": "20:00", "end": "06:00"}
WEEKEND = {"days": ["saturday", "sunday"]}


def _route(**changes: Any) -> RouteConfig:
    return RouteConfig.model_validate({"name": "r", "run": "p"} | changes)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, 5),
        ({"RequestedProcedurePriority": "STAT"}, 1005),
        ({"RequestedProcedurePriority": "high"}, 105),
        ({"RequestedProcedurePriority": "LOW"}, -95),
        ({"RequestedProcedurePriority": "ROUTINE"}, 5),
        ({"RequestAttributesSequence": [{}, {"RequestedProcedurePriority": "STAT"}]}, 1005),
        ({"RequestAttributesSequence": "odd"}, 5),
    ],
)
def test_urgent_requests_go_first(header: dict[str, Any], expected: int) -> None:
    assert priority(_route(priority=5), SeriesFacts("1", "2", header, 1, 1)) == expected


# 2026-03-02 is a Monday
@pytest.mark.parametrize(
    ("hours", "now", "expected"),
    [
        ([], "2026-03-02 12:00", "2026-03-02 12:00"),
        ([NIGHT], "2026-03-02 12:00", "2026-03-02 20:00"),
        ([NIGHT], "2026-03-02 20:00", "2026-03-02 20:00"),
        ([NIGHT], "2026-03-02 23:59", "2026-03-02 23:59"),
        ([NIGHT], "2026-03-03 05:59", "2026-03-03 05:59"),
        ([NIGHT], "2026-03-03 06:00", "2026-03-03 20:00"),
        ([WEEKEND], "2026-03-02 12:00", "2026-03-07 00:00"),
        ([WEEKEND], "2026-03-07 12:00", "2026-03-07 12:00"),
        ([WEEKEND], "2026-03-08 23:59", "2026-03-08 23:59"),
        ([NIGHT, WEEKEND], "2026-03-07 12:00", "2026-03-07 12:00"),
        ([{**NIGHT, "days": ["friday"]}], "2026-03-07 05:00", "2026-03-07 05:00"),
        ([{**NIGHT, "days": ["friday"]}], "2026-03-07 07:00", "2026-03-13 20:00"),
        ([{"start": "08:00", "end": "12:00"}], "2026-03-02 12:00", "2026-03-03 08:00"),
    ],
)
def test_windows(hours: list[dict[str, Any]], now: str, expected: str) -> None:
    start = datetime.fromisoformat(now).replace(tzinfo=ZONE)
    assert not_before(_route(hours=hours), start) == datetime.fromisoformat(expected).replace(tzinfo=ZONE)


_DAYS = st.lists(
    st.sampled_from(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]),
    min_size=1,
)
_CLOCK = st.times().map(lambda moment: f"{moment:%H:%M}")
_WINDOW = st.fixed_dictionaries({"start": _CLOCK, "end": _CLOCK, "days": _DAYS})


@given(
    st.lists(_WINDOW, max_size=3),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - given its zone below
)
def test_a_window_always_opens_within_a_week_and_is_then_open(hours: Any, now: datetime) -> None:
    now = now.replace(tzinfo=ZONE)
    route = _route(hours=hours)
    at = not_before(route, now)
    assert now <= at <= now + timedelta(days=8)
    assert not_before(route, at) == at
