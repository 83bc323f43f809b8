"""What the spool promises to those who put files in and take them out."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.errors import OutOfResources, Permanent
from dicom_node.records import PerformedStep, ReceiverEvent
from dicom_node.spool import Identity, Journal, Spool, Stored, Unreadable, encode_head
from dicom_node.spool.layout import component
from tests.receive.upper_layer import CT, data_set

IMPLEMENTATION = pydicom.uid.UID("1.2.3.4")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool")
    yield made
    made.folders.close()


@pytest.fixture
def journal(spool: Spool) -> Iterator[Journal]:
    opened = spool.open_journal()
    yield opened
    opened.close()


def head(uid: str) -> bytes:
    return encode_head(CT, uid, ExplicitVRLittleEndian, "SENDER", IMPLEMENTATION)


def store(spool: Spool, journal: Journal, uid: str, data: bytes, *, done: bool = True) -> Stored:
    incoming = spool.open_incoming(f"{journal.owner}.1", head(uid))
    incoming.write(data)
    inside = incoming.identity(ExplicitVRLittleEndian)
    identity = Identity(CT, uid, inside.study_instance_uid, inside.series_instance_uid)
    stored = incoming.commit(identity, ExplicitVRLittleEndian, f"{journal.owner}.1")
    if done:
        incoming.done()
    return stored


def lines_of(spool: Spool, journal: Journal) -> list[ReceiverEvent]:
    names = [name for name in spool.journals() if name.startswith(journal.owner)]
    return [event for name in names for event in spool.read_journal(name, 0)[0]]


def left_in(spool: Spool) -> list[str]:
    return [path.name for path in (spool.root / "incoming").glob("[!.]*")]


def test_a_stored_instance_is_a_dicom_file_with_the_bytes_that_came(spool: Spool, journal: Journal) -> None:
    stored = store(spool, journal, "1.2.6", data_set("1.2.6"))
    path = spool.path(stored.instance.path)
    assert stored.happening == "stored"
    assert path.read_bytes() == head("1.2.6") + data_set("1.2.6")
    ds = pydicom.dcmread(path)
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID == "1.2.6"
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert ds.file_meta.SourceApplicationEntityTitle == "SENDER"
    assert stored.instance.size == path.stat().st_size
    assert left_in(spool) == []


def test_the_same_bytes_again_are_a_duplicate(spool: Spool, journal: Journal) -> None:
    first = store(spool, journal, "1.2.6", data_set("1.2.6"))
    again = store(spool, journal, "1.2.6", data_set("1.2.6"))
    assert again.happening == "duplicate"
    assert again.instance.path == first.instance.path
    assert len(list(spool.walk())) == 1


def test_other_bytes_are_kept_beside(spool: Spool, journal: Journal) -> None:
    first = store(spool, journal, "1.2.6", data_set("1.2.6"))
    other = store(spool, journal, "1.2.6", data_set("1.2.6", size=102))
    assert other.happening == "conflict"
    assert spool.path(first.instance.path).read_bytes().endswith(data_set("1.2.6"))
    assert spool.path(other.instance.path).read_bytes().endswith(data_set("1.2.6", size=102))
    assert [one.path for one in spool.walk()] == [first.instance.path]
    assert [one.path for one in spool.conflicts()] == [other.instance.path]
    assert store(spool, journal, "1.2.6", data_set("1.2.6", size=102)).happening == "duplicate"


def test_two_at_once_are_stored_once(spool: Spool, journal: Journal) -> None:
    barrier, happenings = threading.Barrier(8), []

    def work() -> None:
        barrier.wait()
        happenings.append(store(spool, journal, "1.2.6", data_set("1.2.6")).happening)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(happenings) == ["duplicate"] * 7 + ["stored"]


def test_walking_finds_what_the_journal_would_have_said(spool: Spool, journal: Journal) -> None:
    stored = store(spool, journal, "1.2.6", data_set("1.2.6")).instance
    (found,) = spool.walk()
    for name in ("sop_instance_uid", "sop_class_uid", "series_instance_uid", "study_instance_uid", "digest"):
        assert getattr(found, name) == getattr(stored, name)
    assert (found.path, found.size, found.transfer_syntax_uid) == (
        stored.path,
        stored.size,
        stored.transfer_syntax_uid,
    )
    assert list(spool.walk(known={stored.path})) == []


def test_a_file_that_is_no_dicom_is_passed_over(spool: Spool) -> None:
    folder = spool.path("instances/1/2")
    folder.mkdir(parents=True)
    (folder / "3.dcm").write_bytes(b"")
    (folder / "4.dcm").write_bytes(bytes(200))
    assert list(spool.walk()) == []


def test_abandoned_bytes_are_gone(spool: Spool, journal: Journal) -> None:
    incoming = spool.open_incoming(f"{journal.owner}.1", head("1.2.6"))
    incoming.write(data_set("1.2.6"))
    incoming.abandon()
    assert left_in(spool) == []
    assert list(spool.walk()) == []


def test_refused_bytes_are_kept_aside_but_not_without_end(spool: Spool, journal: Journal) -> None:
    for number in range(5):
        incoming = spool.open_incoming(f"{journal.owner}.1", head("1.2.6"))
        incoming.write(b"%d" % number)
        path = incoming.set_aside()
    assert spool.path(path).read_bytes() == head("1.2.6") + b"4"
    spool.prune_aside(keep=2)
    assert len(list((spool.root / "aside").iterdir())) == 2
    assert spool.path(path).exists()


@pytest.mark.parametrize(
    "uid", ["", ".", "..", "../../x", "/etc/passwd", "1/2", "a\0b", "1." * 40, "é", "-rf"]
)
def test_hostile_uids_stay_inside(spool: Spool, journal: Journal, uid: str) -> None:
    incoming = spool.open_incoming(f"{journal.owner}.1", head("1.2.6"))
    stored = incoming.commit(Identity(CT, uid, uid, uid), ExplicitVRLittleEndian, "a").instance
    path = spool.path(stored.path).resolve()
    assert path.is_relative_to(spool.root.resolve() / "instances")
    assert len(path.relative_to(spool.root.resolve()).parts) == 4


@given(st.text(max_size=80))
def test_any_uid_is_one_safe_component(uid: str) -> None:
    name = component(uid)
    assert name
    assert Path(name).name == name
    assert name not in (".", "..")
    assert len(name) <= 64
    assert name.isascii()


@given(st.lists(st.text(max_size=70), min_size=2, max_size=5, unique=True))
def test_different_uids_are_different_components(uids: list[str]) -> None:
    assert len({component(uid) for uid in uids}) == len(uids)


@pytest.mark.parametrize("relative", ["", "/etc/passwd", "../x", "instances/../../x"])
def test_paths_outside_are_refused(spool: Spool, relative: str) -> None:
    with pytest.raises(ValueError, match="no path inside"):
        spool.path(relative)


def test_results_are_durable_and_never_change(spool: Spool) -> None:
    path = spool.write_result("job", "1.2.3.dcm", b"one")
    assert spool.path(path).read_bytes() == b"one"
    assert spool.write_result("job", "1.2.3.dcm", b"one") == path
    with pytest.raises(Permanent):
        spool.write_result("job", "1.2.3.dcm", b"two")
    assert spool.path(path).read_bytes() == b"one"


def test_removing_leaves_no_empty_folders_and_the_series_may_come_again(
    spool: Spool, journal: Journal
) -> None:
    first = store(spool, journal, "1.2.6", data_set("1.2.6")).instance
    spool.remove(first.path)
    assert list((spool.root / "instances").iterdir()) == []
    assert store(spool, journal, "1.2.6", data_set("1.2.6")).happening == "stored"
    assert spool.path(first.path).exists()


def test_series_paths_leave_out_copies_beside(spool: Spool, journal: Journal) -> None:
    for uid in ("1.2.7", "1.2.6"):
        store(spool, journal, uid, data_set(uid))
    store(spool, journal, "1.2.6", data_set("1.2.6", size=104))
    assert [path.name for path in spool.series_paths("1.2.4", "1.2.5")] == ["1.2.6.dcm", "1.2.7.dcm"]


def test_what_is_held_is_found_by_its_instance_alone(spool: Spool, journal: Journal) -> None:
    store(spool, journal, "1.2.6", data_set("1.2.6"))
    assert spool.held(["1.2.6", "1.2.7"]) == {"1.2.6": CT}


def test_steps_are_remembered(spool: Spool) -> None:
    step = PerformedStep(datetime.now(UTC), "CT1", "1.2.9", "IN PROGRESS", {"1.2.5": ("1.2.6",)})
    assert spool.read_step("1.2.9") is None
    spool.write_step(step)
    assert spool.read_step("1.2.9") == step


def test_a_disk_that_refuses_is_out_of_resources(spool: Spool, journal: Journal) -> None:
    (spool.root / "incoming").rename(spool.root / "gone")
    with pytest.raises(OutOfResources):
        spool.open_incoming(f"{journal.owner}.1", head("1.2.6"))


class TestRecovery:
    """After a receiver died between two steps of storing."""

    def dead(self, spool: Spool) -> Journal:
        """A journal whose owner has died: its lock is free, its lock file is there."""
        journal = spool.open_journal()
        os.close(journal._owned)
        return journal

    def test_what_may_have_been_acknowledged_is_reported(self, spool: Spool, journal: Journal) -> None:
        stored = store(spool, self.dead(spool), "1.2.6", data_set("1.2.6"), done=False).instance
        assert spool.recover(journal) == (1, 0)
        (event,) = lines_of(spool, journal)
        assert event.instance is not None
        assert event.happening == "stored"
        assert (event.instance.path, event.instance.association_id) == (stored.path, stored.association_id)
        assert left_in(spool) == []

    def test_what_was_kept_beside_is_found_too(self, spool: Spool, journal: Journal) -> None:
        dead = self.dead(spool)
        store(spool, dead, "1.2.6", data_set("1.2.6"))
        beside = store(spool, dead, "1.2.6", data_set("1.2.6", size=104), done=False).instance
        assert spool.recover(journal) == (1, 0)
        (event,) = lines_of(spool, journal)
        assert event.happening == "conflict"
        assert event.instance is not None
        assert event.instance.path == beside.path

    def test_what_was_not_is_dropped(self, spool: Spool, journal: Journal) -> None:
        incoming = spool.open_incoming(f"{self.dead(spool).owner}.1", head("1.2.6"))
        incoming.write(data_set("1.2.6")[:50])
        assert spool.recover(journal) == (0, 1)
        assert left_in(spool) == []

    def test_what_the_living_have_in_hand_is_left_alone(self, spool: Spool, journal: Journal) -> None:
        incoming = spool.open_incoming(f"{journal.owner}.1", head("1.2.6"))
        assert spool.recover(journal) == (0, 0)
        assert incoming.path.exists()


class TestJournal:
    """Lines in, happenings out."""

    def test_what_is_written_is_read(self, spool: Spool, journal: Journal) -> None:
        stored = store(spool, journal, "1.2.6", data_set("1.2.6"))
        event = ReceiverEvent(stored.happening, instance=stored.instance)
        for _ in range(3):
            journal.append(event)
        (name,) = spool.journals()
        assert spool.read_journal(name, 0)[0] == [event] * 3
        first, offset = spool.read_journal(name, 0, limit=2)
        assert first == [event] * 2
        assert spool.read_journal(name, offset)[0] == [event]

    def test_a_half_written_line_waits(self, spool: Spool, journal: Journal) -> None:
        journal.append(ReceiverEvent("opened"))
        (name,) = spool.journals()
        path = spool.root / "journals" / name
        whole = path.read_bytes()
        path.write_bytes(whole + whole[:10])
        events, offset = spool.read_journal(name, 0)
        assert (len(events), offset) == (1, len(whole))
        path.write_bytes(whole * 2)
        assert len(spool.read_journal(name, offset)[0]) == 1

    def test_a_damaged_line_is_passed_over(self, spool: Spool, journal: Journal) -> None:
        journal.append(ReceiverEvent("opened"))
        (name,) = spool.journals()
        path = spool.root / "journals" / name
        path.write_bytes(b"\0\0\xff{\n" + path.read_bytes())
        assert [event.happening for event in spool.read_journal(name, 0)[0]] == ["opened"]

    def test_it_is_rotated_and_read_ones_can_go(self, spool: Spool) -> None:
        journal = Journal(spool.root / "journals", rotated_at=100)
        for _ in range(20):
            journal.append(ReceiverEvent("opened"))
        names = spool.journals()
        assert len(names) > 2
        assert sum(len(spool.read_journal(name, 0)[0]) for name in names) == 20
        assert all(spool.journal_owner_alive(name) for name in names)
        assert spool.remove_journal(names[0])
        assert not spool.remove_journal(names[-1])
        journal.close()
        assert not spool.journal_owner_alive(names[-1])
        assert spool.remove_journal(names[-1])

    def test_the_bell_wakes_who_waits(self, spool: Spool, journal: Journal) -> None:
        assert not spool.wait(0)
        journal.append(ReceiverEvent("opened"))
        assert spool.wait(60)
        assert not spool.wait(0)
        threading.Timer(0.05, lambda: journal.append(ReceiverEvent("opened"))).start()
        assert spool.wait(60)


def test_unreadable_bytes_say_so(spool: Spool, journal: Journal) -> None:
    incoming = spool.open_incoming(f"{journal.owner}.1", head("1.2.6"))
    incoming.write(b"this is no data set at all")
    with pytest.raises(Unreadable):
        incoming.identity(ExplicitVRLittleEndian)
    incoming.abandon()


OLD_LINE = (
    '{"happening":"closed","association":{"id":"20260301T075900000000-7.1","calling_ae_title":"CT1",'
    '"called_ae_title":"DICOMNODE","address":"127.0.0.1","started_at":"2026-03-01T08:00:00Z",'
    '"ended_at":"2026-03-01T08:00:10Z","outcome":"released","instances":8}}'
)
"""As a receiver of version 0.1.0 wrote it."""


def test_a_journal_of_an_earlier_version_still_reads(spool: Spool) -> None:
    name = "20260301T075900000000-7.000001.jsonl"
    (spool.root / "journals" / name).write_text(OLD_LINE + "\n")
    ((event,), _offset) = spool.read_journal(name, 0)
    assert event.association is not None
    assert (event.association.instances, event.association.refused) == (8, 0)
