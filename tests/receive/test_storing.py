"""What senders are answered, and what is on the disk afterwards."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.receive.tally import MOST_NAMED, Tally
from dicom_node.records import AssociationOutcome
from tests.peers import wait_until
from tests.receive.scp import Scp, receiver
from tests.receive.upper_layer import (
    CT,
    P_DATA,
    PLAIN_RELEASE_RQ,
    RELEASE_RP,
    VERIFICATION,
    Sender,
    command,
    data_set,
    p_data,
    status_of,
    store_rq,
)

MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def scp(tmp_path: Path) -> Iterator[Scp]:
    with receiver(tmp_path) as running:
        yield running


@pytest.fixture
def sender(scp: Scp) -> Iterator[Sender]:
    with Sender(scp.port) as connection:
        connection.associate()
        yield connection


def aside(scp: Scp) -> list[bytes]:
    return [path.read_bytes() for path in (scp.spool.root / "aside").iterdir()]


def test_success_means_that_the_file_is_there(scp: Scp, sender: Sender) -> None:
    assert sender.store("1.2.6") == 0
    (instance,) = scp.stored()
    assert scp.spool.path(instance.path).read_bytes().endswith(data_set("1.2.6"))
    assert instance.series_instance_uid == "1.2.5"
    incoming = scp.spool.root / "incoming"
    wait_until(lambda: not list(incoming.glob("[!.]*")), seconds=10, what="the temporary name goes")


def test_an_association_is_recorded_from_its_first_image_to_its_end(scp: Scp, sender: Sender) -> None:
    for number in range(3):
        assert sender.store(f"1.2.6.{number}") == 0
    assert scp.happenings() == ["opened", "stored", "stored", "stored"]
    assert sender.ask(PLAIN_RELEASE_RQ)[0] == RELEASE_RP
    scp.wait_for("closed")
    association = scp.events()[-1].association
    assert association is not None
    assert association.outcome is AssociationOutcome.RELEASED
    assert (association.calling_ae_title, association.called_ae_title) == ("SENDER", "DICOMNODE")
    assert (association.address, association.instances) == ("127.0.0.1", 3)
    assert {one.association_id for one in scp.stored()} == {association.id}


def test_an_association_that_breaks_off_is_aborted_and_leaves_no_half_image(scp: Scp) -> None:
    with Sender(scp.port) as sender:
        sender.associate()
        assert sender.store("1.2.6") == 0
        sender.send(p_data(3, 3, store_rq("1.2.7")), p_data(3, 0, data_set("1.2.7")[:60]))
    scp.wait_for("closed")
    association = scp.events()[-1].association
    assert association is not None
    assert association.outcome is AssociationOutcome.ABORTED
    assert association.instances == 1
    assert [one.sop_instance_uid for one in scp.spool.walk()] == ["1.2.6"]
    assert list((scp.spool.root / "incoming").glob("[!.]*")) == []


def test_one_that_goes_without_its_answers_leaves_no_temporary_names(scp: Scp) -> None:
    uids = [f"1.2.6.{number}" for number in range(20)]
    with Sender(scp.port) as sender:
        sender.associate()
        messages = (p_data(3, 3, store_rq(uid)) + p_data(3, 2, data_set(uid)) for uid in uids)
        sender.send(b"".join(messages))
        assert sender.receive()[0] == P_DATA
        sender.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    scp.wait_for("closed")
    assert 0 < len(scp.stored()) <= len(uids)
    assert list((scp.spool.root / "incoming").glob("[!.]*")) == []


def test_one_that_only_verifies_leaves_no_record(scp: Scp) -> None:
    with Sender(scp.port) as sender:
        sender.associate()
        sender.ask(PLAIN_RELEASE_RQ)
    assert scp.events() == []


def test_the_same_again_is_acknowledged_and_counted_once(scp: Scp, sender: Sender) -> None:
    assert [sender.store("1.2.6") for _ in range(3)] == [0, 0, 0]
    assert scp.happenings() == ["opened", "stored", "duplicate", "duplicate"]
    assert len(list(scp.spool.walk())) == 1


def test_other_bytes_under_the_same_uid_are_kept_and_shown(scp: Scp, sender: Sender) -> None:
    assert sender.store("1.2.6") == 0
    assert sender.store("1.2.6", data_set("1.2.6", size=200)) == 0
    assert scp.happenings() == ["opened", "stored", "conflict"]
    conflict = scp.events()[-1].instance
    assert conflict is not None
    assert scp.spool.path(conflict.path).read_bytes().endswith(data_set("1.2.6", size=200))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (data_set("1.2.6").replace(CT.encode(), CT[:-1].encode() + b"9"), 0xA900),
        (b"no data set, whatever it may be", 0xC000),
        (b"", 0xC000),
    ],
    ids=["another class", "not DICOM", "nothing"],
)
def test_what_is_not_what_it_says_is_refused_and_kept_aside(
    scp: Scp, sender: Sender, data: bytes, status: int
) -> None:
    assert sender.store("1.2.6", data) == status
    assert list(scp.spool.walk()) == []
    (kept,) = aside(scp)
    assert kept.endswith(data)
    refusal = scp.events()[-1].refusal
    assert refusal is not None
    assert scp.spool.path(refusal.path).read_bytes() == kept
    assert sender.store("1.2.7") == 0


def test_a_data_set_without_uids_is_kept_under_those_of_the_command(scp: Scp, sender: Sender) -> None:
    lean = b"\x10\x00\x20\x00LO\x02\x00X "
    assert sender.store("1.2.6", lean) == 0
    (instance,) = scp.stored()
    assert (instance.sop_instance_uid, instance.series_instance_uid) == ("1.2.6", "")
    assert scp.spool.path(instance.path).read_bytes().endswith(lean)


def test_the_data_sets_own_uid_counts(scp: Scp, sender: Sender) -> None:
    assert sender.store("1.2.6", data_set("1.2.77")) == 0
    (instance,) = scp.stored()
    assert instance.sop_instance_uid == "1.2.77"
    (walked,) = scp.spool.walk()
    assert (walked.sop_instance_uid, walked.path) == ("1.2.77", instance.path)


def test_another_class_than_the_contexts_is_not_supported(scp: Scp, sender: Sender) -> None:
    kind, raw = sender.ask(p_data(3, 3, store_rq("1.2.6", sop_class_uid=MR)), p_data(3, 2, data_set("1.2.6")))
    assert (kind, status_of(raw)) == (P_DATA, 0x0122)
    kind, raw = sender.ask(p_data(1, 3, store_rq("1.2.6", sop_class_uid=VERIFICATION)), p_data(1, 2, b"12"))
    assert (kind, status_of(raw)) == (P_DATA, 0x0122)
    assert list(scp.spool.walk()) == []


def test_an_instance_without_uid_is_invalid(sender: Sender) -> None:
    assert sender.store("") == 0x0117


@pytest.mark.parametrize("operation", [0x0020, 0x0010, 0x0021, 0x0110, 0x0150, 0x0140])
def test_other_operations_are_unrecognized(sender: Sender, operation: int) -> None:
    request = command(x0002=CT, x0100=operation, x0110=7, x0800=1)
    kind, raw = sender.ask(p_data(3, 3, request), p_data(3, 2, b"\x08\x00\x52\x00CS\x06\x00STUDY "))
    assert (kind, status_of(raw)) == (P_DATA, 0x0211)
    assert sender.store("1.2.6") == 0


def test_a_cancel_is_passed_over(sender: Sender) -> None:
    sender.send(p_data(3, 3, command(x0100=0x0FFF, x0120=1, x0800=0x0101)))
    assert sender.store("1.2.6") == 0


def test_several_at_once_are_answered_in_order(scp: Scp, sender: Sender) -> None:
    for number in range(20):
        uid = f"1.2.6.{number}"
        sender.send(p_data(3, 3, store_rq(uid, number)), p_data(3, 2, data_set(uid)))
    answers = [sender.receive()[1] for _ in range(20)]
    assert [status_of(raw) for raw in answers] == [0] * 20
    assert len(scp.stored()) == 20


@pytest.mark.parametrize("size", [1, 7, 100, 16_384, 131_066])
def test_fragments_of_any_size_make_the_same_file(scp: Scp, sender: Sender, size: int) -> None:
    data = data_set("1.2.6", size=20_000 if size < 1000 else 300_000)
    sender.send(p_data(3, 3, store_rq("1.2.6")))
    for start in range(0, len(data), size):
        sender.send(p_data(3, 2 if start + size >= len(data) else 0, data[start : start + size]))
    assert status_of(sender.receive()[1]) == 0
    assert scp.spool.path(scp.stored()[0].path).read_bytes().endswith(data)


def test_an_odd_uid_is_padded_in_the_file_and_in_the_answer(scp: Scp, sender: Sender) -> None:
    kind, raw = sender.ask(p_data(3, 3, store_rq("1.2.66")), p_data(3, 2, data_set("1.2.66")))
    assert kind == P_DATA
    assert b"1.2.66" in raw
    assert len(raw) % 2 == 0


def test_a_hostile_uid_stays_inside(scp: Scp, sender: Sender) -> None:
    assert sender.store("../../../etc/x", data_set("../../../etc/x")) == 0
    (instance,) = scp.stored()
    assert scp.spool.path(instance.path).resolve().is_relative_to(scp.spool.root.resolve())


def test_the_transfer_syntax_of_the_context_is_the_files(scp: Scp) -> None:
    with Sender(scp.port) as sender:
        sender.associate(
            contexts=[(VERIFICATION, [ImplicitVRLittleEndian]), (CT, ["1.2.840.10008.1.2.4.90"])]
        )
        assert sender.store("1.2.6") == 0
        assert scp.stored()[0].transfer_syntax_uid == "1.2.840.10008.1.2.4.90" != ExplicitVRLittleEndian


def test_what_is_refused_at_its_start_leaves_nothing_open(tmp_path: Path) -> None:
    """The next object's file is made ahead: one, however many are refused before it is used."""
    nothing = command(x0002=CT, x0100=1, x0110=9, x0700=0, x0800=0x0101, x1000="1.2.9")
    with receiver(tmp_path) as scp, Sender(scp.port) as sender:
        sender.associate()
        assert [sender.store(f"1.2.6.{n}") for n in range(2)] == [0, 0]
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(50):
            _kind, answer = sender.ask(p_data(3, 3, nothing))
            assert status_of(answer) != 0
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
        assert len(list((scp.spool.root / "incoming").glob("[!.]*"))) <= 1
        assert sender.store("1.2.6.7") == 0


