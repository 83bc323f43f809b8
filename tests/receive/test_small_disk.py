"""A spool on a file system that fills: senders are told, nothing half-written stays, it goes on by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from dicom_node.records import Association, AssociationOutcome, Refusal
from tests.receive.scp import Scp, receiver
from tests.receive.upper_layer import PLAIN_RELEASE_RQ, RELEASE_RP, Sender, data_set

A700 = 0xA700
MEGABYTE = 1 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine does not let us mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(path: Path, leaving: int = 0) -> None:
    """Takes the room that is left, but for some megabytes."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while shutil.disk_usage(path).free > leaving * MEGABYTE and file.write(bytes(4096)):
            pass


def ended(scp: Scp) -> list[Association]:
    """Associations that ended, as the journals have them."""
    return [e.association for e in scp.events() if e.happening == "closed" and e.association is not None]


def refusals(scp: Scp) -> list[Refusal]:
    """What was turned away, as the journals have it."""
    return [event.refusal for event in scp.events() if event.refusal is not None]


@pytest.mark.fault
def test_a_disk_that_fills(small: Path) -> None:
    with receiver(small) as scp, Sender(scp.port) as sender:
        sender.associate()
        statuses = {
            f"1.2.6.{n}": sender.store(f"1.2.6.{n}", data_set(f"1.2.6.{n}", size=MEGABYTE)) for n in range(20)
        }
        kept = {uid for uid, status in statuses.items() if status == 0}
        assert set(statuses.values()) == {0, A700}
        assert 8 <= len(kept) <= 12
        assert all(path.stat().st_size == 0 for path in (scp.spool.root / "incoming").glob("[!.]*"))
        walked = {one.sop_instance_uid: one for one in scp.spool.walk()}
        assert set(walked) == kept
        assert all(
            scp.spool.path(one.path).read_bytes().endswith(data_set(uid, size=MEGABYTE))
            for uid, one in walked.items()
        )
        full = {(one.reason, one.of_image) for one in refusals(scp)}
        assert full == {("the disk is full", True)}
        assert all("make room on the disk of" in one.hint for one in refusals(scp))

        for one in list(walked.values())[:4]:
            scp.spool.remove(one.path)
        refused = sorted(set(statuses) - kept)[:3]
        assert [sender.store(uid, data_set(uid, size=MEGABYTE)) for uid in refused] == [0, 0, 0]
        assert {one.sop_instance_uid for one in scp.spool.walk()} >= set(refused)
        assert {one.sop_instance_uid for one in scp.stored()} == kept | set(refused)
    assert sum(one.times for one in refusals(scp)) == 20 - len(kept)


@pytest.mark.fault
def test_the_low_mark_keeps_room_for_the_journal(small: Path) -> None:
    with receiver(small, free_disk_mb=5) as scp:
        with Sender(scp.port) as sender:
            sender.associate()
            statuses = [sender.store(f"1.2.6.{n}", data_set(f"1.2.6.{n}", size=MEGABYTE)) for n in range(10)]
        assert 6 <= statuses.count(0) <= 8
        assert statuses.count(0) + statuses.count(A700) == 10
        assert scp.spool.free_bytes() > 4 * MEGABYTE
        scp.wait_for("closed")
        refused = tuple(f"1.2.6.{n}" for n, status in enumerate(statuses) if status == A700)
        (one,) = ended(scp)
        assert (one.refused, one.refused_uids) == (len(refused), refused)


@pytest.mark.fault
def test_a_full_disk_delays_the_journal_and_loses_nothing(small: Path) -> None:
    with receiver(small) as scp, Sender(scp.port) as sender:
        sender.associate()
        assert sender.store("1.2.6") == 0
        filler = small / "filler"
        fill(filler)
        assert sender.store("1.2.7", data_set("1.2.7", size=MEGABYTE)) == A700
        filler.unlink()
        assert sender.store("1.2.8") == 0
    assert {one.sop_instance_uid for one in scp.stored()} == {"1.2.6", "1.2.8"}
    assert scp.happenings()[-1] == "closed"


@pytest.mark.fault
def test_what_was_refused_and_came_again_is_not_missed(small: Path) -> None:
    filler = small / "filler"
    with structlog.testing.capture_logs() as logs, receiver(small) as scp, Sender(scp.port) as sender:
        sender.associate()
        assert sender.store("1.2.6") == 0
        fill(filler)
        assert [sender.store(uid, data_set(uid, size=MEGABYTE)) for uid in ("1.2.7", "1.2.8")] == [A700, A700]
        filler.unlink()
        assert [sender.store(uid, data_set(uid, size=MEGABYTE)) for uid in ("1.2.7", "1.2.6")] == [0, 0]
        assert sender.ask(PLAIN_RELEASE_RQ)[0] == RELEASE_RP
        scp.wait_for("closed")
        (one,) = ended(scp)
        assert (one.outcome, one.refused, one.refused_uids) == (AssociationOutcome.RELEASED, 1, ("1.2.8",))
    (line,) = (line for line in logs if line["event"] == "association_ended")
    assert (line["stored"], line["duplicates"], line["conflicts"], line["refused"]) == (2, 0, 1, 1)
