"""A worker: claims jobs for one device, runs them on warm models, and records results that are owed.

Its main thread is the device's: it does nothing but infer. Each of a few threads, the hands, carries one
job at a time through its stages, with an aide that reads and writes for it; so the images of the next job
are read, and the results of the last one encoded, while the device is busy with the one between.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

import structlog

from dicom_node.config import resolve
from dicom_node.errors import Cancelled, ModelFailed, NodeError, Transient
from dicom_node.findings import Finding
from dicom_node.infer.devices import limit_threads
from dicom_node.infer.engine import Engine
from dicom_node.infer.limits import Watchdog
from dicom_node.node.aides import AideProcess, Limits
from dicom_node.node.finishing import Ran
from dicom_node.node.folders import spool_folder
from dicom_node.node.negotiating import takers
from dicom_node.node.orders import order_of
from dicom_node.node.outcomes import Outcome, addressed, keep, kept
from dicom_node.node.recording import Records
from dicom_node.node.site import Site, worker_name
from dicom_node.node.turns import AHEAD, Closed, Turn, Turns
from dicom_node.pipeline import Case, Pipeline
from dicom_node.records import Job, JobState

log = structlog.get_logger()
POLL_SECONDS = 0.1
MAX_ATTEMPTS = 5
"""Tries of a job that fails in a way that may pass."""
HANDS = 1 + AHEAD + 1
"""One job has the device, so many are ahead of it, and one is being finished, or is more urgent than all."""
NICE = 10
"""Added to the niceness of a worker and its aides, so that reception never waits for them."""
SETTLE_SECONDS = 30.0
"""How long a process that must end waits for what its other jobs write, and a new one for its aides."""


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
        self._engine = Engine(self._pipelines, self._device, site.config.node.model_memory_mb)
        self._turns = Turns()
        self._claiming = threading.Condition()
        self._idle: list[AideProcess] = []
        self._stop = threading.Event()
        self._records = Records(site, self._name, self._stop)

    def work(self, ready: threading.Event, stop: threading.Event) -> None:
        """Runs until `stop` is set; what is on the device and behind it is finished first."""
        self._stop = stop
        self._records = Records(self._site, self._name, stop)
        os.nice(NICE)  # before the aides start: they inherit it
        limit_threads(self._site.config.node.threads)
        gc.freeze()  # what is imported is no garbage: no collection looks at it again in the midst of a job
        aides = [AideProcess(self._site.config, spool_folder(self._site.config)) for _ in range(HANDS)]
        self._recover(aides[0])
        self._warm()
        for aide in aides:
            aide.wait_warm(SETTLE_SECONDS)
        hands = [threading.Thread(target=self._carry_on, args=(aide,), daemon=True) for aide in aides]
        for hand in hands:
            hand.start()
        ready.set()
        while not stop.is_set():
            if (turn := self._turns.take(POLL_SECONDS)) is not None:
                self._infer(turn)
                del turn  # its volumes are not held while nothing is to do
        self._turns.close()
        for hand, aide in zip(hands, aides, strict=True):
            hand.join()
            aide.stop()

    def _recover(self, aide: AideProcess) -> None:
        """Gives back what an earlier life held, and fails what ended it too often."""
        for lost in self._records.recover():
            reason = f"its worker ended {lost.attempt} times while it ran this"
            self._records.end(lost, self._explained(lost, aide, reason))

    def _warm(self) -> None:
        """Loads every model before a study waits for it; one that can't be loaded fails its own jobs only."""
        for name in self._pipelines:
            try:
                self._engine.warm(name)
            except NodeError as fault:
                log.error("model_not_loaded", pipeline=name, error=str(fault))

    def _infer(self, turn: Turn) -> None:
        """Gives a job the device, within its limits."""
        job, limits = turn.job, self._limits(turn.job)
        try:
            with (
                Watchdog(limits.seconds, limits.memory_mb, lambda reason: self._break_off(turn, reason)),
                self._records.on_device(job) as progress,
            ):
                findings = self._engine.run(job.pipeline, Case(turn.inputs, progress))
        except Exception as fault:  # noqa: BLE001 - the hand that waits for it records it
            turn.findings.set_exception(fault)
        else:
            turn.findings.set_result(findings)

    def _break_off(self, turn: Turn, reason: str) -> None:
        """Fails a job that is beyond its limits, and lets the others end what they write: then all ends."""
        self._turns.close()
        turn.findings.set_exception(ModelFailed(reason))
        self._turns.settle(SETTLE_SECONDS)

    def _carry_on(self, aide: AideProcess) -> None:
        """A hand's life: one job after the other."""
        while (job := self._claimed(aide)) is not None:
            try:
                self._carry(job, aide)
            finally:
                self._turns.leave(job)

    def _claimed(self, aide: AideProcess) -> Job | None:
        """Waits for a job; None at the end.

        One hand waits for all, so that none is ahead without need: the one that had a job last, since the
        memory of its aide is at hand.
        """
        with self._claiming:
            self._idle.append(aide)
            try:
                while not self._stop.is_set():
                    if self._idle[-1] is aide and (job := self._next()) is not None:
                        return job
                    self._claiming.wait(POLL_SECONDS)
            finally:
                self._idle.remove(aide)
                self._claiming.notify_all()
        return None

    def _next(self) -> Job | None:
        """The next job, if one may come in."""
        more, above = self._turns.bar()
        try:
            if more and (job := self._claim(above)) is not None:
                self._turns.enter(job)
                return job
        except Transient as fault:
            log.warning("worker_waits", error=str(fault))
        return None

    def _claim(self, above: int | None) -> Job | None:
        routes = [route.name for route in self._site.config.routes]
        return self._ledger.work.claim(self._name, list(self._pipelines), _now(), above, routes)

    def _carry(self, job: Job, aide: AideProcess) -> None:
        """Brings a job to its end: results, a reason, or back into the queue."""
        log.info("job_started", job=job.id, pipeline=job.pipeline, attempt=job.attempt)
        try:
            outcome = self._kept(job) or self._outcome(job, aide)
        except Cancelled:
            log.warning("job_taken_away", job=job.id)
            return
        except Closed as fault:
            self._records.give_back(job, str(fault), 0.0)
            return
        except Transient as fault:
            if job.attempt < MAX_ATTEMPTS:
                self._records.give_back(job, str(fault), 5.0 * 2 ** (job.attempt - 1))
                return
            outcome = self._explained(job, aide, f"tried {job.attempt} times; the last error: {fault}")
        except NodeError as fault:
            outcome = self._explained(job, aide, str(fault))
        except Exception as fault:
            log.exception("job_crashed", job=job.id)
            outcome = self._explained(job, aide, f"the node itself failed: {type(fault).__name__}")
        self._records.end(job, outcome)

    def _kept(self, job: Job) -> Outcome | None:
        """What an earlier run of a job said, also to destinations that it has only now."""
        if (outcome := kept(self._site.spool, job.id)) is None:
            return None
        log.info("job_was_done_before", job=job.id, state=outcome.state)
        return addressed(outcome, takers(self._site, job.destinations))

    def _outcome(self, job: Job, aide: AideProcess) -> Outcome:
        """Takes a job through its stages."""
        if job.missing is not None:
            return self._explained(job, aide, job.missing, JobState.NOT_APPLICABLE)
        limits = self._limits(job)
        order = order_of(job, self._site, self._pipelines[job.pipeline])
        times = [time.monotonic()]
        inputs = aide.prepare(order, limits)
        times.append(time.monotonic())
        findings: Sequence[Finding] = self._turns.ask(job, inputs)
        times.append(time.monotonic())
        outcome = aide.finish(job, findings, limits)
        times.append(time.monotonic())
        seconds = [round(end - start, 3) for start, end in pairwise(times)]
        log.info(
            "job_timed", job=job.id, **dict(zip(("read_s", "device_s", "write_s"), seconds, strict=True))
        )
        return outcome

    def _explained(
        self, job: Job, aide: AideProcess, reason: str, state: JobState = JobState.FAILED
    ) -> Outcome:
        """The outcome of a job without a result, with objects that say why where they can be made."""
        self._turns.pass_by(job)
        try:
            order = order_of(job, self._site, self._pipelines[job.pipeline])
            return aide.explain(job, order, reason, state, self._limits(job))
        except NodeError as fault:
            log.error("job_not_explained", job=job.id, error=str(fault))
            return keep(self._site.spool, job, Ran(state, reason, (), ()))

    def _limits(self, job: Job) -> Limits:
        configured = self._site.config.pipelines[job.pipeline]
        return Limits(configured.time_limit, configured.memory_limit_mb)


def _now() -> datetime:
    return datetime.now(UTC)
