"""A worker: claims jobs for one device, runs them on warm models, and records results that are owed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from dicom_node.config import resolve
from dicom_node.errors import Cancelled, NodeError, Transient
from dicom_node.infer.devices import limit_threads
from dicom_node.infer.engine import Engine
from dicom_node.infer.limits import Watchdog
from dicom_node.node.finishing import Ran, without_result
from dicom_node.node.orders import order_of
from dicom_node.node.outcomes import Outcome, keep, kept
from dicom_node.node.running import run
from dicom_node.node.site import Site, worker_name
from dicom_node.pipeline import Pipeline
from dicom_node.records import Job, JobState

log = structlog.get_logger()
POLL_SECONDS = 0.1
MAX_ATTEMPTS = 5
"""Tries of a job that fails in a way that may pass."""
PROGRESS_SECONDS = 1.0
RECORD_SECONDS = 2.0
"""Between tries to record an outcome while the database is away."""


class Worker:
    """One process's work on one device."""

    def __init__(self, site: Site, index: int) -> None:
        self._site = site
        self._ledger = site.ledger
        self._name = worker_name(index)
        self._device = site.config.node.devices[index]
        self._pipelines: Mapping[str, Pipeline] = {
            name: resolve(one) for name, one in site.config.pipelines.items()
        }
        self._engine = Engine(self._pipelines, self._device)
        self._stop = threading.Event()

    def work(self, ready: threading.Event, stop: threading.Event) -> None:
        """Runs until `stop` is set; the job in hand is finished first."""
        self._stop = stop
        limit_threads()
        for lost in self._ledger.work.recover(self._name, _now()):
            self._end(lost, self._failed(lost, f"its worker ended {lost.attempt} times while it ran this"))
        self._warm()
        ready.set()
        while not stop.is_set():
            try:
                job = self._ledger.work.claim(self._name, list(self._pipelines), _now())
                if job is not None:
                    self._do(job)
                    continue
            except Transient as fault:
                log.warning("worker_waits", error=str(fault))
            stop.wait(POLL_SECONDS)

    def _warm(self) -> None:
        """Loads every model before a study waits for it; one that can't be loaded fails its own jobs only."""
        for name in self._pipelines:
            try:
                self._engine.warm(name)
                log.info("model_warm", pipeline=name, device=self._device)
            except NodeError as fault:
                log.error("model_not_loaded", pipeline=name, error=str(fault))

    def _do(self, job: Job) -> None:
        """Brings a job to its end: results, a reason, or back into the queue."""
        log.info("job_started", job=job.id, pipeline=job.pipeline, attempt=job.attempt)
        if (outcome := kept(self._site.spool, job.id)) is not None:
            log.info("job_was_done_before", job=job.id)
            self._record(job, outcome)
            return
        try:
            self._end(job, self._ran(job))
        except Cancelled:
            log.warning("job_taken_away", job=job.id)
        except Transient as fault:
            self._again(job, fault)
        except Exception as fault:
            log.exception("job_crashed", job=job.id)
            self._end(job, self._failed(job, f"the node itself failed: {type(fault).__name__}"))

    def _ran(self, job: Job) -> Ran:
        """Runs a job within its time limit. Raises Cancelled, and Transient where another try may work."""
        if job.missing is not None:
            return self._failed(job, job.missing, JobState.NOT_APPLICABLE)
        limit = self._site.config.pipelines[job.pipeline].time_limit
        with Watchdog(limit, None, lambda reason: self._end(job, self._failed(job, reason))):
            order = order_of(job, self._site, self._pipelines[job.pipeline])
            return run(order, self._engine, self._site.config, self._progress(job))

    def _again(self, job: Job, fault: Transient) -> None:
        """Gives a job back, with a growing delay, or fails it when that was tried often enough."""
        if job.attempt >= MAX_ATTEMPTS:
            self._end(job, self._failed(job, f"tried {job.attempt} times; the last error: {fault}"))
            return
        delay = timedelta(seconds=5.0 * 2 ** (job.attempt - 1))
        self._ledger.work.give_back(job, str(fault), delay, _now())
        log.warning("job_given_back", job=job.id, attempt=job.attempt, error=str(fault))

    def _end(self, job: Job, ran: Ran) -> None:
        """Makes the results durable, then records them with what is owed."""
        self._record(job, keep(self._site.spool, job, ran))

    def _record(self, job: Job, outcome: Outcome) -> None:
        """Records how a job ended, with what is owed; a database that is away is waited for.

        Where the node stops before it answers, the next life finds the outcome in the spool.
        """
        while True:
            try:
                recorded = self._ledger.work.finish(
                    job, outcome.state, outcome.reason, outcome.results, self._site.takes, _now()
                )
                break
            except Transient as fault:
                log.warning("outcome_waits", job=job.id, error=str(fault))
                if self._stop.wait(RECORD_SECONDS):
                    return
        log.info(
            "job_ended", job=job.id, state=outcome.state, results=len(outcome.results), recorded=recorded
        )

    def _failed(self, job: Job, reason: str, state: JobState = JobState.FAILED) -> Ran:
        """A run without a result, with the objects that say so where the job's headers can be read."""
        order = order_of(job, self._site, self._pipelines[job.pipeline])
        return without_result(reason, order, self._site.config, state)

    def _progress(self, job: Job) -> Callable[[float], None]:
        """Notes progress now and then; raises Cancelled where the job is no longer this worker's."""
        last = _now()

        def note(fraction: float) -> None:
            nonlocal last
            if (_now() - last).total_seconds() < PROGRESS_SECONDS:
                return
            last = _now()
            if not self._ledger.work.progress(job.id, self._name, fraction):
                raise Cancelled("the job was taken back while it ran")

        return note


def _now() -> datetime:
    return datetime.now(UTC)
