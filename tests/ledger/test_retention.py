"""What is through may be forgotten; what is owed never is."""

from __future__ import annotations

from dicom_node.ledger import Ledger
from dicom_node.records import DeliveryOutcome, JobState
from tests.ledger.arrivals import arrive, at, image
from tests.ledger.test_work import COMPLETE, TAKES, claim, new_job, queue, results

LATER = at(10_000)


def expired(ledger: Ledger) -> list[str]:
    return [one.series_instance_uid for one in ledger.retention.expired(LATER)]


def deliver(ledger: Ledger, error: str | None = None) -> None:
    for destination in TAKES:
        outcomes = [(DeliveryOutcome(d.id, error), None) for d in ledger.outbox.begin(destination, at(50))]
        ledger.outbox.settle(outcomes, at(51))


def test_a_series_stays_until_its_results_are_delivered(ledger: Ledger) -> None:
    queue(ledger, new_job())
    assert expired(ledger) == [], "its job has not run"
    job = claim(ledger)
    assert expired(ledger) == [], "its job runs"
    ledger.work.finish(job, JobState.DONE, None, results(job), at(3))
    assert expired(ledger) == [], "its results are owed"
    deliver(ledger)
    (one,) = ledger.retention.expired(LATER)
    assert sorted(one.paths) == sorted(["instances/1.2.3/1.dcm", *(r.path for r in results(job))])
    assert ledger.retention.expired(at(0)) == [], "it is not old enough"
    ledger.retention.forget([one])
    assert ledger.views.recent_series() == ledger.views.recent_jobs() == ledger.views.deliveries() == []


def test_what_a_destination_refused_is_not_delivered(ledger: Ledger) -> None:
    queue(ledger, new_job())
    job = claim(ledger)
    ledger.work.finish(job, JobState.DONE, None, results(job), at(3))
    deliver(ledger, "SOP class not supported")
    assert expired(ledger) == []


def test_a_series_that_still_arrives_stays(ledger: Ledger) -> None:
    arrive(ledger, [image(1)])
    assert expired(ledger) == []


def test_a_series_that_no_route_wanted_goes(ledger: Ledger) -> None:
    arrive(ledger, [image(1)])
    ledger.work.complete("1.2.3", 1, COMPLETE, [], at(1))
    assert expired(ledger) == ["1.2.3"]


def test_history_is_forgotten_by_its_age(ledger: Ledger) -> None:
    queue(ledger, new_job())
    ledger.retention.forget_history(at(0.5))
    assert len(ledger.views.history("series", "1.2.3")) == 1
    ledger.retention.forget_history(LATER)
    assert ledger.views.history("series", "1.2.3") == []
