"""Storage commitment as SCU: what is asked, what answers it, and what each answer means."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydicom import DataElement, Dataset
from pynetdicom import AE, evt

from dicom_node.association.commitment import COMMITMENT, COMMITMENT_INSTANCE, outcome_of
from dicom_node.deliver import commitments, outcomes_of, send
from dicom_node.errors import BadInput, PeerRefused, PeerUnavailable
from dicom_node.records import CommitmentOutcome, Delivery
from tests.deliver.objects import destination, write_object
from tests.deliver.scps import scp
from tests.receive.scp import TITLE, receiver


@pytest.fixture
def deliveries(tmp_path: Path) -> list[Delivery]:
    folder = tmp_path / "spool"
    folder.mkdir()
    return [write_object(folder) for _ in range(3)]


def asked(
    deliveries: list[Delivery], port: int, ae_title: str = "PACS", transactions: tuple[str, ...] = ("2.25.1",)
) -> list[CommitmentOutcome]:
    """Asks a peer, on one association; the answers that came on it."""
    told: list[CommitmentOutcome] = []

    def tell(answer: CommitmentOutcome) -> bool:
        told.append(answer)
        return answer.transaction_uid in transactions

    with commitments(destination(port, ae_title=ae_title), "NODE", tell) as asker:
        for transaction_uid in transactions:
            asker.ask(deliveries, transaction_uid)
        with suppress(PeerUnavailable):
            asker.listen(lambda: set(transactions) <= {one.transaction_uid for one in told})
    return told


def test_a_peer_that_answers_on_the_same_association(deliveries: list[Delivery], tmp_path: Path) -> None:
    """Our own receiver answers so: it holds two of the three."""
    with receiver(tmp_path / "node") as peer:
        to = destination(peer.port, ae_title=TITLE)
        sent = send(deliveries[:2], to, "NODE", lambda path: tmp_path / "spool" / path)
        assert [one.error for one in sent] == [None, None]
        (answer,) = asked(deliveries, peer.port, TITLE)
    assert set(answer.committed) == {one.sop_instance_uid for one in deliveries[:2]}
    assert answer.failed == {deliveries[2].sop_instance_uid: 0x0112}
    outcomes = outcomes_of(deliveries, answer, to)
    assert [one.error for one in outcomes[:2]] == [None, None]
    assert outcomes[2].transient
    assert "takes no responsibility for it: it does not hold it" in str(outcomes[2].error)


def test_many_requests_and_their_answers_share_an_association(
    deliveries: list[Delivery], tmp_path: Path
) -> None:
    transactions = tuple(f"2.25.{n}" for n in range(1, 6))
    with receiver(tmp_path / "node") as peer:
        told = asked(deliveries, peer.port, TITLE, transactions)
    assert [one.transaction_uid for one in told] == [*transactions]


@contextmanager
def answering(status: int, requests: list[Any], *, offered: bool = True) -> Iterator[int]:
    """A peer that answers an N-ACTION with a status, and tells nothing."""

    def act(event: evt.Event) -> tuple[int, None]:
        requests.append((event.request.RequestedSOPInstanceUID, event.action_type, event.action_information))
        return status, None

    def offer(ae: AE) -> None:
        if offered:
            ae.add_supported_context(COMMITMENT)

    with scp(lambda _event: 0, configure=offer, handlers=[(evt.EVT_N_ACTION, act)]) as port:
        yield port


def test_a_peer_that_answers_later_is_not_waited_for_long(deliveries: list[Delivery]) -> None:
    requests: list[Any] = []
    with answering(0, requests) as port:
        began = time.monotonic()
        assert asked(deliveries, port) == []
        assert time.monotonic() - began > 2.5
    ((instance, action, ds),) = requests
    assert (instance, action, ds.TransactionUID) == (COMMITMENT_INSTANCE, 1, "2.25.1")
    listed = [
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in ds.ReferencedSOPSequence
    ]
    assert listed == [(one.sop_class_uid, one.sop_instance_uid) for one in deliveries]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (0x0110, PeerUnavailable),
        (0x0213, PeerUnavailable),
        (0x0124, PeerRefused),
        (0x0211, PeerRefused),
    ],
)
def test_a_peer_that_does_not_take_the_request(
    deliveries: list[Delivery], status: int, error: type[Exception]
) -> None:
    with answering(status, []) as port, pytest.raises(error, match=f"{status:04X}"):
        asked(deliveries, port)


def test_a_peer_that_does_not_offer_it(deliveries: list[Delivery]) -> None:
    with answering(0, [], offered=False) as port, pytest.raises(PeerRefused):
        asked(deliveries, port)


@pytest.mark.parametrize(
    ("failed", "transient", "words"),
    [
        ({"1": 0x0110}, True, "processing failure"),
        ({"1": 0x0213}, True, "no room"),
        ({"1": 0x0122}, False, "objects of its kind"),
        ({"1": 0x0119}, False, "something else under its UID"),
        ({"1": 0xC123}, True, "reason C123"),
        ({"2": 0x0112}, True, "does not say why"),
    ],
)
def test_what_a_reason_means(failed: dict[str, int], transient: bool, words: str) -> None:
    (outcome,) = outcomes_of(
        [Delivery(1, "1", "1.2", "pacs", "a.dcm", 1)],
        CommitmentOutcome("2.25.1", (), failed),
        destination(104),
    )
    assert outcome.transient is transient
    assert words in str(outcome.error)


@pytest.mark.parametrize(
    "reason", [[0x0110, 0x0112], "no number"], ids=["several reasons", "a reason in words"]
)
def test_an_outcome_of_an_odd_shape_is_bad_input(reason: object) -> None:
    event, item = Dataset(), Dataset()
    event.TransactionUID, item.ReferencedSOPInstanceUID = "2.25.1", "1.2"
    item.add(DataElement("FailureReason", "US" if isinstance(reason, list) else "LO", reason))
    event.FailedSOPSequence = [item]
    with pytest.raises(BadInput):
        outcome_of(event)


def test_an_outcome_whose_sequence_is_none_is_bad_input() -> None:
    event = Dataset()
    event.TransactionUID = "2.25.1"
    event.add(DataElement("FailedSOPSequence", "LO", "no sequence"))
    with pytest.raises(BadInput):
        outcome_of(event)


def test_a_report_of_something_else_is_answered_as_such(deliveries: list[Delivery]) -> None:
    """An archive may use the association to tell of an earlier transaction, then of ours."""
    statuses: list[int] = []

    def act(event: evt.Event) -> tuple[int, None]:
        def report() -> None:
            for transaction in ("2.25.99", "2.25.1"):
                ds = Dataset()
                ds.TransactionUID = transaction
                ds.ReferencedSOPSequence = event.action_information.ReferencedSOPSequence
                status, _ = event.assoc.send_n_event_report(ds, 1, COMMITMENT, COMMITMENT_INSTANCE)
                statuses.append(int(status.Status))

        threading.Timer(0.3, report).start()
        return 0, None

    with scp(
        lambda _event: 0,
        configure=lambda ae: ae.add_supported_context(COMMITMENT),
        handlers=[(evt.EVT_N_ACTION, act)],
    ) as port:
        told = asked(deliveries, port)
    assert [one.transaction_uid for one in told] == ["2.25.99", "2.25.1"]
    assert statuses[:1] == [0x0115]