def test_the_log_tells_what_came_again_and_warns_once_of_other_bytes(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs, receiver(tmp_path) as scp, Sender(scp.port) as sender:
        sender.associate()
        for uid, size in (("1.2.6", 100), ("1.2.7", 100), ("1.2.6", 100), ("1.2.6", 200), ("1.2.7", 200)):
            assert sender.store(uid, data_set(uid, size=size)) == 0
        assert sender.ask(PLAIN_RELEASE_RQ)[0] == RELEASE_RP
        scp.wait_for("closed")
        (closed,) = (event.association for event in scp.events() if event.happening == "closed")
        assert closed is not None
        assert (closed.instances, closed.refused) == (5, 0)
    (ended,) = (line for line in logs if line["event"] == "association_ended")
    told = {name: ended[name] for name in ("stored", "duplicates", "conflicts", "refused")}
    assert told == {"stored": 2, "duplicates": 1, "conflicts": 2, "refused": 0}
    (warning,) = (line for line in logs if line["event"] == "same_uid_other_bytes")
    assert (warning["log_level"], warning["calling"], warning["images"]) == ("warning", "SENDER", 2)


def test_of_very_many_refused_images_the_rest_is_counted_alone() -> None:
    tally = Tally()
    for number in range(MOST_NAMED + 5):
        tally.refused(f"1.2.{number}")
    tally.took("1.2.0", "stored")
    assert (tally.taken, tally.lacking, len(tally.lacking_uids)) == (1, MOST_NAMED + 4, MOST_NAMED - 1)
