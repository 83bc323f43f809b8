"""The order in which jobs get a worker's device."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from dicom_node.node.turns import Closed, Turn, Turns
from dicom_node.records import Job
from tests.peers import wait_until

SOON = 0.05
"""Seconds for which a device looks whether there is a turn, where there is none."""


def job(name: str, priority: int = 0) -> Job:
    return Job(
        id=name,
        study_instance_uid="1.2",
        series={"image": "1.2.3"},
        revision=1,
        route="all",
        pipeline="block",
        destinations=(),
        created_at=datetime.now(UTC),
        priority=priority,
    )


@contextmanager
def asking(turns: Turns, one: Job) -> Iterator[None]:
    """A hand that has read a job's images waits for the device."""

    def ask() -> None:
        with pytest.raises(Closed):
            turns.ask(one, {})

    hand = threading.Thread(target=ask, daemon=True)
    hand.start()
    try:
        wait_until(
            lambda: any(turn.job is one for turn in turns._ready), seconds=60, what=f"{one.id} is read"
        )
        yield
    finally:
        turns.close()
        hand.join()


def taken(turn: Turn | None) -> str | None:
    """Whose turn it was; its hand goes on."""
    if turn is None:
        return None
    turn.findings.set_exception(Closed("the test ends"))
    return turn.job.id


def test_the_device_waits_for_an_urgent_job_that_is_still_being_read() -> None:
    turns, routine, urgent = Turns(), job("routine"), job("urgent", 1000)
    turns.enter(routine)
    with asking(turns, routine):
        turns.enter(urgent)
        assert turns.take(SOON) is None
        with asking(turns, urgent):
            assert taken(turns.take(10)) == "urgent"
            assert taken(turns.take(10)) == "routine"


def test_no_job_waits_for_another_of_its_own_urgency() -> None:
    turns, first, second = Turns(), job("first", 5), job("second", 5)
    turns.enter(second)
    turns.enter(first)
    with asking(turns, first):
        assert taken(turns.take(10)) == "first"


@pytest.mark.parametrize("ends", [Turns.pass_by, Turns.leave], ids=["unfit", "through"])
def test_an_urgent_job_that_will_not_ask_keeps_the_device_from_nobody(ends: object) -> None:
    turns, routine, urgent = Turns(), job("routine"), job("urgent", 1000)
    turns.enter(routine)
    turns.enter(urgent)
    with asking(turns, routine):
        assert turns.take(SOON) is None
        assert callable(ends)
        ends(turns, urgent)
        assert taken(turns.take(10)) == "routine"
