"""The watchdog in real processes: a breach is told, then the process is gone."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dicom_node.infer.limits import EXIT_LIMIT, Watchdog

SCRIPT = """
import sys, time
from pathlib import Path
from dicom_node.infer.limits import Watchdog
def told(reason):
    Path(sys.argv[1]).write_text(reason)
    {told}
with Watchdog({time_limit}, {memory_limit}, told):
    {job}
"""


def run(
    tmp_path: Path, job: str, time_limit: float, memory_limit: int | None, told: str = "pass"
) -> tuple[int, str]:
    """Exit status, and the reason that was told."""
    script = SCRIPT.format(job=job, time_limit=time_limit, memory_limit=memory_limit, told=told)
    reason = tmp_path / "reason"
    ended = subprocess.run([sys.executable, "-c", script, str(reason)], timeout=60, check=False)
    return ended.returncode, reason.read_text() if reason.exists() else ""


@pytest.mark.parametrize("told", ["pass", "raise RuntimeError('the ledger is locked')"])
def test_a_job_over_its_time_is_told_and_ended(tmp_path: Path, told: str) -> None:
    status, reason = run(tmp_path, "time.sleep(60)", 0.3, None, told)
    assert status == EXIT_LIMIT
    assert reason == "the time limit of 0.3 s was reached"


def test_a_job_over_its_memory_is_told_and_ended(tmp_path: Path) -> None:
    status, reason = run(tmp_path, "held = b'1' * 300_000_000; time.sleep(60)", 30, 100)
    assert status == EXIT_LIMIT
    assert reason.startswith("the memory limit of 100 MB was reached")


def test_a_job_within_its_limits_goes_on(tmp_path: Path) -> None:
    assert run(tmp_path, "time.sleep(0.3)", 10, 500) == (0, "")


def test_a_watchdog_ends_with_its_job() -> None:
    told: list[str] = []
    before = threading.active_count()
    for _ in range(20):
        with Watchdog(3600, None, told.append):
            pass
    assert threading.active_count() == before
    assert told == []
