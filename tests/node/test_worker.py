"""A worker's process: stages overlap, urgent jobs overtake, and what goes wrong hits its own job alone."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import pairwise

import psutil
import pydicom
import pytest
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.config import load, resolve
from dicom_node.node.offline import find_series, run_folder
from dicom_node.node.worker import NICE
from dicom_node.records import JobState
from tests.node.conftest import Start
from tests.peers import free_port

pytestmark = pytest.mark.timeout(300)


def test_the_next_job_is_read_and_the_last_one_written_while_one_has_the_device(at_work: Start) -> None:
    worker = at_work(block={"seconds": 0.2})
    jobs = {worker.queued.job(uid, "block"): uid for uid in (worker.series(60, 256) for _ in range(5))}
    worker.hold.touch()
    worker.start()
    worker.wait_for(lambda: len(worker.noted("begin")) == 1, "the first has the device")
    worker.wait_for(lambda: len(worker.events("job_started")) == 2, "the second is read meanwhile")
    states = [row["state"] for row in worker.jobs().values()]
    assert sorted(states) == ["queued"] * 3 + ["running"] * 2, "no more than one is ahead"
    worker.hold.unlink()
    worker.wait_done()
    assert {row["state"] for row in worker.jobs().values()} == {JobState.DONE}
    begins = {uid: at for at, _, what, uid in worker.notes() if what == "begin"}
    ends = {uid: at for at, _, what, uid in worker.notes() if what == "end"}
    pairs = list(pairwise(begins))
    assert all(ends[one] <= begins[next_one] for one, next_one in pairs), "one at a time on the device"
    recorded = {jobs[job]: at for job, at in worker.events("job_ended").items()}
    claimed = {jobs[job]: at for job, at in worker.events("job_started").items()}
    assert any(begins[next_one] < recorded[one] for one, next_one in pairs), "while one is written"
    assert any(claimed[next_one] < ends[one] for one, next_one in pairs), "while the next one is read"
    assert worker.stop() == 0


def test_results_are_those_of_a_run_without_overlap(at_work: Start) -> None:
    worker = at_work(block={})
    series = [worker.series() for _ in range(4)]
    jobs = {worker.queued.job(uid, "block"): uid for uid in series}
    worker.start()
    worker.wait_done()
    config = load(worker.queued.config_path)
    pipeline = resolve(config.pipelines["block"])
    held, _ = find_series(worker.queued.spool.root / "instances")
    alone = {
        one.series_instance_uid: ran for one, ran, _ in run_folder(
            "block", pipeline, held, worker.folder / "alone", config, lambda _uid, _fraction: None
        )
    }  # fmt: skip
    for job, uid in jobs.items():
        written = {
            ds.Modality: ds
            for path in sorted((worker.queued.spool.root / "results").rglob("*.dcm"))
            if (ds := pydicom.dcmread(path)) is not None and path.parent.name.startswith(job)
        }
        expected = {obj.ds.Modality: obj.ds for obj in alone[uid].objects}
        assert set(written) == set(expected) >= {"SEG", "SR"}
        assert written["SEG"].PixelData == expected["SEG"].PixelData
        assert values_of(written["SR"]) == values_of(expected["SR"]) != []


def values_of(ds: pydicom.Dataset) -> list[str]:
    """Every number of a report."""
    return [str(element.value) for element in ds.iterall() if element.keyword == "NumericValue"]


def test_an_urgent_job_overtakes_one_whose_images_are_read_already(at_work: Start) -> None:
    worker = at_work(block={})
    first, routine, urgent = (worker.series() for _ in range(3))
    worker.hold.touch()
    worker.queued.job(first, "block")
    worker.start()
    worker.wait_for(lambda: worker.noted("begin") == [first], "the first has the device")
    worker.queued.job(routine, "block")
    worker.wait_for(lambda: len(worker.events("job_started")) == 2, "the routine one is ahead")
    worker.queued.job(urgent, "block", priority=1000)
    worker.wait_for(
        lambda: len(worker.events("job_started")) == 3, "the urgent one comes in though one is ahead"
    )
    worker.hold.unlink()
    worker.wait_done()
    assert worker.noted("begin") == [first, urgent, routine]


@pytest.mark.parametrize(
    ("beyond", "said"),
    [
        ({"seconds": 60.0, "time_limit": 6}, "time limit of 6 s"),
        ({"seconds": 60.0, "grow_mb": 600, "memory_limit_mb": 200}, "memory limit of 200 MB"),
    ],
    ids=["time", "memory"],
)
def test_a_limit_hits_its_own_job_and_the_others_are_done(
    at_work: Start, beyond: dict[str, float], said: str
) -> None:
    worker = at_work(block={}, beyond=beyond)
    series = [worker.series() for _ in range(3)]
    before, bad, after = (
        worker.queued.job(uid, pipeline)
        for uid, pipeline in zip(series, ("block", "beyond", "block"), strict=True)
    )
    worker.start()
    worker.wait_end()
    worker.start()
    worker.wait_done()
    jobs = worker.jobs()
    assert [jobs[one]["state"] for one in (before, bad, after)] == ["done", "failed", "done"]
    assert said in jobs[bad]["reason"]
    assert sorted(worker.noted("begin")) == sorted(series), "nothing ran twice"
    reports = list((worker.queued.spool.root / "results").glob(f"{bad}-*/*.dcm"))
    assert reports, "the study says why there is no result"


def test_a_network_that_ends_its_process_fails_and_its_neighbours_are_done(at_work: Start) -> None:
    worker = at_work(block={}, deadly={"dies": True})
    deadly = worker.queued.job(worker.series(), "deadly", priority=5)
    others = [worker.queued.job(worker.series(), "block") for _ in range(3)]
    for _life in range(3):
        worker.start()
        worker.wait_end()
    worker.start()
    worker.wait_done()
    jobs = worker.jobs()
    assert jobs[deadly]["state"] == "failed"
    assert "ended 3 times" in jobs[deadly]["reason"]
    assert [jobs[one]["state"] for one in others] == ["done"] * 3


@pytest.mark.parametrize(
    "how", [{}, {"use": "tests.node.shared_pass:Shared"}], ids=["a job each", "both share a pass"]
)
def test_an_aide_that_is_killed_costs_its_jobs_a_try_and_the_warm_models_nothing(
    at_work: Start, how: dict[str, str]
) -> None:
    worker = at_work(block=how)
    first, second = worker.series(), worker.series()
    worker.hold.touch()
    jobs = [worker.queued.job(uid, "block") for uid in (first, second)]
    worker.start()
    worker.wait_for(
        lambda: (
            len(worker.events("job_started")) == 2 and bool(worker.noted("begin") or worker.noted("pass"))
        ),
        "both are in hand",
    )
    assert worker.process is not None
    for child in psutil.Process(worker.process.pid).children():
        for aide in child.children():  # of the server that forks them
            aide.kill()
    worker.hold.unlink()
    worker.wait_done()
    assert [worker.jobs()[job]["state"] for job in jobs] == ["done", "done"]
    assert len(worker.noted("load")) == 1, "the model stayed warm"
    assert "aide_ended" in worker.log


def test_a_series_of_scouts_is_not_applicable_and_needs_nobody(at_work: Start) -> None:
    worker = at_work(block={})
    uid = worker.series()
    for path in (worker.queued.spool.root / "instances" / uid).iterdir():
        ds = pydicom.dcmread(path)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        ds.save_as(path)
    job = worker.queued.job(uid, "block")
    worker.start()
    worker.wait_done()
    told = worker.jobs()[job]
    assert (told["state"], told["attempt"]) == (JobState.NOT_APPLICABLE, 1)
    assert told["reason"] == "there are only localizers or pictures of the screen, no slices"
    assert worker.stop() == 0


def test_a_device_that_is_not_there_is_told_at_the_start(at_work: Start) -> None:
    worker = at_work({"node": {"devices": ["cuda:77"]}}, block={})
    worker.start()
    worker.wait_for(lambda: "device_missing" in worker.log, "the log tells it")
    assert "cuda:77" in next(line for line in worker.log.splitlines() if "device_missing" in line)


def test_a_stop_in_order_finishes_what_has_the_device_and_gives_back_what_waits(at_work: Start) -> None:
    worker = at_work(block={})
    jobs = {uid: worker.queued.job(uid, "block") for uid in (worker.series(), worker.series())}
    worker.hold.touch()
    worker.start()
    worker.wait_for(
        lambda: len(worker.events("job_started")) == 2 and bool(worker.noted("begin")), "both are in hand"
    )
    (first,) = worker.noted("begin")  # whichever was read first
    second = next(uid for uid in jobs if uid != first)
    assert worker.process is not None
    worker.process.terminate()
    worker.hold.unlink()
    assert worker.stop() == 0
    assert worker.jobs()[jobs[first]]["state"] == "done"
    assert worker.jobs()[jobs[second]]["state"] == "queued"
    worker.start()
    worker.wait_done()
    assert worker.noted("begin") == [first, second]


def test_a_job_that_is_taken_away_ends_and_leaves_nothing(at_work: Start) -> None:
    """Late images reopen its series: what it would say is stale."""
    worker = at_work(block={})
    uid = worker.series()
    job = worker.queued.job(uid, "block")
    worker.hold.touch()
    worker.start()
    worker.wait_for(lambda: bool(worker.noted("begin")), "it has the device")
    worker.queued.late_image(uid)
    worker.wait_for(lambda: "job_taken_away" in worker.log, "it is told")
    assert worker.jobs()[job]["state"] == "stale"
    assert not list((worker.queued.spool.root / "results").glob(f"{job}-*"))


def test_a_job_that_is_cancelled_ends_and_a_waiting_one_never_starts(at_work: Start) -> None:
    worker = at_work(block={})
    running, waiting, last = (worker.series() for _ in range(3))
    worker.hold.touch()
    jobs = [worker.queued.job(uid, "block") for uid in (running, waiting, last)]
    worker.start()
    worker.wait_for(lambda: bool(worker.noted("begin")), "one has the device")
    first = next(
        job for job, row in worker.jobs().items() if row["series_instance_uid"] in worker.noted("begin")
    )
    for job in (first, jobs[2]):
        done = CliRunner().invoke(app, ["cancel", job, "--config", str(worker.queued.config_path)])
        assert (done.exit_code, done.output) == (0, f"job {job} is cancelled\n")
    worker.wait_for(lambda: "job_taken_away" in worker.log, "it is told")
    worker.hold.unlink()
    worker.wait_done()
    states = {job: row["state"] for job, row in worker.jobs().items()}
    assert [states[first], states[jobs[2]]] == ["stale", "dropped"]
    assert sorted(states.values()) == ["done", "dropped", "stale"]
    again = CliRunner().invoke(app, ["cancel", jobs[2], "--config", str(worker.queued.config_path)])
    assert again.exit_code == 1


def test_threads_priority_and_the_memory_of_warm_models_are_as_configured(at_work: Start) -> None:
    node = {"threads": 1, "model_memory_mb": 300}
    worker = at_work({"node": node}, one={"weights_mb": 200}, two={"weights_mb": 200})
    jobs = [worker.queued.job(worker.series(), pipeline) for pipeline in ("one", "two")]
    worker.start()
    worker.wait_done()
    assert {worker.jobs()[job]["state"] for job in jobs} == {"done"}
    assert set(worker.noted("threads")) == {"1"}
    assert min(int(nice) for nice in worker.noted("nice")) >= min(19, os.nice(0) + NICE)
    assert "model_put_away" in worker.log, "400 MB of models don't stay together in 300 MB"


def test_a_worker_whose_database_is_away_at_its_start_ends_and_leaves_no_process(at_work: Start) -> None:
    """For the supervisor to start it again; else its aides would keep it from its end."""
    away = f"postgresql+psycopg://127.0.0.1:{free_port()}/nowhere"
    worker = at_work(sections={"node": {"database": away}}, block={})
    worker.start()
    assert worker.process is not None
    psutil_process = psutil.Process(worker.process.pid)
    aides: set[psutil.Process] = set()

    def ended() -> bool:
        with suppress(psutil.NoSuchProcess):
            aides.update(psutil_process.children(recursive=True))
        return worker.process is not None and worker.process.poll() is not None

    worker.wait_for(ended, "the worker ends")
    worker.wait_end()
    worker.wait_for(lambda: not any(one.is_running() for one in aides), "its aides end")
