"""In a running node: an urgent request goes first, a window makes jobs wait, a shadow delivers nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_node.geometry import Grid
from dicom_node.phantom import write_series
from tests.journey.node import AE_TITLE, RunningNode
from tests.journey.test_faults import hold_of, node_with_slow_pipeline
from tests.peers import Orthanc, storescu

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]


def series(folder: Path, **attributes: Any) -> list[Path]:
    """A small series of a study of its own, as large as the slow pipeline's block needs."""
    grid = Grid((8, 220, 220), np.diag([2.0, 1.0, 1.0, 1.0]))
    return write_series(np.zeros(grid.shape, np.int16), grid, folder, "CT", attributes)


def uid(paths: list[Path]) -> str:
    return str(pydicom.dcmread(paths[0], stop_before_pixels=True).SeriesInstanceUID)


def route(name: str, **changes: Any) -> dict[str, Any]:
    when = {"SeriesDescription": {"contains": name}}
    return {"name": name, "when": when, "run": "slow", "send": ["pacs"], **changes}


def states(node: RunningNode) -> dict[str, list[tuple[str, str | None]]]:
    """How the jobs of each route stand, oldest first, and why."""
    found: dict[str, list[tuple[str, str | None]]] = {}
    ledger = node.ledger
    for row in reversed(ledger.views.recent_jobs()):
        found.setdefault(row["route"], []).append((row["state"], row["reason"]))
    ledger.close()
    return found


def test_a_route_or_a_pipeline_that_is_deleted_never_fires_again(tmp_path: Path) -> None:
    """Whatever waited for it, or ran, when the node was stopped: it says why it doesn't run."""
    first, second = (series(tmp_path / f"{n}", SeriesDescription="all") for n in range(2))
    everything = {"when": {"Modality": "CT"}, "send": ["pacs"]}
    kept, gone, lost = (
        {"name": name, "run": run, **everything}
        for name, run in (("kept", "slow"), ("gone", "slow"), ("lost", "other"))
    )
    with Orthanc(tmp_path / "orthanc") as orthanc:
        node = node_with_slow_pipeline(tmp_path / "node", orthanc.dicom_port, seconds=0.1)
        slow = node.changes["pipelines"]["slow"]
        before = {**node.changes, "pipelines": {"slow": slow, "other": slow}, "routes": [gone, lost, kept]}
        after = {**node.changes, "routes": [kept]}
        node.changes = before
        hold_of(tmp_path / "node").touch()
        with node:
            assert storescu(first, "127.0.0.1", node.port, AE_TITLE).ok
            node.wait(
                lambda views: [row["state"] for row in views.recent_jobs()].count("running") == 2,
                what="one has the device, one is read, and one waits",
            )
            node.kill()
            hold_of(tmp_path / "node").unlink()
            node.changes = after
            node.start()
            node.wait_done(3)
            assert storescu(second, "127.0.0.1", node.port, AE_TITLE).ok
            node.wait_done(4)
            told = {
                "kept": [("done", None)] * 2,
                "gone": [("dropped", "conf.yaml has no route gone any more")],
                "lost": [("dropped", "conf.yaml has no route lost any more")],
            }
            assert states(node) == told
            assert orthanc.count() == 6, "results of one route on two series"


def closed_window() -> dict[str, str]:
    """An hour of the day that begins two hours from now, by the machine's clock."""
    start = datetime.now(UTC).astimezone() + timedelta(hours=2)
    return {"start": start.strftime("%H:%M"), "end": (start + timedelta(hours=1)).strftime("%H:%M")}


def test_priorities_windows_and_shadows(tmp_path: Path) -> None:
    routine = [series(tmp_path / f"routine{n}", SeriesDescription="routine") for n in range(5)]
    stat = series(tmp_path / "stat", SeriesDescription="routine", RequestedProcedurePriority="STAT")
    shadow = series(tmp_path / "shadow", SeriesDescription="shadow")
    night = series(tmp_path / "night", SeriesDescription="night")
    with Orthanc(tmp_path / "orthanc") as orthanc:
        node = node_with_slow_pipeline(tmp_path / "node", orthanc.dicom_port, seconds=0.1)
        hold_of(tmp_path / "node").touch()
        windows = [closed_window()]
        routes = [route("routine"), route("shadow", shadow=True), route("night", hours=windows, priority=9)]
        node.changes = {**node.changes, "routes": routes}
        with node:
            for paths in (night, *routine, shadow, stat):
                assert storescu(paths, "127.0.0.1", node.port, AE_TITLE).ok
            node.wait(lambda views: len(views.recent_jobs()) == 8, what="every job is queued")
            hold_of(tmp_path / "node").unlink()
            node.wait(
                lambda views: (
                    sum(job["state"] == "done" for job in views.recent_jobs()) == 7
                    and not views.deliveries(["owed", "sending"])
                ),
                seconds=180,
                what="all jobs but the night's are done",
            )
            ledger = node.ledger
            jobs = {row["series_instance_uid"]: row for row in ledger.views.recent_jobs()}
            kept = ledger.views.results(jobs[uid(shadow)]["id"])
            delivered = ledger.views.deliveries()
            ledger.close()
        studies = orthanc.study_uids()
    assert jobs[uid(stat)]["priority"] == 1000
    later = [one for one in routine if jobs[uid(one)]["finished_at"] > jobs[uid(stat)]["finished_at"]]
    assert len(later) >= 2, "the last to come overtook those that waited"
    assert jobs[uid(night)]["state"] == "queued", "its window is closed, though its priority is higher"
    assert jobs[uid(night)]["started_at"] is None
    assert {row["kind"] for row in kept} >= {"seg", "sr", "sc"}, "a shadow's results are kept"
    assert not {row["job_id"] for row in delivered} & {jobs[uid(shadow)]["id"]}
    expected = {
        str(pydicom.dcmread(one[0], stop_before_pixels=True).StudyInstanceUID) for one in [*routine, stat]
    }
    assert set(studies) == expected, "nothing of the shadow's study or the night's has reached the archive"
