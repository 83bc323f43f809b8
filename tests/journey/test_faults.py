"""Processes are killed and the PACS goes away: the results arrive all the same, once."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pydicom
import pytest

from dicom_node.ledger import Views
from dicom_node.phantom import write_chest
from tests.journey.node import AE_TITLE, RunningNode
from tests.peers import Orthanc, free_port, storescu, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.fault, pytest.mark.timeout(600)]

SLOW = '''
"""Finds one bright block, slowly, and not before a test lets it, so that the test can cut in."""

import json
import time
import urllib.request
from pathlib import Path

import numpy as np

from dicom_node.pipeline import Code, Measurement, Options, Pipeline, Segment, Segmentation


class SlowOptions(Options):
    seconds: float = 1.0
    hold: Path


class Slow(Pipeline):
    name, version, title = "slow", "1", "Slow block"
    options_type = SlowOptions

    def run(self, case):
        for step in range(20):
            time.sleep(self.options.seconds / 20)
            case.progress(step / 20)
        while self.options.hold.exists():
            time.sleep(0.02)
            case.progress(0.99)
        mask = np.zeros(case.volume.grid.shape, np.uint8)
        mask[2:6, 100:200, 100:200] = 1
        tissue = Code("85756007", "SCT", "Tissue")
        yield Segmentation(mask, (Segment("Block", tissue, tissue),))
        yield Measurement(Code("118565006", "SCT", "Volume"), float(mask.sum()) * case.volume.grid.voxel_ml,
                          Code("ml", "UCUM", "ml"), segment="Block")
'''


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    write_chest(folder)
    return sorted(folder.iterdir())[40:60]


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    with Orthanc(tmp_path / "orthanc") as one:
        yield one


def hold_of(folder: Path) -> Path:
    """While it exists, no run of `node_with_slow_pipeline` ends."""
    return folder / "hold"


def is_at_work(views: Views) -> bool:
    """A pipeline has told how far it is."""
    return any(row["progress"] for row in views.recent_jobs())


def node_with_slow_pipeline(folder: Path, orthanc_port: int, seconds: float) -> RunningNode:
    modules = folder / "modules"
    modules.mkdir(parents=True)
    (modules / "slow_block.py").write_text(SLOW)
    changes = {
        "pipelines": {
            "slow": {"use": "slow_block:Slow", "options": {"seconds": seconds, "hold": str(hold_of(folder))}}
        },
        "routes": [{"name": "all", "when": {"Modality": "CT"}, "run": "slow", "send": ["pacs"]}],
    }
    return RunningNode(
        folder / "node", orthanc_port, changes=changes, environment={"PYTHONPATH": str(modules)}
    )


def check_arrived_once(orthanc: Orthanc, images: list[Path], node: RunningNode) -> None:
    """Three series in the study at the PACS, each with as many objects as the ledger delivered."""
    study = str(pydicom.dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)
    series = orthanc.series(study)
    assert sorted(one.modality for one in series) in (
        ["OT", "SEG", "SR"],
        ["SC", "SEG", "SR"],
        ["CT", "SEG", "SR"],
    )
    ledger = node.ledger
    delivered = ledger.views.deliveries(["delivered"])
    ledger.close()
    held = [uid for one in series for uid in one.instances.values()]
    assert sorted(held) == sorted(row["sop_instance_uid"] for row in delivered)


def test_a_worker_killed_in_mid_inference(tmp_path: Path, orthanc: Orthanc, images: list[Path]) -> None:
    with node_with_slow_pipeline(tmp_path, orthanc.dicom_port, seconds=1.0) as node:
        hold_of(tmp_path).touch()
        assert storescu([*images], "127.0.0.1", node.port, AE_TITLE).ok
        node.wait(is_at_work, what="job runs")
        node.kill_role("worker")
        hold_of(tmp_path).unlink()
        (job,) = node.wait_done(1)
        assert (job["state"], job["attempt"]) == ("done", 2)
        check_arrived_once(orthanc, images, node)


def test_the_coordinator_killed_in_mid_delivery(tmp_path: Path, orthanc: Orthanc, images: list[Path]) -> None:
    with node_with_slow_pipeline(tmp_path, orthanc.dicom_port, seconds=0.1) as node:
        node.wait_asked()
        with orthanc.frozen():
            assert storescu([*images], "127.0.0.1", node.port, AE_TITLE).ok
            node.wait(lambda views: views.deliveries(["sending"]), what="something is being sent")
            node.kill_role("coordinator")
        (job,) = node.wait_done(1)
        assert job["state"] == "done"
        check_arrived_once(orthanc, images, node)


def test_the_pacs_is_away_and_comes_later(tmp_path: Path, images: list[Path]) -> None:
    with Orthanc(tmp_path / "orthanc") as orthanc:
        orthanc.stop()
        with node_with_slow_pipeline(tmp_path, orthanc.dicom_port, seconds=0.1) as node:
            assert storescu([*images], "127.0.0.1", node.port, AE_TITLE).ok
            node.wait(
                lambda views: [row for row in views.deliveries(["owed"]) if row["attempt"] and row["error"]],
                what="an attempt failed",
            )
            orthanc.start()
            node.wait_done(1)
            check_arrived_once(orthanc, images, node)


def test_everything_killed_at_once_and_started_again(
    tmp_path: Path, orthanc: Orthanc, images: list[Path]
) -> None:
    node = node_with_slow_pipeline(tmp_path, orthanc.dicom_port, seconds=1.0)
    hold_of(tmp_path).touch()
    node.start()
    assert storescu([*images], "127.0.0.1", node.port, AE_TITLE).ok
    node.wait(is_at_work, what="job runs")
    node.kill()
    hold_of(tmp_path).unlink()
    node.start()
    try:
        (job,) = node.wait_done(1)
        assert job["state"] == "done"
        check_arrived_once(orthanc, images, node)
    finally:
        node.stop()


def test_stopping_finishes_the_work_in_hand(tmp_path: Path, orthanc: Orthanc, images: list[Path]) -> None:
    node = node_with_slow_pipeline(tmp_path, orthanc.dicom_port, seconds=3.0)
    node.start()
    assert storescu([*images], "127.0.0.1", node.port, AE_TITLE).ok
    node.wait(is_at_work, what="job runs")
    node.stop()
    ledger = node.ledger
    (job,) = ledger.views.recent_jobs()
    ledger.close()
    assert (job["state"], job["attempt"]) == ("done", 1)
    node.start()
    node.wait_done(1)
    check_arrived_once(orthanc, images, node)
    node.stop()


def test_the_same_series_twice_runs_once_and_a_late_image_runs_again(
    tmp_path: Path, orthanc: Orthanc, images: list[Path]
) -> None:
    with node_with_slow_pipeline(tmp_path, orthanc.dicom_port, seconds=0.1) as node:
        assert storescu(images[:-1], "127.0.0.1", node.port, AE_TITLE).ok
        node.wait_done(1)
        assert storescu(images[:-1], "127.0.0.1", node.port, AE_TITLE).ok
        time.sleep(2.0)
        assert len(node.wait_done(1)) == 1
        assert storescu(images[-1:], "127.0.0.1", node.port, AE_TITLE).ok
        jobs = node.wait_done(2)
        assert [row["revision"] for row in jobs] == [2, 1]


def test_results_that_come_back_are_never_routed(
    tmp_path: Path, orthanc: Orthanc, images: list[Path]
) -> None:
    with node_with_slow_pipeline(tmp_path, orthanc.dicom_port, seconds=0.1) as node:
        assert storescu([*images], "127.0.0.1", node.port, AE_TITLE).ok
        node.wait_done(1)
        study = str(pydicom.dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)
        orthanc.send_study(study, AE_TITLE, node.port)
        ledger = node.ledger
        wait_until(
            lambda: (
                len(
                    [row for row in ledger.views.recent_series() if row["own"] and row["state"] == "complete"]
                )
                == 3
            ),
            seconds=120,
            what="own results came back",
        )
        assert len(ledger.views.recent_jobs()) == 1
        ledger.close()


def test_a_pipeline_that_fails_says_so_in_the_study(
    tmp_path: Path, orthanc: Orthanc, images: list[Path]
) -> None:
    node = node_with_slow_pipeline(tmp_path, orthanc.dicom_port, seconds=0.1)
    module = tmp_path / "modules" / "slow_block.py"
    module.write_text(
        module.read_text().replace(
            "for step in range(20):", "raise RuntimeError('no luck')\n        for step in ():"
        )
    )
    with node:
        assert storescu([*images], "127.0.0.1", node.port, AE_TITLE).ok
        (job,) = node.wait_done(1)
        assert job["state"] == "failed"
        assert "no luck" in job["reason"]
        study = str(pydicom.dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)
        series = orthanc.series(study)
        assert series, "the study shows that there is no result"
        assert "SEG" not in {one.modality for one in series}


def test_a_dead_receiver_is_started_again_and_its_series_still_runs(
    tmp_path: Path, orthanc: Orthanc, images: list[Path]
) -> None:
    with node_with_slow_pipeline(tmp_path, orthanc.dicom_port, seconds=0.1) as node:
        assert storescu(images[:10], "127.0.0.1", node.port, AE_TITLE).ok
        died = node.kill_role("receiver")
        wait_until(lambda: _other(node, died), what="a new receiver")
        wait_until(lambda: storescu(images[10:], "127.0.0.1", node.port, AE_TITLE).ok, what="it receives")
        jobs = node.wait_done(1)
        assert jobs[0]["state"] == "done"


def _other(node: RunningNode, pid: int) -> bool:
    try:
        return node.role("receiver").pid != pid
    except (LookupError, psutil.Error):
        return False


def test_a_node_that_cannot_start_says_why(tmp_path: Path) -> None:
    node = RunningNode(tmp_path / "node", free_port(), changes={"routes": [{"name": "x", "run": "nothing"}]})
    with pytest.raises(AssertionError, match="nothing"):
        node.start()


def test_a_lost_ledger_is_rebuilt_and_what_was_said_stands(
    tmp_path: Path, orthanc: Orthanc, images: list[Path]
) -> None:
    node = node_with_slow_pipeline(tmp_path, orthanc.dicom_port, seconds=0.1)
    with node:
        assert storescu([*images], "127.0.0.1", node.port, AE_TITLE).ok
        node.wait_done(1)
    study = str(pydicom.dcmread(images[0], stop_before_pixels=True).StudyInstanceUID)
    before = {uid for one in orthanc.series(study) for uid in one.instances.values()}
    for file in (node.folder / "data").glob("ledger.sqlite*"):
        file.unlink()
    with node:
        (job,) = node.wait_done(1)
        assert job["state"] == "done"
        check_arrived_once(orthanc, images, node)
    assert {uid for one in orthanc.series(study) for uid in one.instances.values()} == before
    assert '"job_was_done_before"' in node.log


def test_the_status_page_tells_of_every_process(tmp_path: Path, images: list[Path]) -> None:
    with node_with_slow_pipeline(tmp_path, free_port(), seconds=0.1) as node:
        everyone = {"receiver 0", "coordinator 0", "worker 0", "disk"}
        wait_until(
            lambda: {name for name, ok, _detail in status_checks(node) if ok} == everyone,
            seconds=120,
            what="the page tells of everyone",
        )
        node.kill_role("worker")
        wait_until(
            lambda: ("worker 0", True, "2. life") in [(n, ok, d[-7:]) for n, ok, d in status_checks(node)],
            seconds=120,
            what="the page tells of the worker's second life",
        )


def status_checks(node: RunningNode) -> list[tuple[str, bool, str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.web_port}/status", timeout=10) as answer:
            return [(one["name"], one["ok"], one["detail"]) for one in json.load(answer)["checks"]]
    except OSError:
        return []  # the coordinator has just begun
