"""A worker that can't claim says so, for its page and in a few lines of its log, and goes on by itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from dicom_node.config import load
from dicom_node.node.folders import trouble_file
from dicom_node.node.trouble import trouble_in
from dicom_node.records import JobState
from tests.node.conftest import Start

# In the soak: it waits out SQLite's 30 seconds.
pytestmark = [pytest.mark.soak, pytest.mark.fault, pytest.mark.timeout(300)]


def test_a_ledger_that_is_held_while_a_worker_claims(at_work: Start) -> None:
    worker = at_work(block={})
    file = trouble_file(load(worker.queued.config_path), "worker", 0)
    jobs = [worker.queued.job(worker.series(), "block") for _ in range(4)]
    worker.hold.touch()
    worker.start()
    worker.wait_for(lambda: len(worker.events("job_started")) == 2, "one has the device, and one is ahead")
    ledger = worker.queued.folder / "data" / "ledger.sqlite"
    with closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        worker.hold.unlink()
        worker.wait_for(lambda: "database is locked" in (trouble_in(file) or ""), "it tells that it waits")
        other.execute("ROLLBACK")
    worker.wait_done()
    worker.wait_for(lambda: trouble_in(file) is None, "it tells no longer that it waits")
    assert {job: row["state"] for job, row in worker.jobs().items()} == dict.fromkeys(jobs, JobState.DONE)
    assert 1 <= worker.log.count('"work_waits"') <= 5
    assert worker.log.count('"work_goes_on"') == 1
    assert worker.stop() == 0
