"""Who is let in, who is turned away with which reason, and what the administrator is told."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import psutil
import pytest
import structlog
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.receive.admission import is_within
from dicom_node.records import Refusal
from tests.peers import echoscu, wait_until
from tests.receive.scp import Scp, receiver
from tests.receive.upper_layer import (
    ABORT,
    AC,
    CT,
    P_DATA,
    RJ,
    VERIFICATION,
    Sender,
    associate_rq,
    data_set,
    echo_rq,
    p_data,
    store_rq,
)

STORE = [(VERIFICATION, [ExplicitVRLittleEndian]), (CT, [ExplicitVRLittleEndian])]


def rejection(scp: Scp, **request: str) -> tuple[int, ...] | None:
    """Result, source and diagnostic; None if accepted."""
    with Sender(scp.port) as sender:
        kind, raw = sender.ask(associate_rq(STORE, **request))
        return None if kind == AC else tuple(raw[7:10])


def refusals(scp: Scp) -> list[Refusal]:
    return [event.refusal for event in scp.events() if event.refusal is not None]


def test_another_called_title(tmp_path: Path) -> None:
    with receiver(tmp_path, called_ae_titles=["SECOND"]) as scp:
        assert rejection(scp, called="SECOND") is None
        assert rejection(scp, called="OTHER") == (1, 1, 7)
        (refusal,) = refusals(scp)
        assert refusal.called_ae_title == "OTHER"
        assert 'called_ae_titles: ["OTHER"]' in refusal.hint


def test_any_called_title(tmp_path: Path) -> None:
    with receiver(tmp_path, called_ae_titles=["*"]) as scp:
        assert rejection(scp, called="WHATEVER") is None


def test_unknown_senders(tmp_path: Path) -> None:
    peers = {"ct": {"ae_title": "CT1"}}
    with receiver(tmp_path, unknown_peers="refuse", peers=peers) as scp:
        assert rejection(scp, calling="CT1") is None
        assert rejection(scp, calling="CT2") == (1, 1, 3)
        (refusal,) = refusals(scp)
        assert 'ae_title: "CT2"' in refusal.hint
        assert "127.0.0.1" in refusal.hint


def test_a_sender_at_another_address(tmp_path: Path) -> None:
    peers = {"ct": {"ae_title": "CT1", "addresses": ["10.1.0.0/16"]}}
    with receiver(tmp_path, peers=peers) as scp:
        assert rejection(scp, calling="CT1") == (1, 1, 3)
        assert rejection(scp, calling="UNKNOWN") is None


@pytest.mark.parametrize(
    ("address", "networks", "within"),
    [
        ("10.1.2.3", (), True),
        ("10.1.2.3", ("10.1.0.0/16",), True),
        ("10.2.2.3", ("10.1.0.0/16", "10.2.2.3"), True),
        ("10.2.2.4", ("10.1.0.0/16", "10.2.2.3"), False),
        ("::ffff:10.1.2.3", ("10.1.0.0/16",), True),
        ("fe80::1", ("fe80::/10",), True),
    ],
)
def test_addresses(address: str, networks: tuple[str, ...], within: bool) -> None:
    assert is_within(address, networks) is within


def test_what_a_sender_may_do(tmp_path: Path) -> None:
    peers = {"probe": {"ae_title": "PROBE", "may": ["echo"]}}
    with receiver(tmp_path, peers=peers) as scp, Sender(scp.port) as sender:
        answer = sender.associate(calling="PROBE")
        assert [one.result for one in answer.presentation_context_definition_results_list] == [0, 1]
        (refusal,) = refusals(scp)
        assert "may" in refusal.hint


def test_one_refusal_is_said_once_and_counted_however_often_it_is_tried(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs, receiver(tmp_path) as scp:
        for _ in range(20):
            assert rejection(scp, called="OTHER") == (1, 1, 7)
    assert sum(refusal.times for refusal in refusals(scp)) == 20
    assert len([line for line in logs if line["event"] == "refused"]) == 1


def test_the_limit_of_associations(tmp_path: Path) -> None:
    with receiver(tmp_path, max_associations=2) as scp:
        with Sender(scp.port) as first, Sender(scp.port) as second:
            first.associate()
            second.associate()
            assert rejection(scp) == (2, 3, 2)
            assert "max_associations" in refusals(scp)[0].hint
        wait_until(lambda: rejection(scp) is None, what="there is room again")


def test_low_disk_refuses_storage_but_not_verification(tmp_path: Path) -> None:
    with receiver(tmp_path, free_disk_mb=10**9) as scp:
        assert rejection(scp) == (2, 3, 1)
        assert echoscu("127.0.0.1", scp.port, "DICOMNODE")
        (refusal,) = refusals(scp)
        assert "disk" in refusal.reason
        assert "make room on the disk of" in refusal.hint
        assert "free_disk_mb" in refusal.hint


def test_while_it_stops_the_one_in_hand_ends_and_others_are_sent_away(tmp_path: Path) -> None:
    with receiver(tmp_path, drain_timeout=120) as scp, Sender(scp.port) as sender:
        sender.associate()
        sender.send(p_data(3, 3, store_rq("1.2.6")), p_data(3, 0, data_set("1.2.6")[:40]))
        assert rejection(scp) is None
        scp.stop.set()
        wait_until(lambda: rejection(scp) == (2, 3, 1), what="others are sent away")
        kind, _raw = sender.ask(p_data(3, 2, data_set("1.2.6")[40:]))
        assert kind == P_DATA
    assert len(list(scp.spool.walk())) == 1


def test_it_does_not_wait_for_ever_for_the_one_in_hand(tmp_path: Path) -> None:
    with Sender.__new__(Sender) as sender:
        with receiver(tmp_path, drain_timeout=0.5) as scp:
            sender.__init__(scp.port)  # type: ignore[misc] # outlives the receiver
            sender.associate()
            assert sender.store("1.2.6") == 0
        assert sender.is_closed()
        association = scp.events()[-1].association
        assert association is not None
        assert association.outcome == "aborted"


def test_a_slow_sender_is_cut_off_and_others_are_served_meanwhile(tmp_path: Path) -> None:
    with receiver(tmp_path, network_timeout=1, artim_timeout=3) as scp, Sender(scp.port) as slow:
        slow.associate()
        slow.send(p_data(3, 3, store_rq("1.2.6")))
        request = p_data(3, 2, data_set("1.2.6"))
        sent = 0
        for byte in request:
            try:
                slow.send(bytes([byte]))
            except OSError:
                break
            sent += 1
            with Sender(scp.port) as other:
                other.associate()
                assert other.ask(p_data(1, 3, echo_rq()))[0] == P_DATA
            time.sleep(0.1)
        assert sent < len(request) // 2, "it was cut off in the midst of its image, which takes half a minute"
        assert list((scp.spool.root / "incoming").glob("[!.]*")) == []


def test_an_idle_sender_is_cut_off(tmp_path: Path) -> None:
    with receiver(tmp_path, idle_timeout=0.3) as scp, Sender(scp.port) as sender:
        sender.associate()
        assert sender.store("1.2.6") == 0
        assert sender.receive()[0] == ABORT
        scp.wait_for("closed")


def test_hundreds_of_idle_connections_hinder_nobody_and_go(tmp_path: Path) -> None:
    with receiver(tmp_path, artim_timeout=5) as scp:
        idle = [socket.create_connection(("127.0.0.1", scp.port)) for _ in range(300)]
        with Sender(scp.port) as sender:
            sender.associate()
            assert sender.store("1.2.6") == 0
        for connection in idle:
            connection.settimeout(60)
            assert connection.recv(1) == b""
            connection.close()
        wait_until(lambda: len(psutil.Process().threads()) <= 40, what="their threads go")


def test_a_rejected_request_is_answered_whatever_follows(tmp_path: Path) -> None:
    with receiver(tmp_path) as scp, Sender(scp.port) as sender:
        assert sender.ask(associate_rq(STORE, called="OTHER"))[0] == RJ
        sender.send(bytes(100_000))
        assert sender.receive()[0] in (0, ABORT)
