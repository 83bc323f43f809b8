"""A worker's process on a queue: how busy it keeps the device, and what it adds to a network's own time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.queued import Queued
from dicom_node.config import load, resolve
from dicom_node.infer.engine import Engine
from dicom_node.node.orders import order_of
from dicom_node.node.outcomes import keep
from dicom_node.node.running import run
from dicom_node.node.site import open_site
from dicom_node.records import JobState

SHAPES = ((40, 256, 256), (60, 256, 256), (32, 320, 320))
PIPELINES = {"narrow": 4, "middle": 6, "wide": 8}
"""Channels of the networks in the queue."""


@dataclass(frozen=True)
class Site:
    """A site with its queue and the notes of its networks."""

    queued: Queued
    notes: Path

    def add(self, shape: tuple[int, int, int]) -> str:
        """Another series of noise; its UID."""
        draw = np.random.default_rng(sum(shape))
        return self.queued.series(draw.integers(-900, 900, shape).astype(np.int16))

    def wait(self) -> None:
        """Returns when no job waits or runs. Raises RuntimeError where one did not succeed."""
        while self.queued.open():
            time.sleep(0.05)
        if set(self.queued.ledger.work.counts()) != {JobState.DONE}:
            raise RuntimeError("a job failed")

    def intervals(self) -> list[tuple[float, float]]:
        """When each network ran: beginning and end."""
        return [
            (float(a), float(b)) for a, b in (line.split() for line in self.notes.read_text().splitlines())
        ]


@contextmanager
def site(passes: int) -> Iterator[Site]:
    """A site in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        pipelines = {
            name: {
                "use": "bench.network:Network",
                "options": {"channels": channels, "passes": passes, "notes": str(notes)},
            }
            for name, channels in PIPELINES.items()
        }
        made = Site(Queued(Path(folder) / "site", pipelines), notes)
        yield made
        made.queued.ledger.close()


@contextmanager
def worker(of: Site) -> Iterator[None]:
    """Its worker, as the supervisor starts it."""
    command = [sys.executable, "-m", "dicom_node.node", "worker", "0", str(of.queued.config_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        process.stdout.readline()
        yield
        process.terminate()


def queue(of: Site, studies: int) -> None:
    """Queues studies of every size for every pipeline, mixed."""
    names = list(PIPELINES)
    for number in range(studies):
        series = of.add(SHAPES[number % len(SHAPES)])
        of.queued.job(series, names[number // len(SHAPES) % len(names)])


def busy_share(of: Site) -> float:
    """Percent of the time from the first network's beginning to the last one's end in which one ran."""
    spans = of.intervals()
    whole = max(end for _, end in spans) - min(begin for begin, _ in spans)
    return 100 * sum(end - begin for begin, end in spans) / whole


def busy_in_worker(studies: int, passes: int) -> float:
    """Busy share of a worker on a queue."""
    with site(passes) as made:
        queue(made, studies)
        with worker(made):
            made.wait()
        return busy_share(made)


def busy_in_a_row(studies: int, passes: int) -> float:
    """Busy share where each job is read, run and written before the next one."""
    with site(passes) as made:
        queue(made, studies)
        config = load(made.queued.config_path)
        pipelines = {name: resolve(one) for name, one in config.pipelines.items()}
        engine = Engine(pipelines, "cpu")
        for name in pipelines:
            engine.warm(name)
        with open_site(made.queued.config_path) as opened:
            while (job := opened.ledger.work.claim("bench", list(pipelines), datetime.now(UTC))) is not None:
                order = order_of(job, opened, pipelines[job.pipeline])
                keep(opened.spool, job, run(order, engine, config, lambda _fraction: None))
        return busy_share(made)


def second_case(of: Site, shape: tuple[int, int, int]) -> Iterator[float]:
    """Yields, for one series after the other, ms between its job's claim and record less the network's own.

    Its worker must be running, and have nothing else to do.
    """
    while True:
        identity = of.queued.job(of.add(shape), "narrow")
        of.wait()
        row = next(row for row in of.queued.ledger.views.recent_jobs() if row["id"] == identity)
        begin, end = of.intervals()[-1]
        yield 1000 * ((row["finished_at"] - row["started_at"]).total_seconds() - (end - begin))
