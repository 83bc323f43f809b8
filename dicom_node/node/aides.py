"""The worker's side of an aide: starts the process, calls it, and ends it where it goes beyond its limits."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import cast

import psutil
import structlog

from dicom_node.config import Config
from dicom_node.errors import Permanent, WorkerLost
from dicom_node.findings import Finding
from dicom_node.infer.limits import memory_reason, time_reason
from dicom_node.node.aide import Aide, serve
from dicom_node.node.line import Line
from dicom_node.node.orders import Order
from dicom_node.node.outcomes import Outcome
from dicom_node.pipeline import Input
from dicom_node.records import Job, JobState

log = structlog.get_logger()
POLL_SECONDS = 0.1
FORKS = get_context("forkserver")
"""Aides are forked from a process of one thread, without a GPU, that has imported what they need."""
FORKS.set_forkserver_preload(
    [serve.__module__, "skimage.measure._find_contours", "skimage.measure._polygon"]
)  # skimage imports these, and half of SciPy, when they are first used


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may take in each of its stages.

    Attributes:
        seconds: 0: as long as it likes.
        memory_mb: by which a process may grow; None: without limit.
    """

    seconds: float
    memory_mb: int | None


class AideProcess:
    """An aide as its worker sees it; for one job at a time, or a few that it holds together.

    Every call raises what the aide raised, Permanent where it went beyond the limits, and WorkerLost where
    the process ended by itself; the next job's first call starts another one.
    """

    def __init__(self, config: Config, spool_root: Path) -> None:
        """Starts the process; a call waits until it is warm."""
        self._config = config
        self._spool_root = spool_root
        self._process, self._line = self._started()
        self._warm = False
        self._held: set[str] = set()

    def wait_warm(self, seconds: float) -> None:
        """Returns when the process is warm, or has ended, or this time is over."""
        if not self._warm:
            self._line.waits(seconds)

    def prepare(
        self, order: Order, limits: Limits, beside: Collection[str] = (), more: bool = False
    ) -> Mapping[str, Input]:
        """As `Aide.prepare`."""
        self._revive()
        self._held.intersection_update(beside)
        inputs = self._call(limits, Aide.prepare.__name__, order, beside, more)
        self._held.add(order.job_id)
        return cast(Mapping[str, Input], inputs)

    def holds(self, job_id: str) -> bool:
        """Whether a job's images, once read, are still held: not where the process ended since."""
        return job_id in self._held

    def finish(self, job: Job, findings: Sequence[Finding], limits: Limits) -> Outcome:
        """As `Aide.finish`."""
        return cast(Outcome, self._call(limits, Aide.finish.__name__, job, findings))

    def explain(self, job: Job, order: Order, reason: str, state: JobState, limits: Limits) -> Outcome:
        """As `Aide.explain`."""
        self._revive()
        return cast(Outcome, self._call(limits, Aide.explain.__name__, job, order, reason, state))

    def stop(self) -> None:
        """Ends the process; what it was doing is lost."""
        self._held.clear()
        self._line.close()
        self._process.kill()
        self._process.join()

    def _started(self) -> tuple[ForkServerProcess, Line]:
        ours, theirs = FORKS.Pipe(duplex=True)
        process = FORKS.Process(target=serve, args=(theirs, self._config, self._spool_root), daemon=True)
        process.start()
        theirs.close()
        return process, Line(ours)

    def _revive(self) -> None:
        """Starts another process where this one has ended."""
        if not self._process.is_alive():
            self.stop()
            self._process, self._line = self._started()
            self._warm = False

    def _call(self, limits: Limits, name: str, *arguments: object) -> object:
        try:
            if not self._warm:
                self._await(limits)
                self._line.receive()  # it says so once
                self._warm = True
            self._line.send((name, arguments))
            self._await(limits)
            went_well, given = cast(tuple[bool, object], self._line.receive())
        except (EOFError, OSError) as fault:
            self.stop()
            status = self._process.exitcode
            log.error("aide_ended", call=name, status=status)
            raise WorkerLost(f"the process that reads and writes images ended (status {status})") from fault
        if not went_well:
            raise cast(Exception, given)
        return given

    def _await(self, limits: Limits) -> None:
        """Returns when there is an answer. Raises Permanent, the process ended, where a limit is reached."""
        started, held_mb = time.monotonic(), self._resident_mb()
        while not self._line.waits(POLL_SECONDS):
            reason = time_reason(time.monotonic() - started, limits.seconds)
            reason = reason or memory_reason(self._resident_mb() - held_mb, limits.memory_mb)
            if reason is not None:
                self.stop()
                raise Permanent(f"while images were read or written, {reason}")

    def _resident_mb(self) -> float:
        """Memory of the process in MB; 0 where it is gone."""
        try:
            return float(psutil.Process(self._process.pid).memory_info().rss) / 1e6
        except psutil.NoSuchProcess:
            return 0.0
