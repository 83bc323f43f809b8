"""What was sent and is not promised yet: neither delivered nor forgotten."""

from __future__ import annotations

from datetime import timedelta

from dicom_node.ledger import Ledger
from dicom_node.records import Delivery, DeliveryOutcome, JobState
from tests.ledger.arrivals import at
from tests.ledger.test_work import claim, new_job, queue, results


def sent(ledger: Ledger) -> list[Delivery]:
    """Two results that the PACS took; it is not asked yet."""
    queue(ledger, new_job())
    job = claim(ledger)
    ledger.work.finish(job, JobState.DONE, None, results(job), at(3))
    deliveries = ledger.outbox.begin("pacs", at(4))
    ledger.promised.sent([one.id for one in deliveries], at(5))
    return deliveries


def states(ledger: Ledger) -> list[str]:
    rows = ledger.views.deliveries()
    return sorted(row["state"] for row in rows if row["destination"] == "pacs")


def test_it_stands_as_sent_until_the_destination_says_so(ledger: Ledger) -> None:
    deliveries = sent(ledger)
    assert states(ledger) == ["sent", "sent"]
    assert not ledger.views.idle()
    assert ledger.outbox.recover("pacs", at(6)) == 0, "it is not sent again for no reason"
    assert ledger.outbox.begin("pacs", at(6)) == []
    assert ledger.promised.of("archive") == []
    assert ledger.retention.expired(at(10**6)) == []
    (waiting,) = ledger.promised.of("pacs")
    assert (waiting.transaction_uid, waiting.due) == (None, at(5))
    assert list(waiting.deliveries) == deliveries

    ledger.promised.asks(deliveries[:1], "2.25.1", at(60))
    ledger.promised.asks(deliveries[1:], "2.25.2", at(50))
    assert {one.transaction_uid: one.due for one in ledger.promised.of("pacs")} == {
        "2.25.1": at(60),
        "2.25.2": at(50),
    }
    ledger.promised.settle([(DeliveryOutcome(deliveries[0].id), None)], "promised", at(7))
    lost = DeliveryOutcome(deliveries[1].id, "not held", transient=True)
    ledger.promised.settle([(lost, timedelta(seconds=10))], "", at(7))
    assert states(ledger) == ["delivered", "owed"]
    assert ledger.views.history("delivery", str(deliveries[0].id))[-1]["cause"] == "promised"

    (again,) = ledger.outbox.begin("pacs", at(17))
    assert (again.id, again.attempt) == (deliveries[1].id, 2)
    ledger.promised.sent([again.id], at(18))
    (waiting,) = ledger.promised.of("pacs")
    assert waiting.transaction_uid is None, "it is asked for anew"
    refused = DeliveryOutcome(again.id, "never")
    ledger.promised.settle([(refused, None)], "", at(19))
    assert states(ledger) == ["delivered", "refused"]
    assert ledger.promised.of("pacs") == []


def test_who_hurries_a_destination_hurries_its_commitments_too(ledger: Ledger) -> None:
    asked, unasked = sent(ledger)
    ledger.promised.asks([asked], "2.25.1", at(60))
    ledger.promised.asks([unasked], None, at(60))
    assert ledger.outbox.hurry("pacs", at(7)) == 1
    assert {one.transaction_uid: one.due for one in ledger.promised.of("pacs")} == {
        "2.25.1": at(60),
        None: at(7),
    }


def test_an_answer_that_comes_when_all_is_settled_changes_nothing(ledger: Ledger) -> None:
    deliveries = sent(ledger)
    taken = [(DeliveryOutcome(one.id), None) for one in deliveries]
    ledger.promised.settle(taken, "promised", at(7))
    ledger.promised.settle([(DeliveryOutcome(one.id, "lost"), None) for one in deliveries], "", at(8))
    ledger.promised.asks(deliveries, "2.25.1", at(9))
    assert states(ledger) == ["delivered", "delivered"]
    assert ledger.promised.of("pacs") == []
