"""Storage commitment and MPPS, asked for by pynetdicom's SCU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import DataElement, Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_role
from pynetdicom.association import Association

from tests.peers import free_port, wait_until
from tests.peers.reactor import Reports, rested, steady
from tests.receive.scp import Scp, processes, receiver
from tests.receive.upper_layer import CT, Sender

COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
MPPS = "1.2.840.10008.3.1.2.3.3"


@pytest.fixture
def scp(tmp_path: Path) -> Iterator[Scp]:
    with receiver(tmp_path) as running:
        yield running


def associate(
    port: int, handlers: list[Any] | None = None, syntax: str = ExplicitVRLittleEndian
) -> Association:
    ae = AE("SENDER")
    for uid in (CT, COMMITMENT, MPPS):
        ae.add_requested_context(uid, syntax)
    assoc = ae.associate("127.0.0.1", port, ae_title="DICOMNODE", evt_handlers=handlers or [])
    assert assoc.is_established
    return steady(assoc)


def commitment(*instances: str, sop_class: str = CT) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = generate_uid()
    ds.ReferencedSOPSequence = []
    for uid in instances:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        ds.ReferencedSOPSequence.append(item)
    return ds


def no_sequence() -> Dataset:
    ds = commitment()
    ds["ReferencedSOPSequence"] = DataElement("ReferencedSOPSequence", "LO", "1.2.6")
    return ds


def hold(scp: Scp, *instances: str) -> None:
    with Sender(scp.port) as sender:
        sender.associate()
        assert [sender.store(uid) for uid in instances] == [0] * len(instances)


def ask(assoc: Association, ds: Dataset) -> int:
    status, _reply = rested(assoc).send_n_action(ds, 1, COMMITMENT, COMMITMENT_INSTANCE)
    return int(status.Status)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_what_is_held_is_committed_on_the_same_association(scp: Scp, syntax: str) -> None:
    hold(scp, "1.2.6", "1.2.7")
    reports = Reports()
    assoc = associate(scp.port, reports.handlers, syntax)
    asked = commitment("1.2.6", "1.2.7")
    assert ask(assoc, asked) == 0
    assert reports.wait()
    assoc.release()
    ((event_type, told),) = reports.got
    assert event_type == 1
    assert told.TransactionUID == asked.TransactionUID
    assert [item.ReferencedSOPInstanceUID for item in told.ReferencedSOPSequence] == ["1.2.6", "1.2.7"]
    (event,) = [event for event in scp.events() if event.happening == "commitment"]
    assert event.commitment is not None
    assert event.commitment.transaction_uid == asked.TransactionUID
    assert event.commitment.sop_instance_uids == ("1.2.6", "1.2.7")


def test_what_is_not_held_or_of_another_class_fails(scp: Scp) -> None:
    hold(scp, "1.2.6")
    reports = Reports()
    assoc = associate(scp.port, reports.handlers)
    asked = commitment("1.2.6", "1.2.99")
    asked.ReferencedSOPSequence.append(commitment("1.2.6", sop_class=MPPS).ReferencedSOPSequence[0])
    assert ask(assoc, asked) == 0
    assert reports.wait()
    assoc.release()
    ((event_type, told),) = reports.got
    assert event_type == 2
    assert [item.ReferencedSOPInstanceUID for item in told.ReferencedSOPSequence] == ["1.2.6"]
    failed = [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in told.FailedSOPSequence]
    assert failed == [("1.2.99", 0x0112), ("1.2.6", 0x0119)]


@pytest.mark.parametrize("ends", ["release", "abort"])
def test_a_sender_that_takes_no_report_is_called_back(tmp_path: Path, ends: str) -> None:
    declines, reports, port = Reports(status=0x0110), Reports(), free_port()
    sender = AE("SENDER")
    sender.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
    listener = sender.start_server(("127.0.0.1", port), block=False, evt_handlers=reports.handlers)
    peers = {"ct": {"ae_title": "SENDER", "host": "127.0.0.1", "port": port}}
    try:
        with receiver(tmp_path, peers=peers) as scp:
            hold(scp, "1.2.6")
            assoc = associate(scp.port, declines.handlers)
            assert ask(assoc, commitment("1.2.6")) == 0
            assert declines.wait()
            getattr(assoc, ends)()
            assert reports.wait()
    finally:
        listener.shutdown()
    ((event_type, told),) = reports.got
    assert event_type == 1
    assert told.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.6"


@pytest.mark.fault
def test_the_next_process_tells_what_a_dead_one_owed(tmp_path: Path) -> None:
    declines, reports, port = Reports(status=0x0110), Reports(), free_port()
    peers = {"ct": {"ae_title": "SENDER", "host": "127.0.0.1", "port": port}}
    with processes(tmp_path, peers=peers) as receivers:
        scp = receivers.scp()
        hold(scp, "1.2.6")
        assoc = associate(scp.port, declines.handlers)
        assert ask(assoc, commitment("1.2.6")) == 0
        assert declines.wait()
        receivers.kill()
        sender = AE("SENDER")
        sender.add_supported_context(COMMITMENT, scu_role=False, scp_role=True)
        listener = sender.start_server(("127.0.0.1", port), block=False, evt_handlers=reports.handlers)
        try:
            receivers.start()
            assert reports.wait()
        finally:
            listener.shutdown()
        wait_until(lambda: owed(scp) == [], what="nothing is owed any more")
    assert [event_type for event_type, _told in reports.got] == [1]


def test_a_sender_of_which_nobody_knows_where_it_listens_is_shown(scp: Scp) -> None:
    declines = Reports(status=0x0110)
    assoc = associate(scp.port, declines.handlers)
    assert ask(assoc, commitment("1.2.6")) == 0
    assert declines.wait()
    assoc.release()
    scp.wait_for("refused")
    (event,) = [event for event in scp.events() if event.happening == "refused"]
    assert event.refusal is not None
    assert "storage commitment" in event.refusal.reason
    assert "host" in event.refusal.hint
    wait_until(lambda: owed(scp) == [], what="nothing is owed any more")


def owed(scp: Scp) -> list[str]:
    return sorted(path.name for path in (scp.spool.root / "owed").iterdir())


@pytest.mark.parametrize(
    ("ds", "action", "status"),
    [
        (Dataset(), 1, 0x0120),
        (commitment("1.2.6"), 2, 0x0123),
        (no_sequence(), 1, 0x0115),
    ],
    ids=["nothing listed", "no such action", "no sequence"],
)
def test_requests_that_cannot_be_served(scp: Scp, ds: Dataset, action: int, status: int) -> None:
    assoc = associate(scp.port)
    ds.InstanceNumber = 1
    answer, _reply = rested(assoc).send_n_action(ds, action, COMMITMENT, COMMITMENT_INSTANCE)
    assoc.release()
    assert answer.Status == status
    assert "commitment" not in scp.happenings()


def performed(status: str, **series: list[str]) -> Dataset:
    ds = Dataset()
    ds.PerformedProcedureStepStatus = status
    ds.PerformedSeriesSequence = []
    for uid, instances in series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid.removeprefix("s").replace("_", ".")
        item.ReferencedImageSequence = list(commitment(*instances[:-1]).ReferencedSOPSequence)
        item.ReferencedNonImageCompositeSOPInstanceSequence = list(
            commitment(*instances[-1:]).ReferencedSOPSequence
        )
        ds.PerformedSeriesSequence.append(item)
    return ds


def test_a_step_is_followed_to_its_end(scp: Scp) -> None:
    assoc = associate(scp.port)
    created, _reply = rested(assoc).send_n_create(performed("IN PROGRESS"), MPPS, "1.2.9")
    assert created.Status == 0
    done, _reply = rested(assoc).send_n_set(
        performed("COMPLETED", s1_2_5=["1.2.6", "1.2.7", "1.2.8"]), MPPS, "1.2.9"
    )
    assert done.Status == 0
    assoc.release()
    steps = [event.step for event in scp.events() if event.step is not None]
    assert [step.status for step in steps] == ["IN PROGRESS", "COMPLETED"]
    assert steps[0].series == {}
    assert steps[1].series == {"1.2.5": ("1.2.6", "1.2.7", "1.2.8")}
    assert steps[1].calling_ae_title == "SENDER"


@pytest.mark.parametrize(
    ("first", "then", "status"),
    [
        (None, "COMPLETED", 0x0112),
        ("COMPLETED", "IN PROGRESS", 0x0110),
        ("DISCONTINUED", "COMPLETED", 0x0110),
        ("IN PROGRESS", "WHATEVER", 0x0106),
    ],
)
def test_steps_change_only_as_they_may(scp: Scp, first: str | None, then: str, status: int) -> None:
    assoc = associate(scp.port)
    if first is not None:
        assert rested(assoc).send_n_create(performed("IN PROGRESS"), MPPS, "1.2.9")[0].Status == 0
        assert rested(assoc).send_n_set(performed(first), MPPS, "1.2.9")[0].Status == 0
    assert rested(assoc).send_n_set(performed(then), MPPS, "1.2.9")[0].Status == status
    assoc.release()


def test_a_step_is_made_once_and_in_progress(scp: Scp) -> None:
    assoc = associate(scp.port)
    assert rested(assoc).send_n_create(performed("COMPLETED"), MPPS, "1.2.9")[0].Status == 0x0106
    assert rested(assoc).send_n_create(performed("IN PROGRESS"), MPPS, "1.2.9")[0].Status == 0
    assert rested(assoc).send_n_create(performed("IN PROGRESS"), MPPS, "1.2.9")[0].Status == 0x0111
    assoc.release()


def test_steps_outlive_their_receiver(tmp_path: Path) -> None:
    for expected in (0, 0x0111):
        with receiver(tmp_path) as scp:
            assoc = associate(scp.port)
            assert rested(assoc).send_n_create(performed("IN PROGRESS"), MPPS, "1.2.9")[0].Status == expected
            assoc.release()


def test_a_sender_as_scp_of_nothing_is_still_asked_nothing(scp: Scp) -> None:
    ae = AE("SENDER")
    ae.add_requested_context(COMMITMENT)
    assoc = ae.associate(
        "127.0.0.1", scp.port, ae_title="DICOMNODE", ext_neg=[build_role(COMMITMENT, scu_role=True)]
    )
    assert assoc.is_established
    assoc.release()
