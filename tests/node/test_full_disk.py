"""A disk that another program fills costs time, and no job, no thread and no result."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.records import JobState
from tests.node.conftest import Start
from tests.receive.test_small_disk import fill

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]
FULL_FOR_SECONDS = 3.0


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A worker's data on a disk of 100 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "site" / "data"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize(
    "fails",
    [
        pytest.param(False, id="a result", marks=pytest.mark.soak),
        pytest.param(True, id="the reason why there is none"),
    ],
)
def test_what_can_not_be_written_on_a_full_disk_is_written_when_there_is_room(
    data: Path, at_work: Start, fails: bool
) -> None:
    worker = at_work(block={"fails": fails})
    jobs = [worker.queued.job(worker.series(), "block") for _ in range(4)]
    worker.hold.touch()
    worker.start()
    worker.wait_for(lambda: len(worker.noted("begin")) == 1, "the first has the device")
    fill(data / "other")
    before = len(worker.log)
    worker.hold.unlink()
    worker.wait_for(lambda: "disk is full" in worker.log[before:], "it meets the full disk")
    time.sleep(FULL_FOR_SECONDS)
    assert not {row["state"] for row in worker.jobs().values()} & {JobState.FAILED, JobState.DONE}
    (data / "other").unlink()
    worker.wait_done()
    ends = {job: (row["state"], row["reason"]) for job, row in worker.jobs().items()}
    assert set(ends) == set(jobs)
    for state, reason in ends.values():
        assert state == (JobState.FAILED if fails else JobState.DONE)
        assert not fails or "as it was told to" in reason
    assert worker.stop() == 0
