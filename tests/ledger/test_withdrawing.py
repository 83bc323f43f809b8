"""A late image after which a route asks for no result: the earlier one is taken back, visibly, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dicom_node.ledger import Ledger, NoMore
from dicom_node.records import DeliveryOutcome, Job, JobState, Result
from tests.ledger.arrivals import arrive, at, image
from tests.ledger.test_superseding import deliver, first_run, note, rejected, revise, uids
from tests.ledger.test_work import COMPLETE, SERIES, claim, new_job, queue, results

WHY = "the earlier result of route chest no longer counts: images came after it, and there are too many"
NO_MORE = NoMore("chest", (SERIES,), WHY, {"route": "chest", "matched": False})


def falls_silent(ledger: Ledger, revision: int, no_more: NoMore = NO_MORE) -> list[str]:
    """A late image, after which no route fires; ids of the jobs queued."""
    arrive(ledger, [image(revision, received=100 * revision)])
    now = at(100 * revision + 1)
    return ledger.work.complete(SERIES, revision, COMPLETE, [], now, no_more=[no_more])


def notice(job: Job) -> Result:
    uid = f"2.25.5{job.revision}"
    return Result(uid, "1.2.840", f"{uid}.1", "sc", f"results/{uid}.dcm", "", ("pacs", "archive"))


def says_so(ledger: Ledger, revision: int) -> Job:
    """The job that says so is claimed, and ends with its notice."""
    job = claim(ledger, now=100 * revision + 2)
    assert job.missing == WHY
    now = at(100 * revision + 3)
    assert ledger.work.finish(job, JobState.NOT_APPLICABLE, job.missing, [notice(job)], now)
    return job


def states(ledger: Ledger) -> list[tuple[str, str, str]]:
    return sorted((row["destination"], row["kind"], row["state"]) for row in ledger.views.deliveries())


def test_destinations_that_hold_a_result_are_told_and_what_is_owed_is_dropped(ledger: Ledger) -> None:
    first = first_run(ledger)
    deliver(ledger, "pacs", 110)
    assert len(falls_silent(ledger, 2)) == 1
    assert states(ledger) == [
        ("archive", "sc", "superseded"),
        ("pacs", "sc", "delivered"),
        ("pacs", "seg", "delivered"),
    ]
    job = says_so(ledger, 2)
    assert (job.revision, job.pipeline, job.destinations) == (2, first.pipeline, ("pacs",))
    assert [one.kind for one in ledger.superseding.predecessors(job)] == ["sc", "seg"]
    assert deliver(ledger, "archive", 210) == [], "it has never heard of the result"
    assert deliver(ledger, "pacs", 210) == ["2.25.52"]
    (row,) = [row for row in ledger.views.recent_jobs() if row["id"] == job.id]
    assert (row["state"], row["reason"]) == (JobState.NOT_APPLICABLE, WHY)


def test_a_rejection_note_follows_once_the_notice_is_there(ledger: Ledger) -> None:
    first = first_run(ledger)
    deliver(ledger, "pacs", 110)
    falls_silent(ledger, 2)
    job = says_so(ledger, 2)
    assert rejected(ledger, "pacs") == [], "the notice is owed"
    deliver(ledger, "pacs", 210)
    (due,) = ledger.superseding.to_reject("pacs")
    assert (due.job_id, due.reason) == (job.id, WHY)
    assert sorted(one.sop_instance_uid for one in due.results) == sorted(uids(first, "seg", "sc"))
    ledger.superseding.owe_note(job.id, "pacs", note(), at(211))
    deliver(ledger, "pacs", 212)
    assert rejected(ledger, "pacs") == []


def test_it_is_said_once_however_many_images_come(ledger: Ledger) -> None:
    first_run(ledger)
    deliver(ledger, "pacs", 110)
    assert len(falls_silent(ledger, 2)) == 1
    assert ledger.work.withdraw(NO_MORE, at(202)) == [], "it is queued"
    assert len(falls_silent(ledger, 3)) == 1, "it had not been said yet: of the new revision then"
    says_so(ledger, 3)
    assert falls_silent(ledger, 4) == [], "it has been said"
    assert ledger.work.counts() == {"done": 1, "dropped": 1, JobState.NOT_APPLICABLE: 1}


def test_nobody_is_told_of_what_nobody_has(ledger: Ledger) -> None:
    first_run(ledger)
    deliver(ledger, "pacs", 110, error="SOP class not supported")
    assert falls_silent(ledger, 2) == []
    assert {state for _destination, _kind, state in states(ledger)} == {"superseded"}
    assert ledger.outbox.retry("pacs", at(210)) == 0


@pytest.mark.parametrize(
    ("transient", "absent", "told"),
    [(True, False, True), (True, True, False), (False, False, True), (False, True, False)],
    ids=["no answer", "not reached", "not listed for good", "refused"],
)
def test_who_may_hold_a_result_after_an_attempt_that_failed_is_told(
    ledger: Ledger, transient: bool, absent: bool, told: bool
) -> None:
    first_run(ledger)
    sent = ledger.outbox.begin("archive", at(110))
    outcomes = [DeliveryOutcome(one.id, "it failed", transient, absent=absent) for one in sent]
    delay = timedelta(seconds=300) if transient else None
    ledger.outbox.settle([(one, delay) for one in outcomes], at(111))
    jobs = falls_silent(ledger, 2)
    assert {state for *_of, state in states(ledger)} == {"superseded"}, "it is not sent again"
    assert len(jobs) == told
    if told:
        job = says_so(ledger, 2)
        assert job.destinations == ("archive",)
        assert {one.sop_instance_uid for one in ledger.superseding.predecessors(job)} == {
            one.sop_instance_uid for one in sent
        }


def test_a_later_attempt_that_finds_nobody_does_not_undo_an_earlier_one(ledger: Ledger) -> None:
    first_run(ledger)
    for moment, absent in ((110, False), (120, True)):
        sent = ledger.outbox.begin("archive", at(moment))
        outcomes = [DeliveryOutcome(one.id, "away", transient=True, absent=absent) for one in sent]
        ledger.outbox.settle([(one, timedelta()) for one in outcomes], at(moment))
    assert len(falls_silent(ledger, 2)) == 1


def test_an_attempt_that_was_cut_off_may_have_arrived(ledger: Ledger) -> None:
    first_run(ledger)
    assert ledger.outbox.begin("archive", at(110))
    ledger.outbox.recover("archive", at(120))
    assert len(falls_silent(ledger, 2)) == 1
    assert says_so(ledger, 2).destinations == ("archive",)


def test_who_takes_no_responsibility_may_hold_it_all_the_same(ledger: Ledger) -> None:
    first_run(ledger)
    sent = ledger.outbox.begin("archive", at(110))
    ledger.promised.sent([one.id for one in sent], at(111))
    lost = [(DeliveryOutcome(one.id, "no room", transient=True), timedelta(seconds=5)) for one in sent]
    ledger.promised.settle(lost, "", at(112))
    assert len(falls_silent(ledger, 2)) == 1
    assert says_so(ledger, 2).destinations == ("archive",)


def test_what_is_under_way_may_arrive_and_is_taken_back_too(ledger: Ledger) -> None:
    first_run(ledger)
    sent = ledger.outbox.begin("archive", at(110))
    assert len(falls_silent(ledger, 2)) == 1
    ledger.outbox.settle([(DeliveryOutcome(one.id), None) for one in sent], at(202))
    assert says_so(ledger, 2).destinations == ("archive",)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.NOT_APPLICABLE])
def test_a_notice_needs_no_taking_back(ledger: Ledger, state: JobState) -> None:
    queue(ledger, new_job())
    job = claim(ledger)
    ledger.work.finish(job, state, "no lung in it", results(job), at(3))
    deliver(ledger, "pacs", 110)
    assert falls_silent(ledger, 2) == []


def test_a_shadow_has_told_nobody(ledger: Ledger) -> None:
    queue(ledger, new_job(shadow=True))
    job = claim(ledger)
    ledger.work.finish(job, JobState.DONE, None, results(job), at(3))
    assert falls_silent(ledger, 2) == []


def test_rules_that_change_take_nothing_back(ledger: Ledger) -> None:
    first_run(ledger)
    deliver(ledger, "pacs", 110)
    assert ledger.work.withdraw(NO_MORE, at(120)) == [], "the series is what it was run on"


def test_a_route_that_fires_again_replaces_the_notice(ledger: Ledger) -> None:
    first = first_run(ledger)
    deliver(ledger, "pacs", 110)
    falls_silent(ledger, 2)
    says_so(ledger, 2)
    deliver(ledger, "pacs", 210)
    third = revise(ledger, 3)
    held = [one.sop_instance_uid for one in ledger.superseding.predecessors(third)]
    assert sorted(held) == sorted([*uids(first, "seg", "sc"), "2.25.52"])


def test_a_run_on_several_series_is_taken_back_when_all_of_them_are_complete_again(ledger: Ledger) -> None:
    pair = {"image": SERIES, "flair": "1.2.4"}
    arrive(ledger, [image(1), image(1, "1.2.4")])
    for series in pair.values():
        ledger.work.complete(series, 1, COMPLETE, [], at(1))
    ledger.work.queue(replace(new_job(), series=pair), at(2))
    job = claim(ledger)
    ledger.work.finish(job, JobState.DONE, None, results(job), at(3))
    deliver(ledger, "pacs", 110)
    arrive(ledger, [image(2, "1.2.4", 120)])
    assert ledger.work.withdraw(NO_MORE, at(121)) == [], "one of its series is arriving"
    ledger.work.complete("1.2.4", 2, COMPLETE, [], at(130))
    assert ledger.work.withdraw(NoMore("chest", ("1.2.4",), WHY, {}), at(131)) == [], "not of this series"
    assert len(ledger.work.withdraw(NO_MORE, at(131))) == 1
    told = claim(ledger, now=132)
    assert (dict(told.series), told.revision) == (pair, 2)
