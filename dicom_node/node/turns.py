"""Who gets the device next: the most urgent job, also where it is read last; and few jobs ahead of it.

Small jobs that share a pass of their model have one turn together; the first of them stands for all.
"""

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
"""Turns whose jobs are read while another one has the device; each holds its volumes."""
STOPS = "the worker stops"


Answer = Sequence[Finding] | Exception
"""What a model found, or why it found nothing."""


class Closed(Transient):
    """The worker stops before this job got the device."""


class Alone(Transient):
    """The pass that this job shared came to nothing, whoever's fault it was: it is tried again, alone."""


@dataclass(frozen=True)
class Ready:
    """A job whose images are read."""

    job: Job
    inputs: Mapping[str, Input]


@dataclass(frozen=True)
class Turn:
    """Jobs that are ready for the device, nearly always one; `answers` is set when they had it.

    Attributes:
        first: stands for all, also where it is not among those that are ready.
    """

    first: Job
    ready: Sequence[Ready]
    answers: Future[Sequence[Answer]] = field(default_factory=Future)

    def fail(self, fault: Exception) -> None:
        """Tells every job why there is no answer."""
        self.answers.set_result([fault] * len(self.ready))

    def break_off(self, fault: Exception) -> None:
        """Fails a job; of several, nobody knows whose fault it was, so each is to be tried alone."""
        self.fail(fault if len(self.ready) == 1 else Alone(f"in a pass that it shared: {fault}"))

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sorts the most urgent first, then the oldest."""
        return -self.first.priority, self.first.created_at.timestamp(), self.first.id


class Turns:
    """What the hands and the device of one worker share; jobs are those that stand for their turn."""

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

    def ask(self, first: Job, ready: Sequence[Ready]) -> Turn:
        """Asks for the device; the answers come with the turn, and are Closed where the worker stops.

        Where none is ready there are none, and no other job waits for this turn.
        """
        turn = Turn(first, ready)
        with self._changed:
            if self._closed or not ready:
                turn.fail(Closed(STOPS))
                self.pass_by(first)
            else:
                self._ready.append(turn)
            self._changed.notify_all()
        return turn

    def take(self, seconds: float) -> Turn | None:
        """The most urgent turn, for the device; None where there is none within this time."""
        with self._changed:
            self._busy = False
            turn = self._changed.wait_for(self._next, seconds)
            if turn is None:
                return None
            self._ready.remove(turn)
            self._ahead.pop(turn.first.id, None)
            self._behind.add(turn.first.id)
            self._busy = True
            return turn

    def _next(self) -> Turn | None:
        """The most urgent turn, unless a job that is more urgent still is being read.

        Reading takes seconds, and a model may take minutes, in which nothing can overtake: so an idle device
        costs less than an urgent study that waits for another one's run.
        """
        turn = min(self._ready, key=lambda one: one.rank, default=None)
        if turn is None or any(priority > turn.first.priority for priority in self._ahead.values()):
            return None
        return turn

    def close(self) -> None:
        """Lets no other job in or onto the device."""
        with self._changed:
            self._closed = True
            for turn in self._ready:
                turn.fail(Closed(STOPS))
            self._ready.clear()

    def settle(self, seconds: float) -> None:
        """Waits until every job that had the device is through."""
        with self._changed:
            self._changed.wait_for(lambda: not self._behind, seconds)
