"""A worker: claims jobs for one device, runs them on warm models, and records results that are owed.

Its main thread is the device's: it does nothing but infer. Each of a few threads, the hands, carries one
job at a time through its stages, or a few small ones that share a pass of their model, with an aide that
reads and writes for it; so the images of the next job are read, and the results of the last one encoded,
while the device is busy with the one between.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import structlog

from dicom_node.config import resolve
from dicom_node.errors import ModelFailed, NodeError, Permanent, Transient
from dicom_node.infer.devices import is_there, limit_threads
from dicom_node.infer.engine import Engine
from dicom_node.infer.limits import Watchdog
from dicom_node.node.aides import AideProcess
from dicom_node.node.folders import spool_folder, trouble_file
from dicom_node.node.hand import Hand, limits_of
from dicom_node.node.recording import Records
from dicom_node.node.site import Site, worker_name
from dicom_node.node.trouble import Trouble
from dicom_node.node.turns import AHEAD, Turn, Turns
from dicom_node.pipeline import Case, Pipeline
from dicom_node.records import Job

log = structlog.get_logger()
POLL_SECONDS = 0.1
TOGETHER_BYTES = 128 * 1024 * 1024
"""What the images of jobs that share a pass may take on the disk: worker and aide hold all of them."""
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
        self._idle: list[Hand] = []
        self._stop = threading.Event()
        self._trouble = Trouble(trouble_file(site.config, "worker", index))
        self._records = Records(site, self._name, self._stop, self._trouble)

    def work(self, ready: threading.Event, stop: threading.Event) -> None:
        """Runs until `stop` is set; what is on the device and behind it is finished first."""
        self._stop = stop
        self._records = Records(self._site, self._name, stop, self._trouble)
        os.nice(NICE)  # before the aides start: they inherit it
        if not is_there(self._device):
            log.error("device_missing", device=self._device, right="node.devices; without a GPU: cpu")
        limit_threads(self._site.config.node.threads)
        gc.freeze()  # what is imported is no garbage: no collection looks at it again in the midst of a job
        hands = [self._hand() for _ in range(HANDS)]
        try:
            self._recover(hands[0])
            self._warm()
            for hand in hands:
                hand.aide.wait_warm(SETTLE_SECONDS)
            self._serve(hands, ready)
        finally:  # they don't end by themselves while this process lives
            for hand in hands:
                hand.aide.stop()

    def _serve(self, hands: Sequence[Hand], ready: threading.Event) -> None:
        """Gives turns the device until the stop, and lets the hands end what they have."""
        threads = [threading.Thread(target=self._carry_on, args=(hand,), daemon=True) for hand in hands]
        for thread in threads:
            thread.start()
        ready.set()
        while not self._stop.is_set():
            if (turn := self._turns.take(POLL_SECONDS)) is not None:
                self._infer(turn)
                del turn  # its volumes are not held while nothing is to do
        self._turns.close()
        for thread in threads:
            thread.join()

    def _hand(self) -> Hand:
        aide = AideProcess(self._site.config, spool_folder(self._site.config))
        return Hand(self._site, self._pipelines, self._turns, self._records, aide)

    def _recover(self, hand: Hand) -> None:
        """Gives back what an earlier life held, and fails what ended it too often."""
        for lost in self._records.recover():
            hand.fail(lost, f"its worker ended {lost.attempt} times while it ran this")

    def _warm(self) -> None:
        """Loads every model before a study waits for it; one that can't be loaded fails its own jobs only."""
        for name in self._pipelines:
            try:
                self._engine.warm(name)
            except NodeError as fault:
                log.error("model_not_loaded", pipeline=name, error=str(fault))

    def _infer(self, turn: Turn) -> None:
        """Gives a turn's jobs the device, within their limits: together as long as each could take alone."""
        jobs = [one.job for one in turn.ready]
        limits = limits_of(self._site, jobs[0])
        try:
            with (
                Watchdog(
                    limits.seconds * len(jobs), limits.memory_mb, lambda reason: self._break_off(turn, reason)
                ),
                self._records.on_device(jobs) as progress,
            ):
                cases = [Case(one.inputs, note) for one, note in zip(turn.ready, progress, strict=True)]
                answers = self._engine.run_many(jobs[0].pipeline, cases)
        except NodeError as fault:
            turn.break_off(fault)
        except Exception as fault:
            log.exception("turn_crashed", jobs=[job.id for job in jobs])
            turn.break_off(Permanent(f"the node itself failed: {type(fault).__name__}"))
        else:
            turn.answers.set_result(answers)

    def _break_off(self, turn: Turn, reason: str) -> None:
        """Ends a turn that is beyond its limits, and lets the others end what they write: then all ends."""
        self._turns.close()
        turn.break_off(ModelFailed(reason))
        self._turns.settle(SETTLE_SECONDS)

    def _carry_on(self, hand: Hand) -> None:
        """A hand's life: one job, or a few together, after the other."""
        while jobs := self._claimed(hand):
            try:
                hand.carry(jobs)
            except Exception:  # the next life of this process takes the jobs up
                log.exception("hand_failed", jobs=[job.id for job in jobs])
                self._stop.set()
            finally:
                self._turns.leave(jobs[0])

    def _claimed(self, hand: Hand) -> list[Job]:
        """Waits for a job, and takes what may share its pass; none at the end.

        One hand waits for all, so that none is ahead without need: the one that had a job last, since the
        memory of its aide is at hand.
        """
        with self._claiming:
            self._idle.append(hand)
            try:
                while not self._stop.is_set():
                    if self._idle[-1] is hand and (jobs := self._next()):
                        return jobs
                    self._claiming.wait(POLL_SECONDS)
            finally:
                self._idle.remove(hand)
                self._claiming.notify_all()
        return []

    def _next(self) -> list[Job]:
        """The next job, if one may come in, and its company; where the ledger is away, it is asked later."""
        if self._trouble.pauses:
            return []
        more, above = self._turns.bar()
        try:
            job = self._claim(above) if more else None
        except Transient as fault:
            self._trouble.note("claim", str(fault))
            return []
        self._trouble.note("claim", None)
        if job is None:
            return []
        self._turns.enter(job)
        return [job, *self._company(job)]

    def _claim(self, above: int | None) -> Job | None:
        return self._ledger.work.claim(self._name, list(self._pipelines), _now(), above, self._routes())

    def _company(self, job: Job) -> list[Job]:
        """Small jobs that wait and may share a job's pass; none where it was tried before, or is large."""
        most = self._pipelines[job.pipeline].at_once - 1
        if most < 1 or job.attempt > 1 or job.missing is not None:
            return []
        try:
            return self._ledger.work.claim_company(
                self._name, job, most, TOGETHER_BYTES, _now(), self._routes()
            )
        except Transient as fault:  # the job itself is claimed
            log.warning("worker_goes_alone", job=job.id, error=str(fault))
            return []

    def _routes(self) -> list[str]:
        return [route.name for route in self._site.config.routes]


def _now() -> datetime:
    return datetime.now(UTC)
