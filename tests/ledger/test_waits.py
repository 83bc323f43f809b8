"""When the wall clock was set back an hour, nothing waits until it has caught up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dicom_node.ledger import Ledger
from dicom_node.records import DeliveryOutcome, JobState, Verdict
from tests.ledger.arrivals import arrive, assoc, at, image, opened
from tests.ledger.test_promised import sent as sent_to_the_pacs
from tests.ledger.test_work import SERIES, claim, new_job, queue, results

BACK = -3600.0


def test_what_arrives_and_what_waits_for_its_study_is_looked_at(ledger: Ledger) -> None:
    arrive(ledger, [image(1)])
    ledger.holdings.wait_until(SERIES, Verdict(False, "waiting", "released", look_again_at=at(10)))
    ledger.work.wait("1.2", {"pair": at(60)})
    assert ledger.holdings.due(at(BACK)) == []
    ledger.waits.end(at(BACK))
    assert ledger.holdings.due(at(BACK)) == [SERIES]
    assert ledger.work.waiting(at(BACK)) == ["1.2"]


def test_jobs_run_and_results_are_sent(ledger: Ledger) -> None:
    queue(ledger, new_job("given back"), new_job("owed", priority=1), new_job("queued"))
    owed = claim(ledger)
    ledger.work.finish(owed, JobState.DONE, None, results(owed), at(3))
    sent = ledger.outbox.begin("pacs", at(3))
    away = [(DeliveryOutcome(one.id, "away", True), timedelta(minutes=9)) for one in sent]
    ledger.outbox.settle(away, at(4))
    ledger.work.give_back(claim(ledger, now=5), "no memory", timedelta(seconds=80), at(6))
    assert ledger.work.claim("w0", ["lung"], at(BACK)) is None
    ledger.waits.end(at(BACK))
    assert {claim(ledger, now=BACK).route, claim(ledger, now=BACK).route} == {"given back", "queued"}
    assert len(ledger.outbox.begin("pacs", at(BACK))) == len(sent)


def test_a_window_is_still_waited_for(ledger: Ledger) -> None:
    queue(ledger, replace(new_job(), not_before=at(7200)))
    ledger.waits.end(at(BACK))
    assert ledger.work.claim("w0", ["lung"], at(100)) is None
    assert claim(ledger, now=7200).route == "chest"


def test_commitments_are_asked_for_and_awaited_as_long_as_they_were(ledger: Ledger) -> None:
    asked, unasked = sent_to_the_pacs(ledger)
    ledger.promised.asks([asked], "2.25.1", at(60))
    ledger.waits.end(at(BACK))
    assert {one.deliveries[0].id: one.due for one in ledger.promised.of("pacs")} == {
        asked.id: at(60),
        unasked.id: at(BACK),
    }


def test_a_source_is_asked_again_for_counts_that_lie_ahead(ledger: Ledger) -> None:
    opened(ledger, assoc("a1"))
    arrive(ledger, [image(1)])
    ledger.holdings.note_counts("peer", {SERIES: 5}, at(10))
    assert ledger.holdings.to_count("CT1", at(6), at(11)) == [], "it has just been asked"
    assert ledger.holdings.to_count("CT1", at(BACK), at(BACK + 5)) == [("1.2", "")]
