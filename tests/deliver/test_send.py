"""Objects reach real peers as they are, and each failure is told apart and told in words."""

from __future__ import annotations

import os
import signal
import socket
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, AllStoragePresentationContexts, evt

from dicom_node.config.models import DestinationConfig
from dicom_node.deliver import send
from dicom_node.records import Delivery, DeliveryOutcome
from tests.deliver.objects import destination, write_object
from tests.deliver.scps import PICTURES_ONLY, picky_storescp, scp, tcp_listener
from tests.peers import wait_until
from tests.peers.dcmtk import storescp
from tests.peers.orthanc import Orthanc


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def deliver(deliveries: list[Delivery], to: DestinationConfig, spool: Path) -> list[DeliveryOutcome]:
    return send(deliveries, to, "NODE", lambda path: spool / path)


def test_storescp_gets_every_kind_byte_for_byte(spool: Path, tmp_path: Path) -> None:
    deliveries = [
        write_object(spool),
        write_object(spool, sop_class=SegmentationStorage, syntax=RLELossless),
        write_object(spool, sop_class=ComprehensiveSRStorage, syntax=ImplicitVRLittleEndian),
        write_object(spool, sop_class=CTImageStorage, pixels=1500),
    ]
    with storescp(tmp_path / "peer") as peer:
        outcomes = deliver(deliveries, destination(peer.port), spool)
        received = {dcmread(path).SOPInstanceUID: path for path in peer.files()}
    assert [outcome.delivery_id for outcome in outcomes] == [delivery.id for delivery in deliveries]
    assert all(outcome.error is None and outcome.status == 0 for outcome in outcomes)
    for delivery in deliveries:
        sent, got = dcmread(spool / delivery.path), dcmread(received[delivery.sop_instance_uid])
        assert got == sent
        assert got.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_a_peer_of_implicit_vr_alone_gets_the_same_data_set_rewritten(
    spool: Path, tmp_path: Path, syntax: UID
) -> None:
    deliveries = [write_object(spool, syntax=syntax)]
    with storescp(tmp_path / "peer", options=["+xi"]) as peer:
        (outcome,) = deliver(deliveries, destination(peer.port), spool)
        (received,) = peer.files()
        got = dcmread(received)
    assert outcome.error is None
    assert got.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert got.PixelData == dcmread(spool / deliveries[0].path).PixelData


def test_a_refused_sop_class_is_named_and_blocks_nothing_else(spool: Path, tmp_path: Path) -> None:
    profile = tmp_path / "storescp.cfg"
    profile.write_text(PICTURES_ONLY)
    deliveries = [
        write_object(spool, sop_class=SegmentationStorage),
        write_object(spool),
        write_object(spool, syntax=RLELossless),
    ]
    received = tmp_path / "received"
    with picky_storescp(received, "-xf", str(profile), "PicturesOnly") as (port, _process):
        seg, picture, packed = deliver(deliveries, destination(port), spool)
        only_refused = deliver(deliveries[:1], destination(port), spool)
    assert len(list(received.iterdir())) == 1
    assert picture.error is None
    for refused in (seg, *only_refused):
        assert refused.error is not None
        assert not refused.transient
        assert f"PACS at 127.0.0.1:{port}" in refused.error
        assert "Segmentation Storage" in refused.error
        assert "`outputs`" in refused.error
    assert packed.error is not None
    assert "RLE Lossless" in packed.error


def test_more_kinds_than_one_association_can_propose(spool: Path) -> None:
    classes = [str(cx.abstract_syntax) for cx in AllStoragePresentationContexts[:70]]
    deliveries = [write_object(spool, sop_class=sop_class) for sop_class in classes]
    associations: set[int] = set()

    def store(event: evt.Event) -> int:
        associations.add(id(event.assoc))
        return 0

    with scp(store, sop_classes=classes) as port:
        outcomes = deliver(deliveries, destination(port), spool)
    assert all(outcome.error is None for outcome in outcomes)
    assert len(associations) == 2


def test_a_peer_that_is_away_is_tried_again_and_gets_it_once(spool: Path, tmp_path: Path) -> None:
    deliveries = [write_object(spool) for _ in range(3)]
    pacs = Orthanc(tmp_path / "pacs")
    away = deliver(deliveries, destination(pacs.dicom_port), spool)
    assert all(outcome.transient and "connection refused" in str(outcome.error) for outcome in away)
    with pacs:
        for _attempt in range(2):
            assert all(
                outcome.error is None for outcome in deliver(deliveries, destination(pacs.dicom_port), spool)
            )
        assert pacs.count() == 3


