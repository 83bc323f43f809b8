"""The order in which jobs get a worker's device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from dicom_node.errors import ModelFailed
from dicom_node.node.turns import Alone, Closed, Ready, Turn, Turns
from dicom_node.records import Job

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
    turn = turns.ask(one, [Ready(one, {})])
    try:
        yield
    finally:
        turns.close()
        assert turn.answers.done()
        assert all(isinstance(answer, Closed) for answer in turn.answers.result())


def taken(turn: Turn | None) -> str | None:
    """Whose turn it was; its hand goes on."""
    if turn is None:
        return None
    turn.fail(Closed("the test ends"))
    return turn.first.id


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


@pytest.mark.parametrize(
    "ends", [lambda turns, one: turns.ask(one, []), Turns.leave], ids=["unfit", "through"]
)
def test_an_urgent_job_that_will_not_ask_keeps_the_device_from_nobody(
    ends: Callable[[Turns, Job], object],
) -> None:
    turns, routine, urgent = Turns(), job("routine"), job("urgent", 1000)
    turns.enter(routine)
    turns.enter(urgent)
    with asking(turns, routine):
        assert turns.take(SOON) is None
        ends(turns, urgent)
        assert taken(turns.take(10)) == "routine"


def test_jobs_that_share_a_turn_count_as_one_and_are_told_together() -> None:
    turns = Turns()
    jobs = [job(name) for name in ("first", "second", "third")]
    turns.enter(jobs[0])
    assert turns.bar() == (True, None)
    turn = turns.ask(jobs[0], [Ready(one, {}) for one in jobs[1:]])  # the first one's images are unfit
    assert turns.take(10) is turn
    assert turns.bar() == (True, None), "one may be ahead of the device"
    turns.enter(job("next"))
    assert turns.bar() == (True, 0)
    turn.break_off(ModelFailed("the time limit was reached"))
    assert [type(answer) for answer in turn.answers.result()] == [Alone, Alone]


def test_a_turn_of_one_job_that_is_broken_off_fails_it() -> None:
    turns, one = Turns(), job("one")
    turn, fault = turns.ask(one, [Ready(one, {})]), ModelFailed("the time limit was reached")
    turn.break_off(fault)
    assert turn.answers.result() == [fault]


def test_who_asks_after_the_end_is_told_so() -> None:
    turns, one = Turns(), job("one")
    turns.close()
    [answer] = turns.ask(one, [Ready(one, {})]).answers.result()
    assert isinstance(answer, Closed)
