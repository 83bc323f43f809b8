"""Who gets the device next: the most urgent job, also where it is read last; and few jobs ahead of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from dicom_node.errors import Transient
from dicom_node.findings import Finding
from dicom_node.pipeline import Input
from dicom_node.records import Job

AHEAD = 1
"""Jobs that are read while another one has the device; each holds its volumes."""


class Closed(Transient):
    """The worker stops before this job got the device."""


@dataclass(frozen=True)
class Turn:
    """A job that is ready for the device; `findings` is set when it had it."""

    job: Job
    inputs: Mapping[str, Input]
    findings: Future[Sequence[Finding]] = field(default_factory=Future)

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sorts the most urgent first, then the oldest."""
        return -self.job.priority, self.job.created_at.timestamp(), self.job.id


class Turns:
    """What the hands and the device of one worker share."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ahead: dict[str, int] = {}
        self._ready: list[Turn] = []
        self._behind: set[str] = set()
        self._busy = False
        self._closed = False

    def bar(self) -> tuple[bool, int | None]:
        """Whether another job may be claimed, and the priority that it must be above (None: any).

        Where enough are ahead, only what is more urgent than all of them still comes in.
        """
        with self._changed:
            if self._closed:
                return False, None
            full = len(self._ahead) + self._busy > AHEAD
            return True, max(self._ahead.values()) if full else None

    def enter(self, job: Job) -> None:
        """Counts a claimed job as ahead, until it gets the device."""
        with self._changed:
            self._ahead[job.id] = job.priority

    def pass_by(self, job: Job) -> None:
        """A job will not ask for the device: no other waits for it."""
        with self._changed:
            self._ahead.pop(job.id, None)
            self._changed.notify_all()

    def leave(self, job: Job) -> None:
        """Forgets a job that is through."""
        with self._changed:
            self._ahead.pop(job.id, None)
            self._behind.discard(job.id)
            self._changed.notify_all()

    def ask(self, job: Job, inputs: Mapping[str, Input]) -> Sequence[Finding]:
        """Waits for the device, and for what the model finds. Raises Closed, and what the model raised."""
        turn = Turn(job, inputs)
        with self._changed:
            if self._closed:
                raise Closed("the worker stops")
            self._ready.append(turn)
            self._changed.notify_all()
        return turn.findings.result()

    def take(self, seconds: float) -> Turn | None:
        """The most urgent turn, for the device; None where there is none within this time."""
        with self._changed:
            self._busy = False
            turn = self._changed.wait_for(self._next, seconds)
            if turn is None:
                return None
            self._ready.remove(turn)
            self._ahead.pop(turn.job.id, None)
            self._behind.add(turn.job.id)
            self._busy = True
            return turn

    def _next(self) -> Turn | None:
        """The most urgent turn, unless a job that is more urgent still is being read.

        Reading takes seconds, and a model may take minutes, in which nothing can overtake: so an idle device
        costs less than an urgent study that waits for another one's run.
        """
        turn = min(self._ready, key=lambda one: one.rank, default=None)
        if turn is None or any(priority > turn.job.priority for priority in self._ahead.values()):
            return None
        return turn

    def close(self) -> None:
        """Lets no other job in or onto the device."""
        with self._changed:
            self._closed = True
            for turn in self._ready:
                turn.findings.set_exception(Closed("the worker stops"))
            self._ready.clear()

    def settle(self, seconds: float) -> None:
        """Waits until every job that had the device is through."""
        with self._changed:
            self._changed.wait_for(lambda: not self._behind, seconds)
