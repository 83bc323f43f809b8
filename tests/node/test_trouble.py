"""What keeps a process from its work is told of at once, then rarely, and once when it is over."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dicom_node.errors import Transient
from dicom_node.node import trouble as module
from dicom_node.node.trouble import LAST_GAP, LONGEST_PAUSE, SOME_TROUBLE, Trouble, trouble_in
from tests.receive.test_small_disk import fill, small

__all__ = ["small"]
LOCKED = "the ledger's database does not answer: database is locked"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1.7e9 + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(module, "time", one)
    return one


def test_ten_minutes_of_trouble_are_a_few_lines_and_one_at_the_end(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "worker-0.trouble"
    trouble = Trouble(file)
    with capture_logs() as lines:
        for _half_second in range(1200):
            for part in ("arrivals", "orphans"):
                trouble.note(part, LOCKED)
            clock.now += 0.5
        trouble.note("arrivals", None)
        assert LOCKED in (trouble_in(file) or ""), "another part is kept from its work yet"
        trouble.note("orphans", None)
        trouble.note("orphans", None)
    assert [line["event"] for line in lines[-2:]] == ["work_waits", "work_goes_on"]
    assert lines[-1]["after_s"] == 600
    assert len(lines) <= 5 + 600 / LAST_GAP + 2
    assert trouble_in(file) is None


def test_another_reason_is_told_of_at_once(tmp_path: Path, clock: Clock) -> None:
    trouble = Trouble(tmp_path / "x.trouble")

    def fail(reason: str) -> None:
        raise Transient(reason)

    def odd() -> None:
        raise ZeroDivisionError

    with capture_logs() as lines:
        assert trouble.guard("arrivals", lambda: 3) == 3
        for _again in range(3):
            assert trouble.guard("arrivals", lambda: fail(LOCKED)) is None
            assert trouble.guard("arrivals", lambda: fail("no space left")) is None
            assert trouble.guard("arrivals", odd) is None
    assert [line.get("error") for line in lines] == [LOCKED, "no space left", None]
    assert "ZeroDivisionError" in (trouble_in(tmp_path / "x.trouble") or "")


def test_work_is_tried_again_after_a_pause_that_grows_a_little(tmp_path: Path, clock: Clock) -> None:
    trouble = Trouble(tmp_path / "x.trouble")
    assert not trouble.pauses
    for _failure in range(10):
        trouble.note("claim", LOCKED)
        assert trouble.pauses
        clock.now += LONGEST_PAUSE
        assert not trouble.pauses


def test_a_part_that_went_on_to_long_work_is_not_in_trouble(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "x.trouble"
    trouble = Trouble(file)
    trouble.note("housekeeping", LOCKED)
    clock.now += 60
    trouble.note("arrivals", None)
    assert trouble_in(file) is not None
    clock.now += 60
    trouble.note("arrivals", None)
    assert trouble_in(file) is None


def test_a_new_life_begins_without_trouble(tmp_path: Path) -> None:
    file = tmp_path / "x.trouble"
    Trouble(file).note("claim", LOCKED)
    assert trouble_in(file) is not None
    Trouble(file)
    assert trouble_in(file) is None


@pytest.mark.fault
def test_what_a_full_disk_has_no_room_for_is_trouble_all_the_same(small: Path) -> None:
    file = small / "x.trouble"
    trouble = Trouble(file)
    fill(small / "other")
    trouble.note("claim", "the ledger's database does not answer: database or disk is full")
    assert trouble_in(file) == SOME_TROUBLE
    trouble.note("claim", None)
    assert trouble_in(file) is None
