"""Jobs and deliveries: each once, whoever dies in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dicom_node.ledger import Ledger, NewJob
from dicom_node.ledger.transitions import TRANSITIONS, ForbiddenTransitionError, record
from dicom_node.records import DeliveryOutcome, Job, JobState, ReceiverEvent, Result, Verdict
from tests.ledger.arrivals import arrive, at, image, index

SERIES = "1.2.3"
TAKES = {"pacs": frozenset({"seg", "sc"}), "archive": frozenset({"sc"})}
COMPLETE = Verdict(True, "geometry", "released, whole")


def new_job(route: str = "chest", *, series: str = SERIES, priority: int = 0, shadow: bool = False) -> NewJob:
    return NewJob(route, "lung", {"image": series}, ("pacs", "archive"), priority, {"when": []}, shadow)


def results(job: Job) -> list[Result]:
    return [
        Result(
            f"2.25.1{kind == 'seg':d}{job.revision}",
            "1.2.840",
            "2.25.9",
            kind,
            f"results/{job.id}/{kind}.dcm",
            destinations=tuple(name for name, kinds in TAKES.items() if kind in kinds),
        )
        for kind in ("seg", "sc")
    ]


def queue(ledger: Ledger, *jobs: NewJob, series: str = SERIES, revision: int = 1) -> list[str]:
    arrive(ledger, [image(revision, series)])
    return ledger.work.complete(series, revision, COMPLETE, jobs, at(1))


def claim(ledger: Ledger, worker: str = "w0", now: float = 2) -> Job:
    job = ledger.work.claim(worker, ["lung"], at(now))
    assert job is not None
    return job


def test_a_complete_series_queues_each_route_once(ledger: Ledger) -> None:
    assert len(queue(ledger, new_job("chest"), new_job("shadow"))) == 2
    assert ledger.work.complete(SERIES, 1, COMPLETE, [new_job()], at(2)) == [], "it is complete already"
    assert ledger.work.counts() == {"queued": 2}


def test_jobs_are_claimed_most_urgent_first_and_once(ledger: Ledger) -> None:
    queue(ledger, new_job("routine"), new_job("stat", priority=10))
    assert claim(ledger).route == "stat"
    assert claim(ledger, "w1").route == "routine"
    assert ledger.work.claim("w2", ["lung"], at(3)) is None


def test_many_workers_never_share_a_job(ledger: Ledger) -> None:
    queue(ledger, *(new_job(f"r{n}") for n in range(12)))
    with ThreadPoolExecutor(4) as pool:
        claimed = list(pool.map(lambda n: ledger.work.claim(f"w{n % 4}", ["lung"], at(2)), range(16)))
    routes = [job.route for job in claimed if job is not None]
    rest = [job.route for _ in range(16) if (job := ledger.work.claim("w9", ["lung"], at(2))) is not None]
    assert sorted(routes + rest) == sorted(f"r{n}" for n in range(12))


def test_a_worker_claims_only_what_it_can_run(ledger: Ledger) -> None:
    queue(ledger, new_job())
    assert ledger.work.claim("w0", ["brain"], at(2)) is None


def test_results_are_owed_to_those_who_take_them(ledger: Ledger) -> None:
    queue(ledger, new_job())
    job = claim(ledger)
    assert ledger.work.finish(job, JobState.DONE, None, results(job), at(3))
    assert [d.path.rsplit("/")[-1] for d in ledger.outbox.begin("pacs", at(3))] == ["seg.dcm", "sc.dcm"]
    assert [d.path.rsplit("/")[-1] for d in ledger.outbox.begin("archive", at(3))] == ["sc.dcm"]
    assert ledger.outbox.begin("pacs", at(3)) == [], "what is being sent is not sent twice"


def test_a_shadow_job_keeps_its_results_and_owes_nothing(ledger: Ledger) -> None:
    (key,) = queue(ledger, new_job(shadow=True))
    job = claim(ledger)
    ledger.work.finish(job, JobState.DONE, None, results(job), at(3))
    assert len(ledger.views.results(key)) == 2
    assert ledger.views.deliveries() == []


def test_a_dead_workers_job_goes_back_and_only_the_new_claim_counts(ledger: Ledger) -> None:
    queue(ledger, new_job())
    first = claim(ledger)
    assert ledger.work.recover("w0", at(3), {first.id}) == []
    second = claim(ledger, "w1", 4)
    assert second.id == first.id
    assert not ledger.work.finish(first, JobState.DONE, None, results(first), at(5)), "its claim is over"
    assert ledger.work.finish(second, JobState.DONE, None, results(second), at(6))
    assert len(ledger.views.results(first.id)) == 2


def test_a_job_that_ends_its_worker_three_times_is_given_up_on(ledger: Ledger) -> None:
    queue(ledger, new_job())
    for life in range(2):
        suspect = claim(ledger, now=2 + life)
        assert ledger.work.recover("w0", at(3 + life), {suspect.id}) == []
    suspect = claim(ledger, now=9)
    (job,) = ledger.work.recover("w0", at(10), {suspect.id})
    assert ledger.work.finish(job, JobState.FAILED, "its worker ended three times", [], at(11))


def test_a_job_that_only_waited_while_another_ended_the_worker_is_never_given_up_on(ledger: Ledger) -> None:
    queue(ledger, new_job())
    for life in range(9):
        claim(ledger, now=2 + life)
        assert ledger.work.recover("w0", at(2.5 + life), {"another"}) == []
    assert claim(ledger, now=20).attempt == 10


def test_only_what_is_more_urgent_than_a_priority_is_claimed(ledger: Ledger) -> None:
    queue(ledger, new_job("routine"), new_job("stat", priority=10))
    first = ledger.work.claim("w0", ["lung"], at(2), 0)
    assert first is not None
    assert first.route == "stat"
    assert ledger.work.claim("w0", ["lung"], at(2), 0) is None


def test_given_back_with_a_delay_it_waits(ledger: Ledger) -> None:
    queue(ledger, new_job())
    job = claim(ledger)
    ledger.work.give_back(job, "device is busy", timedelta(seconds=30), at(3))
    assert ledger.work.claim("w0", ["lung"], at(32)) is None
    assert claim(ledger, now=33).attempt == 2


def test_a_late_image_drops_what_has_not_started_and_makes_a_new_revision(ledger: Ledger) -> None:
    (first,) = queue(ledger, new_job())
    arrive(ledger, [image(2, received=20)])
    assert ledger.work.counts() == {"dropped": 1}
    (second,) = ledger.work.complete(SERIES, 2, COMPLETE, [new_job()], at(30))
    assert second != first
    assert [row["after"] for row in ledger.views.history("series", SERIES)] == [
        "arriving",
        "complete",
        "arriving",
        "complete",
    ]


def test_a_late_image_makes_what_runs_stale(ledger: Ledger) -> None:
    queue(ledger, new_job())
    job = claim(ledger)
    arrive(ledger, [image(2, received=20)])
    assert ledger.work.counts() == {"stale": 1}
    assert not ledger.work.progress(job.id, "w0", 0.5), "its worker learns that it is not wanted"
    assert not ledger.work.finish(job, JobState.DONE, None, results(job), at(21))
    assert ledger.views.deliveries() == []


def test_a_new_revisions_results_replace_what_is_still_owed(ledger: Ledger) -> None:
    queue(ledger, new_job())
    first = claim(ledger)
    ledger.work.finish(first, JobState.DONE, None, results(first), at(3))
    sent = ledger.outbox.begin("archive", at(3))
    ledger.outbox.settle([(DeliveryOutcome(d.id), None) for d in sent], at(4))
    arrive(ledger, [image(2, received=20)])
    ledger.work.complete(SERIES, 2, COMPLETE, [new_job()], at(30))
    second = claim(ledger, now=31)
    assert [r.kind for r in ledger.superseding.predecessors(second)] == ["sc"], (
        "what was delivered is its predecessor"
    )
    ledger.work.finish(second, JobState.DONE, None, results(second), at(32))
    states = sorted((row["destination"], row["kind"], row["state"]) for row in ledger.views.deliveries())
    assert states == [
        ("archive", "sc", "delivered"),
        ("archive", "sc", "owed"),
        ("pacs", "sc", "owed"),
        ("pacs", "sc", "superseded"),
        ("pacs", "seg", "owed"),
        ("pacs", "seg", "superseded"),
    ]


def test_a_stale_verdict_completes_nothing(ledger: Ledger) -> None:
    queue(ledger, new_job())
    arrive(ledger, [image(2, received=20)])
    assert ledger.work.complete(SERIES, 1, COMPLETE, [new_job()], at(21)) == []


def test_deliveries_end_as_the_peer_answered(ledger: Ledger) -> None:
    queue(ledger, new_job())
    job = claim(ledger)
    ledger.work.finish(job, JobState.DONE, None, results(job), at(3))
    seg, sc = ledger.outbox.begin("pacs", at(3))
    away = DeliveryOutcome(sc.id, "connection refused", transient=True)
    ledger.outbox.settle([(DeliveryOutcome(seg.id), None), (away, timedelta(seconds=10))], at(4))
    assert ledger.outbox.begin("pacs", at(5)) == []
    (again,) = ledger.outbox.begin("pacs", at(14))
    assert (again.id, again.attempt) == (sc.id, 2)
    ledger.outbox.settle([(DeliveryOutcome(sc.id, "SOP class not supported"), None)], at(15))
    states = {
        row["kind"]: (row["state"], row["error"])
        for row in ledger.views.deliveries()
        if row["destination"] == "pacs"
    }
    assert states == {"seg": ("delivered", None), "sc": ("refused", "SOP class not supported")}
    assert ledger.outbox.retry("pacs", at(20)) == 1
    assert len(ledger.outbox.begin("pacs", at(20))) == 1


def test_what_was_being_sent_when_the_coordinator_died_is_owed_again(ledger: Ledger) -> None:
    queue(ledger, new_job())
    job = claim(ledger)
    ledger.work.finish(job, JobState.DONE, None, results(job), at(3))
    ledger.outbox.begin("pacs", at(3))
    assert ledger.outbox.recover("archive", at(4)) == 0
    assert ledger.outbox.recover("pacs", at(4)) == 2
    assert len(ledger.outbox.begin("pacs", at(4))) == 2


def test_a_failed_job_tried_again_keeps_what_its_first_try_said(ledger: Ledger) -> None:
    queue(ledger, new_job())
    job = claim(ledger)
    ledger.work.finish(job, JobState.FAILED, "weights missing", results(job)[:1], at(3))
    assert ledger.work.retry(job.id, at(4))
    again = claim(ledger, now=5)
    assert again.created_at == job.created_at, "the content time stays, so that the bytes do"
    ledger.work.finish(again, JobState.DONE, None, results(again), at(6))
    assert len(ledger.views.results(job.id)) == 2


@pytest.mark.parametrize("entity", sorted(TRANSITIONS))
def test_only_the_tables_transitions_are_possible(ledger: Ledger, entity: str) -> None:
    states = {state for pair in TRANSITIONS[entity] for state in pair}  # type: ignore[index]
    with ledger.database.write() as conn:
        for before in states:
            for after in states - {None}:
                if (before, after) not in TRANSITIONS[entity]:  # type: ignore[index]
                    with pytest.raises(ForbiddenTransitionError):
                        record(conn, entity, ["k"], before, after, "test", at(0))  # type: ignore[arg-type]


def queued_on(ledger: Ledger, *names: str, route: str = "chest", priority: int = 0, size: int = 1000) -> None:
    """A series of one image of so many bytes for each name, a number, and a job on it; in this order."""
    for name in names:
        series = f"{SERIES}.{name}"
        one = replace(image(1, series), size=size)
        events = [ReceiverEvent("stored", instance=one)]
        ledger.arrivals.apply(events, {one.path: index(one, 1)}, at(0), None)
        new = new_job(route, series=series, priority=priority)
        assert ledger.work.complete(series, 1, COMPLETE, [new], at(1 + int(name) / 100))


def company(ledger: Ledger, first: Job, most: int = 9, most_bytes: int = 10**6, **more: Any) -> list[str]:
    """The names of what a worker gets besides a job."""
    jobs = ledger.work.claim_company("w0", first, most, most_bytes, at(5), **more)
    assert all((job.attempt, job.pipeline) == (1, first.pipeline) for job in jobs)
    return [job.series["image"].removeprefix(f"{SERIES}.") for job in jobs]


def test_a_worker_gets_the_oldest_of_what_is_alike_and_each_job_once(ledger: Ledger) -> None:
    queued_on(ledger, "1", "2", "3", "4")
    queued_on(ledger, "5", priority=10)
    stat = claim(ledger)
    assert company(ledger, stat) == [], "nothing else is as urgent"
    first = claim(ledger)
    assert company(ledger, first, most=2) == ["2", "3"]
    assert company(ledger, first) == ["4"]
    assert company(ledger, first) == []
    assert ledger.work.counts() == {"running": 5}


def test_company_is_no_larger_together_than_it_may_be(ledger: Ledger) -> None:
    queued_on(ledger, "1", "2")
    queued_on(ledger, "3", size=5000)
    queued_on(ledger, "4")
    first = claim(ledger)
    assert company(ledger, first, most_bytes=3000) == ["2", "4"], "the first one counts too"
    assert company(ledger, first, most_bytes=5999) == []
    assert company(ledger, first, most_bytes=6000) == ["3"]


def test_what_was_tried_before_or_is_of_no_known_route_is_no_company(ledger: Ledger) -> None:
    queued_on(ledger, "1")
    tried = claim(ledger)
    ledger.work.give_back(tried, "its worker stops", timedelta(0), at(2))
    queued_on(ledger, "2", "3")
    queued_on(ledger, "4", route="gone")
    assert claim(ledger, now=3).id == tried.id
    first = claim(ledger, now=3)
    assert company(ledger, first, routes=["chest"]) == ["3"]
    assert company(ledger, first) == ["4"]
    ledger.work.give_back(tried, "its worker stops", timedelta(0), at(4))
    assert company(ledger, first) == []


def test_every_job_that_shared_the_device_when_its_worker_ended_is_suspected(ledger: Ledger) -> None:
    queued_on(ledger, "1", "2", "3")
    for life in range(3):
        held = {claim(ledger, now=2 + life).id for _ in range(3)}
        lost = ledger.work.recover("w0", at(2.5 + life), held - {min(held)})
    assert {job.id for job in lost} == held - {min(held)}