def test_orthanc_that_checks_its_name_refuses_for_good_with_advice(spool: Path, tmp_path: Path) -> None:
    with Orthanc(tmp_path / "pacs", options={"DicomCheckCalledAet": True}) as pacs:
        (outcome,) = deliver([write_object(spool)], destination(pacs.dicom_port, ae_title="OTHER"), spool)
    assert not outcome.transient
    assert "it is not called OTHER; correct `ae_title`" in str(outcome.error)


@pytest.mark.parametrize(
    ("configure", "transient", "hint"),
    [
        (
            lambda ae: setattr(ae, "require_calling_aet", ["SCANNER"]),
            False,
            "does not know our AE title",
        ),
        (lambda ae: setattr(ae, "require_called_aet", True), False, "it is not called ELSEWHERE"),
    ],
)
def test_a_rejection_says_which_title_is_wrong(
    spool: Path, configure: Callable[[AE], None], transient: bool, hint: str
) -> None:
    with scp(lambda _event: 0, configure=configure) as port:
        (outcome,) = deliver([write_object(spool)], destination(port, ae_title="ELSEWHERE"), spool)
    assert hint in str(outcome.error)
    assert outcome.transient is transient


def test_a_peer_at_its_limit_of_associations_is_tried_again(spool: Path) -> None:
    held = threading.Event()
    release = threading.Event()

    def store(_event: evt.Event) -> int:
        held.set()
        release.wait(120)
        return 0

    first, second = write_object(spool), write_object(spool)
    with scp(store, configure=lambda ae: setattr(ae, "maximum_associations", 1)) as port:
        busy = threading.Thread(target=deliver, args=([first], destination(port, timeout=120), spool))
        busy.start()
        assert held.wait(60)
        (outcome,) = deliver([second], destination(port), spool)
        release.set()
        busy.join()
    assert outcome.transient
    assert "limit of associations" in str(outcome.error)


def test_each_status_is_classified_and_no_object_blocks_another(spool: Path) -> None:
    statuses = [0xA700, 0xC001, 0xA900, 0x0122, 0xB000, 0xB007, 0x0000]
    deliveries = [write_object(spool) for _ in statuses]
    answers = dict(zip((delivery.sop_instance_uid for delivery in deliveries), statuses, strict=True))
    with scp(lambda event: answers[event.request.AffectedSOPInstanceUID]) as port:
        outcomes = deliver(deliveries, destination(port), spool)
    assert [outcome.status for outcome in outcomes] == statuses
    assert [outcome.error is None for outcome in outcomes] == [False] * 4 + [True] * 3
    assert [outcome.transient for outcome in outcomes] == [True] + [False] * 6
    assert [outcome.absent for outcome in outcomes] == [True] * 4 + [False] * 3
    assert "A700: out of resources" in str(outcomes[0].error)


def test_an_object_on_which_the_peer_aborts_does_not_block_those_behind_it(spool: Path) -> None:
    deliveries = [write_object(spool) for _ in range(5)]
    poison = deliveries[1].sop_instance_uid

    def store(event: evt.Event) -> int:
        if event.request.AffectedSOPInstanceUID == poison:
            event.assoc.abort()
        return 0

    with scp(store) as port:
        outcomes = deliver(deliveries, destination(port), spool)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, True, True]
    assert outcomes[1].transient
    assert not outcomes[1].absent, "it had been sent"


def test_a_peer_that_aborts_always_is_left_alone_after_a_few(spool: Path) -> None:
    attempts: list[str] = []

    def store(event: evt.Event) -> int:
        attempts.append(event.request.AffectedSOPInstanceUID)
        event.assoc.abort()
        return 0

    with scp(store) as port:
        outcomes = deliver([write_object(spool) for _ in range(10)], destination(port), spool)
    assert all(outcome.transient for outcome in outcomes)
    assert len(attempts) == 3
    assert [outcome.absent for outcome in outcomes] == [False] * 3 + [True] * 7


@pytest.mark.fault
def test_a_peer_killed_in_the_middle_leaves_the_rest_for_later(spool: Path, tmp_path: Path) -> None:
    deliveries = [write_object(spool) for _ in range(40)]
    received = tmp_path / "received"
    with picky_storescp(received, "--sleep-after", "1") as (port, process):

        def kill_in_the_middle() -> None:
            wait_until(lambda: len(list(received.iterdir())) >= 3, what="some objects arrived", every=0.001)
            process.kill()

        killer = threading.Thread(target=kill_in_the_middle)
        killer.start()
        outcomes = deliver(deliveries, destination(port), spool)
        killer.join()
    delivered = [outcome.error is None for outcome in outcomes]
    assert sum(delivered) >= 2
    assert delivered == sorted(delivered, reverse=True)
    assert not all(delivered)
    assert all(outcome.transient for outcome in outcomes if outcome.error is not None)


