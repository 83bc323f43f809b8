"""APScheduler, which only ticks: it holds no state, so a missed tick is made up for by the next one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

log = structlog.get_logger()
logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a tick that is skipped while one runs is no news


class Ticker:
    """Calls functions at intervals, each in a thread of its own, never twice at once."""

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(64)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def every(self, seconds: float, name: str, function: Callable[[], object]) -> None:
        """Calls a function from the start on; what it raises is logged, and it is called again."""

        def tick() -> None:
            try:
                function()
            except Exception:
                log.exception("tick_failed", tick=name)

        self._scheduler.add_job(tick, _Every(seconds), id=name, next_run_time=datetime.now(UTC))

    def again(self) -> None:
        """Calls every function an interval from now: its next call stood at a moment of a clock since set.

        So what is done once an hour, such as removing what is old, does not trust the new clock at once.
        """
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=datetime.now(UTC) + job.trigger.interval)

    def start(self) -> None:
        """Begins ticking."""
        self._scheduler.start()

    def stop(self) -> None:
        """Ends ticking, and waits for what is running."""
        self._scheduler.shutdown(wait=True)


class _Every(BaseTrigger):  # type: ignore[misc]  # it has no types
    """At intervals, and at once where some are over.

    Where the clock is put a year forward, IntervalTrigger has the scheduler list every moment of that year.
    """

    def __init__(self, seconds: float) -> None:
        self.interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """As APScheduler asks for it."""
        return now if previous is None else max(previous + self.interval, now)
