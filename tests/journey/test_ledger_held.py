"""Another program holds the ledger, or its disk is full: the node says so, and says when it is over."""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dicom_node.cli.app import app
from tests.arrivals.images import KINDS
from tests.journey.node import AE_TITLE, RunningNode
from tests.peers import free_port, storescu, wait_until
from tests.receive.test_small_disk import fill, small

__all__ = ["small"]
pytestmark = [pytest.mark.journey, pytest.mark.fault, pytest.mark.timeout(600)]


def fetch(node: RunningNode, page: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.web_port}{page}", timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.read().decode()
    except OSError:
        return "{}"  # the coordinator has just begun


def failing(node: RunningNode) -> dict[str, str]:
    return {one["name"]: one["detail"] for one in json.loads(fetch(node, "/ready")).get("failing", ())}


def told_and_ended(node: RunningNode) -> None:
    """The log tells of it a few times, of its end, and of nothing else."""
    told = [json.loads(line)["event"] for line in node.log.splitlines() if '"work_' in line]
    assert 1 <= told.count("work_waits") <= 30
    assert "work_goes_on" in told
    assert not [word for word in ("part_failed", "tick_failed", "Traceback") if word in node.log]


def status_command(node: RunningNode) -> str:
    shown = CliRunner().invoke(app, ["status", "--config", str(node.config_path)])
    assert shown.exit_code == 0, shown.output
    return shown.output


@pytest.mark.soak  # it waits out SQLite's 30 seconds
def test_a_ledger_that_is_held_is_told_of_while_it_lasts(tmp_path: Path) -> None:
    with RunningNode(tmp_path / "node", free_port()) as node:

        def ready() -> bool:
            return bool(json.loads(fetch(node, "/ready")).get("ready"))

        wait_until(ready, seconds=180, what="the node is ready")
        with closing(sqlite3.connect(node.folder / "data" / "ledger.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            wait_until(lambda: "coordinator 0" in failing(node), seconds=60, what="it is not ready")
            assert not ready()
            assert "does another program hold it?" in failing(node)["coordinator 0"]
            assert "coordinator 0: the ledger" in fetch(node, "/")
            assert status_command(node).startswith(
                "The node runs, and needs somebody:\n  - coordinator 0: the"
            )
            wait_until(lambda: "database is locked" in node.log, seconds=90, what="its log says so")
            other.execute("ROLLBACK")
        wait_until(ready, seconds=90, what="it is ready again")
        assert "Needs somebody" not in fetch(node, "/")
        assert status_command(node).startswith("The node runs, and all is well.")
        wait_until(lambda: '"work_goes_on"' in node.log, what="its log says that it is over")
    assert status_command(node).startswith("The node does not run.")
    told_and_ended(node)


def test_a_disk_that_is_full_is_told_of_while_it_lasts(small: Path, tmp_path: Path) -> None:
    files = KINDS["CT"](tmp_path / "series", "1.2.3.4")
    changes = {
        "receive": {"free_disk_mb": 0},
        "complete": {"settle": 8, "quiet": 8, "quiet_min": 8},  # the disk is full before
        "pipelines": {},
        "routes": [],
    }
    with RunningNode(small / "node", free_port(), changes=changes) as node:
        assert storescu(files, "127.0.0.1", node.port, AE_TITLE).ok
        node.wait(lambda views: views.recent_series(), what="the series arrives")
        fill(small / "other")
        wait_until(lambda: "coordinator 0" in failing(node), seconds=60, what="it is not ready")
        assert "coordinator 0: " in fetch(node, "/")
        node.wait(lambda views: views.counts()["series"] == {"arriving": 1}, what="nothing is settled")
        (small / "other").unlink()
        node.wait(lambda views: views.counts()["series"] == {"complete": 1}, what="all goes on by itself")
        wait_until(lambda: "coordinator 0" not in failing(node), seconds=60, what="it is ready again")
    told_and_ended(node)
