"""A later revision's results stand in the place of earlier ones: nothing stale is sent; notes say so once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dicom_node.ledger import Ledger
from dicom_node.records import DeliveryOutcome, Job, JobState, Result
from tests.ledger.arrivals import arrive, at, image
from tests.ledger.test_work import COMPLETE, SERIES, claim, new_job, queue, results


def revise(ledger: Ledger, revision: int, *, shadow: bool = False) -> Job:
    """A late image, and the job of the revision that it makes, claimed."""
    arrive(ledger, [image(revision, received=100 * revision)])
    ledger.work.complete(SERIES, revision, COMPLETE, [new_job(shadow=shadow)], at(100 * revision + 1))
    return claim(ledger, now=100 * revision + 2)


def finish(ledger: Ledger, job: Job, state: JobState = JobState.DONE) -> None:
    assert ledger.work.finish(job, state, None, results(job), at(100 * job.revision + 3))


def deliver(ledger: Ledger, destination: str, now: float, error: str | None = None) -> list[str]:
    """Sends what is due, which is taken or refused, and gives the UIDs."""
    sent = ledger.outbox.begin(destination, at(now))
    absent = error is not None
    ledger.outbox.settle([(DeliveryOutcome(one.id, error, absent=absent), None) for one in sent], at(now))
    return [one.sop_instance_uid for one in sent]


def first_run(ledger: Ledger) -> Job:
    queue(ledger, new_job())
    job = claim(ledger)
    finish(ledger, job)
    return job


def note(name: str = "2.25.77") -> Result:
    return Result(name, "1.2.840.10008.5.1.4.1.1.88.59", "2.25.78", "rejection", f"results/note/{name}.dcm")


def rejected(ledger: Ledger, destination: str) -> list[list[str]]:
    return [
        [one.sop_instance_uid for one in each.results] for each in ledger.superseding.to_reject(destination)
    ]


def uids(job: Job, *kinds: str) -> list[str]:
    return [one.sop_instance_uid for one in results(job) if one.kind in kinds]


def test_old_results_are_rejected_once_all_new_ones_are_there(ledger: Ledger) -> None:
    first = first_run(ledger)
    deliver(ledger, "pacs", 110)
    assert rejected(ledger, "pacs") == [], "there is nothing newer"
    second = revise(ledger, 2)
    assert rejected(ledger, "pacs") == [], "the newer job runs"
    finish(ledger, second)
    assert rejected(ledger, "pacs") == [], "its results are owed"
    deliver(ledger, "pacs", 210)
    (due,) = ledger.superseding.to_reject("pacs")
    assert (due.job_id, due.revision, due.at) == (second.id, 2, at(203))
    assert sorted(one.sop_instance_uid for one in due.results) == sorted(uids(first, "seg", "sc"))
    assert rejected(ledger, "archive") == [], "it never had the old ones"


def test_a_note_is_owed_once_and_delivered_like_any_result(ledger: Ledger) -> None:
    first_run(ledger)
    deliver(ledger, "pacs", 110)
    second = revise(ledger, 2)
    finish(ledger, second)
    deliver(ledger, "pacs", 210)
    assert ledger.superseding.owe_note(second.id, "pacs", note(), at(211))
    assert not ledger.superseding.owe_note(second.id, "pacs", note(), at(212))
    assert ledger.superseding.owe_note(second.id, "archive", note(), at(212)), "the same note for another"
    assert rejected(ledger, "pacs") == [], "it is on its way"
    assert deliver(ledger, "pacs", 213) == ["2.25.77"]
    assert rejected(ledger, "pacs") == [], "it is there"
    assert [one.kind for one in ledger.superseding.predecessors(revise(ledger, 3))] == ["sc", "seg"] * 2


def test_a_refusal_of_a_new_result_keeps_the_old_ones(ledger: Ledger) -> None:
    first_run(ledger)
    deliver(ledger, "pacs", 110)
    finish(ledger, revise(ledger, 2))
    deliver(ledger, "pacs", 210, error="SOP class not supported")
    assert rejected(ledger, "pacs") == []
    ledger.outbox.retry("pacs", at(220))
    deliver(ledger, "pacs", 221)
    assert len(rejected(ledger, "pacs")) == 1


def test_a_third_revision_rejects_what_no_note_has_named(ledger: Ledger) -> None:
    first = first_run(ledger)
    deliver(ledger, "pacs", 110)
    second = revise(ledger, 2)
    finish(ledger, second)
    deliver(ledger, "pacs", 210)
    ledger.superseding.owe_note(second.id, "pacs", note(), at(211))
    deliver(ledger, "pacs", 212)
    finish(ledger, revise(ledger, 3))
    deliver(ledger, "pacs", 310)
    (named,) = rejected(ledger, "pacs")
    assert sorted(named) == sorted(uids(second, "seg", "sc")), "the first's are rejected already"
    assert not set(named) & set(uids(first, "seg", "sc"))


def test_a_note_that_was_not_sent_in_time_is_replaced_by_the_next(ledger: Ledger) -> None:
    first = first_run(ledger)
    deliver(ledger, "pacs", 110)
    second = revise(ledger, 2)
    finish(ledger, second)
    deliver(ledger, "pacs", 210)
    ledger.superseding.owe_note(second.id, "pacs", note(), at(211))
    finish(ledger, revise(ledger, 3))
    assert "2.25.77" not in deliver(ledger, "pacs", 310)
    (named,) = rejected(ledger, "pacs")
    assert sorted(named) == sorted(uids(first, "seg", "sc") + uids(second, "seg", "sc"))


def test_an_attempt_that_failed_is_not_repeated_once_a_later_result_is_there(ledger: Ledger) -> None:
    first = first_run(ledger)
    (old, *_rest) = ledger.outbox.begin("archive", at(110))
    finish(ledger, revise(ledger, 2))
    timeout = DeliveryOutcome(old.id, "it does not answer", transient=True)
    ledger.outbox.settle([(timeout, timedelta(seconds=5))], at(204))
    sent = deliver(ledger, "archive", 300)
    assert len(sent) == 1
    assert not set(sent) & set(uids(first, "seg", "sc")), (
        "a stale result never follows the one that replaces it"
    )


def test_what_an_attempt_may_have_left_there_is_referred_to_though_it_is_sent_no_more(ledger: Ledger) -> None:
    first = first_run(ledger)
    sent = ledger.outbox.begin("archive", at(110))
    lost = [(DeliveryOutcome(one.id, "no answer", transient=True), timedelta(seconds=100)) for one in sent]
    ledger.outbox.settle(lost, at(111))
    second = revise(ledger, 2)
    assert sorted(one.sop_instance_uid for one in ledger.superseding.predecessors(second)) == sorted(
        one.sop_instance_uid for one in sent
    )
    finish(ledger, second)
    assert not set(deliver(ledger, "archive", 220)) & set(uids(first, "seg", "sc"))
    third = revise(ledger, 3)
    held = {one.sop_instance_uid for one in ledger.superseding.predecessors(third)}
    assert held >= {one.sop_instance_uid for one in sent}, "it may be there, dropped or not"


def test_what_was_refused_of_an_old_revision_is_not_owed_again(ledger: Ledger) -> None:
    first = first_run(ledger)
    deliver(ledger, "pacs", 110, error="out of resources")
    finish(ledger, revise(ledger, 2))
    assert ledger.outbox.retry("pacs", at(300)) == 0
    assert not set(deliver(ledger, "pacs", 301)) & set(uids(first, "seg", "sc"))


def test_a_run_in_shadow_replaces_nothing(ledger: Ledger) -> None:
    first = first_run(ledger)
    second = revise(ledger, 2, shadow=True)
    assert ledger.superseding.predecessors(second) == []
    finish(ledger, second)
    assert sorted(deliver(ledger, "pacs", 300)) == sorted(uids(first, "seg", "sc"))
    assert rejected(ledger, "pacs") == []


def test_a_run_on_more_series_replaces_the_one_on_fewer(ledger: Ledger) -> None:
    """A route of several series went on without one, which came after all."""
    arrive(ledger, [image(1), image(1, "1.2.4")])
    for series in (SERIES, "1.2.4"):
        ledger.work.complete(series, 1, COMPLETE, [], at(1))
    ledger.work.queue(new_job(), at(2))
    first = claim(ledger)
    finish(ledger, first)
    deliver(ledger, "pacs", 103)
    more = {"image": SERIES, "flair": "1.2.4"}
    ledger.work.queue(replace(new_job(), series=more), at(110))
    second = claim(ledger, now=111)
    assert sorted(one.sop_instance_uid for one in ledger.superseding.predecessors(second)) == sorted(
        uids(first, "seg", "sc")
    )
