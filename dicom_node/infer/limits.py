"""Time and memory limits of a job: a breach is told first, and then the process ends, hard."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType

import psutil

EXIT_LIMIT = 70
"""Exit status of a process that a watchdog ended: its job was failed already and is not to be tried again."""
GRACE_S = 30.0
"""How long after the time limit a process that no longer runs Python is ended without a word."""
POLL_S = 0.1


class Watchdog:
    """Guards one job in this process; used as a context manager around it.

    A job runs native code that no exception reaches, so the only clean way to stop it is to end its
    process; the supervisor starts a fresh one. `on_breach` is called with the reason, in the watchdog's
    thread, so that the job is failed in the ledger before the process goes. Where native code holds the
    interpreter's lock for good and the thread can't run, faulthandler's C thread ends the process after
    a grace, and the job counts as lost with its worker.
    """

    def __init__(
        self, time_limit_s: float, memory_limit_mb: int | None, on_breach: Callable[[str], None]
    ) -> None:
        """Prepares a watchdog.

        Args:
            time_limit_s: seconds from entering the context; 0: none.
            memory_limit_mb: how many MB the process may grow from entering the context; None: no limit.
            on_breach: called once with a text free of patient data; whatever it raises, the process ends.
        """
        self._time_limit_s = time_limit_s
        self._memory_limit_mb = memory_limit_mb
        self._on_breach = on_breach
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self._started = time.monotonic()
        self._resident_mb = resident_mb()
        if self._time_limit_s:
            faulthandler.dump_traceback_later(self._time_limit_s + GRACE_S, exit=True, file=2)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        if self._time_limit_s:
            faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        while not self._done.wait(POLL_S):
            if (reason := self._breach()) is not None:
                with contextlib.suppress(BaseException):
                    self._on_breach(reason)
                os._exit(EXIT_LIMIT)

    def _breach(self) -> str | None:
        reason = time_reason(time.monotonic() - self._started, self._time_limit_s)
        if reason is None and self._memory_limit_mb is not None:
            reason = memory_reason(resident_mb() - self._resident_mb, self._memory_limit_mb)
        return reason


def time_reason(seconds: float, limit_s: float) -> str | None:
    """Why a job that took so long is ended, or None; a limit of 0 is none."""
    return f"the time limit of {limit_s:g} s was reached" if limit_s and seconds > limit_s else None


def memory_reason(growth_mb: float, limit_mb: int | None) -> str | None:
    """Why a job whose process grew so much is ended, or None."""
    if limit_mb is None or growth_mb <= limit_mb:
        return None
    return f"the memory limit of {limit_mb} MB was reached ({growth_mb:.0f} MB)"


def resident_mb() -> float:
    """Resident memory of this process in MB (10^6 bytes)."""
    return float(psutil.Process().memory_info().rss) / 1e6
