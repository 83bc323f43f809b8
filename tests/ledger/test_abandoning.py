"""What waits for a route or a pipeline that the site has no more never runs, and says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicom_node.ledger import Ledger
from dicom_node.records import JobState
from tests.ledger.arrivals import arrive, at, image
from tests.ledger.test_work import claim, new_job, queue, results


def reasons(ledger: Ledger) -> dict[str, tuple[str, str | None]]:
    return {row["route"]: (row["state"], row["reason"]) for row in ledger.views.recent_jobs()}


def test_jobs_of_a_route_or_a_pipeline_that_is_gone_are_dropped_with_the_reason(ledger: Ledger) -> None:
    queue(ledger, new_job("chest"), new_job("gone"), replace(new_job("other"), pipeline="brain"))
    assert ledger.work.abandon(["chest", "other"], ["lung"], at(2)) == {
        "conf.yaml has no route gone any more": 1,
        "conf.yaml has no pipeline brain any more": 1,
    }
    assert reasons(ledger) == {
        "chest": ("queued", None),
        "gone": ("dropped", "conf.yaml has no route gone any more"),
        "other": ("dropped", "conf.yaml has no pipeline brain any more"),
    }
    assert ledger.work.abandon(["chest", "other"], ["lung"], at(3)) == {}


def test_without_any_route_nothing_waits(ledger: Ledger) -> None:
    queue(ledger, new_job("chest"))
    assert ledger.work.abandon([], [], at(2)) == {"conf.yaml has no route chest any more": 1}


def test_a_job_is_not_claimed_before_it_is_dropped(ledger: Ledger) -> None:
    queue(ledger, new_job("gone", priority=9), new_job("chest"))
    job = ledger.work.claim("w0", ["lung"], at(2), None, ["chest"])
    assert job is not None
    assert job.route == "chest"
    assert ledger.work.claim("w0", ["lung"], at(2), None, ["chest"]) is None


def test_what_had_the_device_is_dropped_once_it_is_given_back(ledger: Ledger) -> None:
    queue(ledger, new_job("gone"))
    job = claim(ledger)
    assert ledger.work.abandon([], ["lung"], at(3)) == {}, "its worker has it"
    ledger.work.recover("w0", at(4), {job.id})
    assert len(ledger.work.abandon([], ["lung"], at(5))) == 1


def test_an_administrator_may_want_it_after_all(ledger: Ledger) -> None:
    (job,) = queue(ledger, new_job("gone"))
    ledger.work.abandon([], ["lung"], at(2))
    assert ledger.work.retry(job, at(3))
    assert claim(ledger, now=4).id == job


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.DROPPED])
def test_but_not_on_images_that_are_no_longer_all(ledger: Ledger, state: JobState) -> None:
    (key,) = queue(ledger, new_job("chest"))
    if state == JobState.FAILED:
        job = claim(ledger)
        ledger.work.finish(job, state, "weights missing", results(job), at(3))
    arrive(ledger, [image(2, received=20)])
    assert reasons(ledger)["chest"][0] == state
    assert not ledger.work.retry(key, at(30))
