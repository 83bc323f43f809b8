"""A wall clock that is set is noticed, by the clock that only goes forward."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.node.clock import Clock


@pytest.mark.parametrize("seconds", [-3600.0, 90.0])
def test_a_clock_that_is_set_is_told_until_it_is_followed(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    clock = Clock()
    assert clock.was_set() == 0
    assert abs(clock.since - datetime.now(UTC)) < timedelta(minutes=5)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + seconds)
    assert clock.was_set() == pytest.approx(seconds, abs=0.5)
    assert clock.was_set() == pytest.approx(seconds, abs=0.5), "what it means was not seen to yet"
    clock.follow()
    assert clock.was_set() == 0


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_what_is_judged_between_two_looks_knows_nothing_of_a_clock_that_is_set(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    clock = Clock()
    real, before = time.time, clock.now()
    monkeypatch.setattr(time, "time", lambda: real() + seconds)
    assert timedelta(0) <= clock.now() - before < timedelta(minutes=5)
    clock.follow()
    assert abs(clock.now() - before - timedelta(seconds=seconds)) < timedelta(minutes=5)
    assert clock.since <= clock.now()


def test_a_clock_that_is_nudged_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    real, since = time.time, clock.since
    monkeypatch.setattr(time, "time", lambda: real() + 0.5)
    assert clock.was_set() == 0
    assert abs(clock.now().timestamp() - time.time()) < 0.4
    assert clock.since == since, "silences before count on"
