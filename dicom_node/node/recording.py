"""How a worker's job ends in the ledger, also when the ledger is away for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from dicom_node.errors import Cancelled, Transient
from dicom_node.node.folders import run_folder
from dicom_node.node.outcomes import Outcome
from dicom_node.node.site import Site
from dicom_node.node.trouble import Trouble
from dicom_node.records import Job
from dicom_node.spool import storing

log = structlog.get_logger()
Given = TypeVar("Given")
PROGRESS_SECONDS = 1.0
RECORD_SECONDS = 2.0
"""Between tries to record an outcome while the database is away."""


class Records:
    """What one worker tells the ledger of its jobs."""

    def __init__(self, site: Site, worker: str, stop: threading.Event, trouble: Trouble) -> None:
        """Notes under a worker's name, until `stop` is set; says where it can't."""
        self._site = site
        self._worker = worker
        self._stop = stop
        self._trouble = trouble
        self._on_device = run_folder(site.config) / f"{Path(worker).name}.on-device"

    def end(self, job: Job, outcome: Outcome) -> None:
        """Records how a job ended, with what is owed.

        Where the node stops before the database answers, the next life finds the outcome in the spool.
        """
        state, results = outcome.state, outcome.results
        finish = partial(self._site.ledger.work.finish, job, state, outcome.reason, results)
        recorded = self._insist(job, lambda: finish(_now(), outcome.choices, outcome.measured))
        log.info("job_ended", job=job.id, state=state, results=len(results), recorded=recorded)

    def give_back(self, job: Job, cause: str, delay_s: float) -> None:
        """Queues a job again, to be claimed after a delay."""
        delay = timedelta(seconds=delay_s)
        self._insist(job, lambda: self._site.ledger.work.give_back(job, cause, delay, _now()))
        log.warning("job_given_back", job=job.id, attempt=job.attempt, cause=cause)

    def recover(self) -> list[Job]:
        """Gives back what an earlier life held; the jobs that ended the worker too often, to be failed."""
        suspects = set(self._on_device.read_text().split()) if self._on_device.exists() else set()
        lost = self._site.ledger.work.recover(self._worker, _now(), suspects)
        self._on_device.unlink(missing_ok=True)
        return lost

    @contextmanager
    def on_device(self, jobs: Sequence[Job]) -> Iterator[list[Callable[[float], None]]]:
        """Notes which jobs have the device, for the next life to know; gives the `progress` of each.

        Raises OutOfResources where that can't be noted.
        """
        with storing():
            self._on_device.write_text("\n".join(job.id for job in jobs))
        try:
            yield [self._progress(job) for job in jobs]
        finally:
            self._on_device.unlink()

    def _progress(self, job: Job) -> Callable[[float], None]:
        """What a pipeline calls with 0..1; raises Cancelled where the job is no longer this worker's."""
        last = -PROGRESS_SECONDS

        def note(fraction: float) -> None:
            nonlocal last
            if time.monotonic() - last < PROGRESS_SECONDS:
                return
            last = time.monotonic()
            if not self._site.ledger.work.progress(job.id, self._worker, fraction):
                raise Cancelled("the job was taken back while it ran")

        return note

    def _insist(self, job: Job, tell: Callable[[], Given]) -> Given | None:
        """Tells the database something; while it is away, again and again."""
        part = f"outcome of job {job.id}"
        while True:
            try:
                told = tell()
            except Transient as fault:
                self._trouble.note(part, str(fault))
                if self._stop.wait(RECORD_SECONDS):
                    return None
            else:
                self._trouble.note(part, None)
                return told


def _now() -> datetime:
    return datetime.now(UTC)
