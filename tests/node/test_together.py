"""A worker's process whose small jobs share passes of their model: fewer passes, the same results."""

from __future__ import annotations

from datetime import UTC, datetime

import pydicom
import pytest

from dicom_node.config import load, resolve
from dicom_node.node.offline import find_series, run_folder
from dicom_node.records import JobState
from tests.node.conftest import Start, WorkerAtWork
from tests.node.test_worker import values_of

pytestmark = pytest.mark.timeout(300)
SHARED = {"use": "tests.node.shared_pass:Shared"}


def queue(worker: WorkerAtWork, count: int) -> list[tuple[str, str]]:
    """Series of one image each and a job on each: (series, job) in the order of the queue."""
    series = [worker.series(1, 48) for _ in range(count)]
    return [(uid, worker.queued.job(uid, "shared")) for uid in series]


def mark(worker: WorkerAtWork, what: str, series: str) -> None:
    (worker.folder / f"{what}-{series}").touch()


def passes(worker: WorkerAtWork) -> list[list[str]]:
    """The series of each pass of the model."""
    return [noted.split("+") for noted in worker.noted("pass")]


def groups(worker: WorkerAtWork, jobs: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], ...]:
    """Eight jobs in fours: those that have the device, whichever were read first, and those ahead."""
    halves = jobs[:4], jobs[4:]
    return halves if jobs[0][0] in passes(worker)[0] else halves[::-1]


def states(worker: WorkerAtWork, jobs: list[tuple[str, str]]) -> list[str]:
    known = worker.jobs()
    return [known[job]["state"] for _, job in jobs]


def test_a_queue_of_small_series_takes_fewer_passes_and_gives_what_each_gives_alone(at_work: Start) -> None:
    worker = at_work(shared=SHARED)
    jobs = queue(worker, 12)
    bad, reason = jobs[5], "an image that spoils the pass"
    mark(worker, "fails", bad[0])
    worker.start()
    worker.wait_done()
    assert states(worker, jobs) == [JobState.FAILED if one is bad else JobState.DONE for one in jobs]
    assert reason in worker.jobs()[bad[1]]["reason"]
    assert sorted(map(len, passes(worker))) == [1, 1, 2, 2, 4, 4, 4], "halves find whose fault it was"
    assert sorted(worker.noted("end")) == sorted(uid for uid, _ in jobs if uid != bad[0])
    config = load(worker.queued.config_path)
    held, _ = find_series(worker.queued.spool.root / "instances")
    alone = {
        one.series_instance_uid: ran for one, ran, _ in run_folder(
            "shared", resolve(config.pipelines["shared"]), held, worker.folder / "alone", config,
            lambda _uid, _fraction: None,
        )
    }  # fmt: skip
    for uid, job in jobs:
        written = {
            ds.Modality: ds
            for path in (worker.queued.spool.root / "results").glob(f"{job}-*/*.dcm")
            if (ds := pydicom.dcmread(path)) is not None
        }
        expected = {obj.ds.Modality: obj.ds for obj in alone[uid].objects}
        assert set(written) == set(expected)
        if uid != bad[0]:
            assert written["SEG"].PixelData == expected["SEG"].PixelData
            assert values_of(written["SR"]) == values_of(expected["SR"]) != []


def end_and_go_on(worker: WorkerAtWork, times: int) -> None:
    """The worker ends by itself so often, and is started again until all is done."""
    for _life in range(times):
        worker.start()
        worker.wait_end()
    worker.start()
    worker.wait_done()


@pytest.mark.soak
def test_an_image_that_ends_the_process_fails_and_what_shared_its_pass_is_done(at_work: Start) -> None:
    worker = at_work(shared=SHARED)
    jobs = queue(worker, 4)
    bad = jobs[1]
    mark(worker, "dies", bad[0])
    end_and_go_on(worker, 3)
    assert states(worker, jobs) == [JobState.FAILED if one is bad else JobState.DONE for one in jobs]
    assert "ended 3 times" in worker.jobs()[bad[1]]["reason"]
    sizes = [len(one) for one in passes(worker)]
    assert sizes[0] == 4
    assert set(sizes[1:]) == {1}, "nothing shares a pass with what may end it"


@pytest.mark.soak
def test_an_image_beyond_the_limits_fails_alone_and_what_shared_its_pass_is_done(at_work: Start) -> None:
    worker = at_work(shared=SHARED | {"memory_limit_mb": 200})
    jobs = queue(worker, 3)
    bad = jobs[0]
    mark(worker, "grows", bad[0])
    end_and_go_on(worker, 2)
    assert states(worker, jobs) == [JobState.FAILED, JobState.DONE, JobState.DONE]
    assert "memory limit of 200 MB" in worker.jobs()[bad[1]]["reason"]
    assert [len(one) for one in passes(worker)] == [3, 1, 1, 1]


def test_a_stop_in_order_finishes_the_pass_and_loses_none_that_waits_for_the_next(at_work: Start) -> None:
    worker = at_work(shared=SHARED)
    jobs = queue(worker, 8)
    worker.hold.touch()
    worker.start()
    worker.wait_for(
        lambda: len(worker.events("job_started")) == 8 and bool(passes(worker)), "two groups are in hand"
    )
    assert worker.process is not None
    worker.process.terminate()
    worker.hold.unlink()
    assert worker.stop() == 0
    first, second = groups(worker, jobs)
    assert states(worker, first) == ["done"] * 4
    assert states(worker, second) == ["queued"] * 4
    worker.start()
    worker.wait_done()
    assert states(worker, jobs) == ["done"] * 8
    assert sorted(worker.noted("end")) == sorted(uid for uid, _ in jobs), "nothing ran twice"


def test_what_is_cancelled_leaves_the_others_and_what_is_urgent_goes_before_the_next_pass(
    at_work: Start,
) -> None:
    worker = at_work(shared=SHARED)
    jobs = queue(worker, 8)
    worker.hold.touch()
    worker.start()
    worker.wait_for(
        lambda: len(worker.events("job_started")) == 8 and bool(passes(worker)), "two groups are in hand"
    )
    first, second = groups(worker, jobs)
    for gone in (first[1], second[2]):
        assert worker.queued.ledger.work.cancel(gone[1], datetime.now(UTC))
    urgent = worker.series(1, 48)
    stat = worker.queued.job(urgent, "shared", priority=1000)
    worker.wait_for(lambda: stat in worker.events("job_started"), "the urgent one is read")
    worker.hold.unlink()
    worker.wait_done()
    assert passes(worker) == [
        [uid for uid, _ in first],
        [urgent],
        [uid for uid, _ in second if uid != second[2][0]],
    ]
    assert states(worker, first) == ["done", "stale", "done", "done"]
    assert states(worker, second) == ["done", "done", "stale", "done"]
    assert second[2][1] in worker.events("job_taken_away")
    assert not list((worker.queued.spool.root / "results").glob(f"{second[2][1]}-*")), "it leaves nothing"
