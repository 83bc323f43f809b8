"""Ticks go on whatever happens to the wall clock."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, tzinfo

import pytest
from apscheduler.schedulers import base

from dicom_node import schedule
from dicom_node.schedule import Ticker

PATIENCE = 30


@pytest.mark.parametrize("days", [3650, -3650], ids=["ten years forward", "ten years back"])
def test_ticks_go_on_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    class Set(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=days)

    ticked = threading.Semaphore(0)
    ticker = Ticker()
    ticker.every(0.05, "tick", ticked.release)
    ticker.start()
    try:
        assert ticked.acquire(timeout=PATIENCE)
        for module in (base, schedule):
            monkeypatch.setattr(module, "datetime", Set)
        ticker.again()
        while ticked.acquire(blocking=False):
            pass
        for _ in range(5):
            assert ticked.acquire(timeout=PATIENCE)
    finally:
        ticker.stop()


def test_what_a_tick_raises_does_not_end_the_ticks() -> None:
    ticked = threading.Semaphore(0)

    def fail() -> None:
        ticked.release()
        raise ValueError("odd")

    ticker = Ticker()
    ticker.every(0.05, "tick", fail)
    ticker.start()
    try:
        assert all(ticked.acquire(timeout=PATIENCE) for _ in range(3))
    finally:
        ticker.stop()
