"""A hand of a worker: carries jobs through their stages, with an aide that reads and writes for it.

Nearly always it carries one. A few small ones of the same pipeline are read one after the other, share
the device in one turn, and are written one after the other. What goes wrong with one of them ends that one,
or sends it back into the queue; what goes wrong in the turn that they share sends each back, to be tried
alone.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from dicom_node.errors import (
    Cancelled,
    NodeError,
    NoSlices,
    OutOfResources,
    Permanent,
    Transient,
    WorkerLost,
)
from dicom_node.findings import Finding
from dicom_node.node.aides import AideProcess, Limits
from dicom_node.node.finishing import Ran
from dicom_node.node.negotiating import takers
from dicom_node.node.orders import order_of
from dicom_node.node.outcomes import Outcome, addressed, keep, kept
from dicom_node.node.recording import Records
from dicom_node.node.site import Site
from dicom_node.node.turns import Alone, Closed, Ready, Turns
from dicom_node.pipeline import Input, Pipeline
from dicom_node.records import Job, JobState
from dicom_node.spool import FULL, is_full

log = structlog.get_logger()
FULL_SECONDS = 10.0
"""After which a job is tried again whose end could not be written, nor the reason why."""
MAX_ATTEMPTS = 5
"""Tries of a job that fails in a way that may pass."""


class NothingToRun(Permanent):
    """The job was queued only to say why there is nothing to run."""


@dataclass
class Carried:
    """A job in hand: its images once they are read, how it ended once it did, the seconds of each stage."""

    job: Job
    inputs: Mapping[str, Input] | None = None
    ended: Outcome | Exception | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Takes the time of a stage."""
        started = time.monotonic()
        yield
        self.seconds[stage] = round(time.monotonic() - started, 3)


class Hand:
    """One hand, with an aide of its own."""

    def __init__(
        self,
        site: Site,
        pipelines: Mapping[str, Pipeline],
        turns: Turns,
        records: Records,
        aide: AideProcess,
    ) -> None:
        """Takes what the hands of a worker share, and the aide."""
        self._site = site
        self._pipelines = pipelines
        self._turns = turns
        self._records = records
        self.aide = aide

    def carry(self, jobs: Sequence[Job]) -> None:
        """Brings claimed jobs of one pipeline to their end: results, a reason, or back into the queue."""
        carried = [Carried(job) for job in jobs]
        self._read(carried)
        ready = [one for one in carried if one.inputs is not None]
        started = time.monotonic()
        turn = self._turns.ask(jobs[0], [Ready(one.job, one.inputs or {}) for one in ready])
        for one in carried:
            if one.ended is not None:  # while the others have the device
                self._end(one.job, one.ended)
        answers = turn.answers.result()
        device_s = round(time.monotonic() - started, 3)
        for one, answer in zip(ready, answers, strict=True):
            one.seconds["device_s"] = device_s
            if isinstance(answer, Exception):
                one.ended = answer
            else:
                self._write(one, answer, len(ready))
            self._end(one.job, one.ended)

    def fail(self, job: Job, reason: str, state: JobState = JobState.FAILED) -> None:
        """Ends a job without a result; gives it back where not even the reason can be written."""
        try:
            self._records.end(job, self._explained(job, reason, state))
        except Transient as fault:
            self._records.give_back(job, str(fault), FULL_SECONDS)

    def _read(self, carried: Sequence[Carried]) -> None:
        """Reads the images of each; then each has its inputs, or has ended."""
        for number, one in enumerate(carried, start=1):
            log.info("job_started", job=one.job.id, pipeline=one.job.pipeline, attempt=one.job.attempt)
            before = [other.job.id for other in carried[: number - 1]]
            with one.timed("read_s"):
                try:
                    one.ended = self._kept(one.job)
                    if one.ended is None:
                        one.inputs = self._prepared(one.job, before, number < len(carried))
                except Exception as fault:  # noqa: BLE001 - it ends this job
                    one.ended = fault
        for one in carried:
            if one.inputs is not None and not self.aide.holds(one.job.id):
                one.inputs, one.ended = None, WorkerLost("the process that held its images ended")

    def _kept(self, job: Job) -> Outcome | None:
        """What an earlier run of a job said, also to destinations that it has only now."""
        if (outcome := kept(self._site.spool, job.id)) is None:
            return None
        log.info("job_was_done_before", job=job.id, state=outcome.state)
        return addressed(outcome, takers(self._site, job.destinations))

    def _prepared(self, job: Job, beside: Collection[str], more: bool) -> Mapping[str, Input]:
        if job.missing is not None:
            raise NothingToRun(job.missing)
        order = order_of(job, self._site, self._pipelines[job.pipeline])
        return self.aide.prepare(order, limits_of(self._site, job), beside, more)

    def _write(self, one: Carried, findings: Sequence[Finding], shared: int) -> None:
        """Makes the results of a job that had the device; then it has ended."""
        try:
            with one.timed("write_s"):
                one.ended = self.aide.finish(one.job, findings, limits_of(self._site, one.job))
            log.info("job_timed", job=one.job.id, **one.seconds, shared=shared)
        except Exception as fault:  # noqa: BLE001 - it ends this job
            one.ended = fault

    def _end(self, job: Job, ended: Outcome | Exception | None) -> None:
        """Records an outcome, or what became of a job without one."""
        if isinstance(ended, OSError) and is_full(ended):
            ended = OutOfResources(FULL)
        match ended:
            case Outcome():
                self._record(job, ended)
            case Cancelled():
                log.warning("job_taken_away", job=job.id)
            case Closed() | Alone():
                self._records.give_back(job, str(ended), 0.0)
            case Transient() if job.attempt < MAX_ATTEMPTS:
                self._records.give_back(job, str(ended), 5.0 * 2 ** (job.attempt - 1))
            case Transient():
                self.fail(job, f"tried {job.attempt} times; the last error: {ended}")
            case NothingToRun() | NoSlices():
                self.fail(job, str(ended), JobState.NOT_APPLICABLE)
            case NodeError():
                self.fail(job, str(ended))
            case _:
                log.error("job_crashed", job=job.id, exc_info=ended)
                self.fail(job, f"the node itself failed: {type(ended).__name__}")

    def _record(self, job: Job, outcome: Outcome) -> None:
        try:
            self._records.end(job, outcome)
        except NodeError:
            raise
        except Exception as fault:
            log.exception("job_not_recorded", job=job.id)
            self.fail(job, f"the node itself failed: {type(fault).__name__}")

    def _explained(self, job: Job, reason: str, state: JobState) -> Outcome:
        """The outcome of a job without a result, with objects that say why where they can be made."""
        try:
            order = order_of(job, self._site, self._pipelines[job.pipeline])
            return self.aide.explain(job, order, reason, state, limits_of(self._site, job))
        except OutOfResources:  # there is room another time
            raise
        except NodeError as fault:
            log.error("job_not_explained", job=job.id, error=str(fault))
            return keep(self._site.spool, job, Ran(state, reason, (), ()))


def limits_of(site: Site, job: Job) -> Limits:
    """What a job may take in each of its stages."""
    configured = site.config.pipelines[job.pipeline]
    return Limits(configured.time_limit, configured.memory_limit_mb)
