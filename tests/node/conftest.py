"""A worker's process on a full queue, and what its pipeline noted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.queued import Queued
from tests.conftest import CHECKOUT
from tests.peers import wait_until

Start = Callable[..., "WorkerAtWork"]


@dataclass
class WorkerAtWork:
    """A site with a queue, and `python -m dicom_node.node worker 0` on it.

    Attributes:
        folder: of the site, of the pipelines' notes, and of the log.
    """

    folder: Path
    queued: Queued
    process: subprocess.Popen[bytes] | None = None
    seeds: Iterator[int] = field(default_factory=lambda: iter(range(1000)))

    def series(self, slices: int = 6, size: int = 32) -> str:
        """Another series of noise; its UID."""
        draw = np.random.default_rng(next(self.seeds))
        return self.queued.series(draw.integers(-900, 900, (slices, size, size)).astype(np.int16))

    def start(self) -> None:
        command = [sys.executable, "-m", "dicom_node.node", "worker", "0", str(self.queued.config_path)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, cwd=CHECKOUT
            )

    def stop(self) -> int:
        """Ends it in order; its exit status."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(240)
        self._close()
        return status

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._close()

    def _close(self) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process = None

    def wait_end(self) -> None:
        """Waits until the process ends by itself."""
        assert self.process is not None
        process = self.process
        self.wait_for(lambda: process.poll() is not None, "the worker ends")
        self._close()

    def wait_for(self, ready: Callable[[], bool], what: str) -> None:
        try:
            wait_until(ready, seconds=120, what=what)
        except TimeoutError as late:
            raise TimeoutError(f"{late}; log: {self.log[-3000:]}") from None

    def wait_done(self) -> None:
        self.wait_for(lambda: self.queued.open() == 0, "every job ends")

    def events(self, name: str) -> dict[str, float]:
        """When an event of this name was logged for each job, the last time, in the log's order."""
        logged = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return {
            one["job"]: datetime.fromisoformat(one["timestamp"]).timestamp()
            for one in logged
            if one["event"] == name
        }

    def jobs(self) -> dict[str, dict[str, Any]]:
        """What the ledger says of each job, by id."""
        return {row["id"]: row for row in self.queued.ledger.views.recent_jobs()}

    def notes(self) -> list[tuple[float, int, str, str]]:
        """(time, pid, what, series) as the pipelines noted them, in order."""
        file = self.folder / "notes"
        lines = file.read_text().splitlines() if file.exists() else []
        parts = (line.split(" ") for line in lines)
        return [(float(at), int(pid), what, series) for at, pid, what, series in parts]

    def noted(self, what: str) -> list[str]:
        """Series for which this was noted, in order."""
        return [series for _, _, said, series in self.notes() if said == what]

    @property
    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text() if file.exists() else ""

    @property
    def hold(self) -> Path:
        """While it exists, no run of the pipeline ends."""
        return self.folder / "hold"


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[Start]:
    """Makes a site with a queue; `at_work(sections, name={option: value})` for each pipeline, a Block."""
    made: list[WorkerAtWork] = []

    def beside(key: str) -> bool:
        return key == "use" or "limit" in key

    def make(sections: dict[str, Any] | None = None, **pipelines: dict[str, Any]) -> WorkerAtWork:
        described = {
            name: {"use": "tests.node.slow_block:Block"}
            | {key: value for key, value in options.items() if beside(key)}
            | {
                "options": {"notes": str(tmp_path)}
                | {key: value for key, value in options.items() if not beside(key)}
            }
            for name, options in pipelines.items()
        }
        made.append(WorkerAtWork(tmp_path, Queued(tmp_path / "site", described, sections or {})))
        return made[-1]

    yield make
    for one in made:
        one.kill()
        one.queued.ledger.close()
