"""Jobs on several series of a study: queued once for what they have, and told when one of them changes."""

from __future__ import annotations

from dicom_node.ledger import Ledger, NewJob
from tests.ledger.arrivals import arrive, at, image
from tests.ledger.test_work import COMPLETE

PAIR = {"t1": "1.2.3", "flair": "1.2.4"}


def complete(ledger: Ledger, series: str, revision: int = 1) -> None:
    arrive(ledger, [image(revision, series)])
    ledger.work.complete(series, revision, COMPLETE, [], at(revision))


def job(**changes: object) -> NewJob:
    return NewJob("pair", "lesions", PAIR, (), 0, {}, **changes)  # type: ignore[arg-type]


def test_a_job_knows_its_series_by_role(ledger: Ledger) -> None:
    for series in PAIR.values():
        complete(ledger, series)
    assert [uid for uid, _at in ledger.holdings.complete_in_study("1.2")] == list(PAIR.values())
    assert ledger.work.queue(job(), at(5)) is not None
    assert ledger.work.queue(job(), at(6)) is None, "the same question again is the same job"
    claimed = ledger.work.claim("w0", ["lesions"], at(7))
    assert claimed is not None
    assert list(claimed.series.items()) == list(PAIR.items())


def test_a_late_image_of_any_of_them_makes_it_another_question(ledger: Ledger) -> None:
    for series in PAIR.values():
        complete(ledger, series)
    first = ledger.work.queue(job(), at(5))
    complete(ledger, PAIR["flair"], revision=2)
    assert ledger.work.counts() == {"dropped": 1}
    second = ledger.work.queue(job(), at(9))
    assert second not in {first, None}
    claimed = ledger.work.claim("w0", ["lesions"], at(10))
    assert claimed is not None
    assert claimed.revision == 2


def test_a_route_that_waits_is_looked_at_again_in_time(ledger: Ledger) -> None:
    ledger.work.wait("1.2", {"pair": at(60), "triple": at(70)})
    assert ledger.work.waiting(at(59)) == []
    assert ledger.work.waiting(at(60)) == ["1.2"]
    ledger.work.wait("1.2", {"triple": at(80)})
    assert ledger.work.waiting(at(79)) == [], "the other one waits no more"
    ledger.work.wait("1.2", {})
    assert ledger.work.waiting(at(99)) == []


def test_a_job_may_start_later_and_may_only_say_what_is_missing(ledger: Ledger) -> None:
    for series in PAIR.values():
        complete(ledger, series)
    ledger.work.queue(job(not_before=at(100), missing="after 60 s there is no flair"), at(5))
    assert ledger.work.claim("w0", ["lesions"], at(99)) is None
    claimed = ledger.work.claim("w0", ["lesions"], at(100))
    assert claimed is not None
    assert claimed.missing == "after 60 s there is no flair"
