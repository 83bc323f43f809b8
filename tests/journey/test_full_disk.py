"""The disk fills while a series arrives: what the node refused is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest
from pynetdicom.association import Association

from dicom_node.ledger import Views
from tests.arrivals.images import KINDS
from tests.arrivals.senders import associate
from tests.conftest import CHECKOUT
from tests.journey.node import RunningNode
from tests.peers import free_port
from tests.receive.test_small_disk import A700, fill, small

__all__ = ["small"]
pytestmark = [pytest.mark.journey, pytest.mark.fault, pytest.mark.timeout(600)]
LOW_MARK_MB = 3
REFUSED = "the node refused 2 images of SCANNER for want of room"


def node_on(disk: Path) -> RunningNode:
    """A node whose images lie on a small disk, and its ledger, which has room below the low mark, too."""
    notes = disk / "notes"
    notes.touch()
    changes = {
        "receive": {"free_disk_mb": LOW_MARK_MB},
        "complete": {"settle": 0.5, "quiet": 1, "quiet_min": 1, "ceiling": 600},
        "pipelines": {"quick": {"use": "tests.arrivals.noting:Noting", "options": {"notes": str(notes)}}},
        "routes": [{"name": "all", "when": {"Modality": "CT"}, "run": "quick", "send": []}],
    }
    return RunningNode(disk / "node", free_port(), changes=changes, environment={"PYTHONPATH": str(CHECKOUT)})


def statuses(assoc: Association, files: list[Path]) -> list[int]:
    return [assoc.send_c_store(path).Status for path in files]


def test_a_part_of_a_series_is_not_taken_for_the_whole(small: Path, tmp_path: Path) -> None:
    files = KINDS["CT"](tmp_path / "series", "1.2.3.4")
    with node_on(small) as node:
        assoc = associate(files, node.port, "SCANNER")
        assert statuses(assoc, files[:6]) == [0] * 6
        filler = small / "filler"
        fill(filler, leaving=LOW_MARK_MB - 1)
        assert statuses(assoc, files[6:]) == [A700, A700]
        assoc.release()
        node.wait(waits, what="the series waits for what was refused")
        filler.unlink()
        assoc = associate(files, node.port, "SCANNER")
        assert statuses(assoc, files[6:]) == [0, 0]
        assoc.release()
        (job,) = node.wait_done(1)
        assert (job["state"], job["revision"]) == ("done", 1)
        assert (small / "notes").read_text().split()[1] == "8"


def waits(views: Views) -> bool:
    """The series waits, and for what."""
    return any(
        row["state"] == "arriving" and REFUSED in (row["verdict"] or {}).get("reason", "")
        for row in views.recent_series()
    )