@pytest.mark.fault
def test_a_peer_that_stops_reading_does_not_hang_us(spool: Path, tmp_path: Path) -> None:
    deliveries = [write_object(spool, pixels=200), write_object(spool, pixels=6000)]
    received = tmp_path / "received"
    with picky_storescp(received, "--sleep-after", "1") as (port, process):

        def freeze() -> None:
            wait_until(lambda: any(received.iterdir()), what="an object arrived", every=0.001)
            os.kill(process.pid, signal.SIGSTOP)

        freezer = threading.Thread(target=freeze)
        freezer.start()
        _small, large = deliver(deliveries, destination(port, timeout=3), spool)
        freezer.join()
        os.kill(process.pid, signal.SIGCONT)
    assert large.transient


def test_a_peer_that_never_answers_a_store_is_given_up_in_time(spool: Path) -> None:
    released = threading.Event()

    def store(_event: evt.Event) -> int:
        released.wait(120)
        return 0

    with scp(store) as port:
        (outcome,) = deliver([write_object(spool)], destination(port, timeout=0.5), spool)
        released.set()
    assert outcome.transient
    assert not outcome.absent
    assert "no answer within 0.5 s" in str(outcome.error)


@pytest.mark.parametrize(
    ("converse", "patience", "words"),
    [
        (lambda connection: [*iter(lambda: connection.recv(65_536), b"")], 0.5, "no answer within 0.5 s"),
        (lambda connection: connection.shutdown(socket.SHUT_RDWR), 30, "a DICOM service listen"),
        (
            lambda connection: connection.sendall(b"HTTP/1.1 400\r\n\r\n"),
            30,
            "a DICOM service listen",
        ),
    ],
    ids=["silent", "closes", "a web server"],
)
def test_a_port_where_no_dicom_service_listens(
    spool: Path, converse: Callable[[socket.socket], None], patience: float, words: str
) -> None:
    with tcp_listener(converse) as port:
        (outcome,) = deliver([write_object(spool)], destination(port, timeout=patience), spool)
    assert outcome.transient
    assert outcome.absent
    assert words in str(outcome.error)


def test_a_host_that_has_no_address(spool: Path) -> None:
    (outcome,) = deliver([write_object(spool)], destination(104, host="pacs.invalid"), spool)
    assert outcome.transient
    assert outcome.absent
    assert "check `host`" in str(outcome.error)


def test_a_file_that_is_missing_or_no_dicom_fails_alone(spool: Path) -> None:
    good, gone, odd = (write_object(spool) for _ in range(3))
    (spool / gone.path).unlink()
    (spool / odd.path).write_text("not DICOM")
    with scp(lambda _event: 0) as port:
        outcomes = deliver([gone, odd, good], destination(port), spool)
    assert [outcome.error is None for outcome in outcomes] == [False, False, True]
    assert not any(outcome.transient for outcome in outcomes)
    assert [outcome.absent for outcome in outcomes] == [True, True, False]
    assert "missing from the spool" in str(outcomes[0].error)
    assert "no DICOM file meta information" in str(outcomes[1].error)


def test_a_large_object_is_never_held_in_memory(spool: Path, tmp_path: Path) -> None:
    large = write_object(spool, pixels=8000)
    with picky_storescp(tmp_path / "received", "+B") as (port, _process):
        tracemalloc.start()
        try:
            (outcome,) = deliver([large], destination(port, timeout=120), spool)
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outcome.error is None
    assert (spool / large.path).stat().st_size > 60e6
    assert peak < 8e6


def test_nothing_to_send_opens_no_association(spool: Path) -> None:
    assert deliver([], destination(1), spool) == []


def test_a_picture_of_any_size_is_the_same_afterwards(spool: Path, tmp_path: Path) -> None:
    deliveries = [write_object(spool, pixels=edge) for edge in (1, 2, 127, 128, 362, 363)]
    assert all(delivery.sop_class_uid == SecondaryCaptureImageStorage for delivery in deliveries)
    with storescp(tmp_path / "peer") as peer:
        assert all(outcome.error is None for outcome in deliver(deliveries, destination(peer.port), spool))
        received = {dcmread(path).SOPInstanceUID: path for path in peer.files()}
    for delivery in deliveries:
        sent, got = dcmread(spool / delivery.path), dcmread(received[delivery.sop_instance_uid])
        assert got.PixelData == sent.PixelData
