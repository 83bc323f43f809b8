"""Every row of docs/arrivals.md, played by real senders against a running node."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path

import pytest

from tests.arrivals.clock import COMPILER, FakeClock
from tests.arrivals.images import ROUTES
from tests.arrivals.stage import PATIENCE, Outcome, Stage, World, disturb
from tests.arrivals.table import Row, rows
from tests.conftest import CHECKOUT
from tests.journey.node import AE_TITLE, RunningNode
from tests.peers import Orthanc, free_port, missing, storescp

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]
ROWS = rows()
CLOCK = "set clock"
APART = 0.1
"""Seconds between the beginnings of scenarios: not all senders start in one moment."""


@contextmanager
def world(folder: Path, *, clock: bool = False) -> Iterator[World]:
    """A node that all senders may use, its source and its PACS; its clock can be set."""
    with ExitStack() as stack:
        source = stack.enter_context(Orthanc(folder / "source", ae_title="SOURCE"))
        pacs = stack.enter_context(storescp(folder / "pacs"))
        notes = folder / "notes"
        notes.touch()
        fake = FakeClock(folder) if clock else None
        noting = {"use": "tests.arrivals.noting:Noting", "options": {"notes": str(notes)}}
        slow = noting | {"options": {"notes": str(notes), "seconds": 4.0}}
        asked = {"host": "127.0.0.1", "count": True}
        changes = {
            "receive": {"idle_timeout": 600},
            "complete": {"settle": 0.5, "quiet": 10, "quiet_min": 1, "ceiling": 15},
            "pipelines": {"quick": noting, "slow": slow},
            "peers": {
                "source": asked | {"ae_title": "SOURCE", "port": source.dicom_port},
                "silent": asked | {"ae_title": "SILENT", "port": free_port()},
            },
            "routes": ROUTES,
        }
        node = stack.enter_context(
            RunningNode(
                folder / "node",
                pacs.port,
                pacs.ae_title,
                changes=changes,
                environment={"PYTHONPATH": str(CHECKOUT)}
                | dict(fake.environment if fake is not None else {}),
            )
        )
        source.request("PUT", f"/modalities/{AE_TITLE}", [AE_TITLE, "127.0.0.1", node.port])
        ledger = node.ledger
        stack.callback(ledger.close)
        yield World(folder, node, ledger, source, pacs, notes, fake)


def play(world: World, group: Sequence[Row], how: str = "") -> dict[int, Future[Stage]]:
    """Plays scenarios together; the node is disturbed once, when all have come to that."""
    if how:
        world.gate = threading.Barrier(len(group), lambda: disturb(world, how))
    with ThreadPoolExecutor(len(group)) as players:
        played = {}
        for row in group:
            played[row.number] = players.submit(_play, Stage(world, row))
            time.sleep(APART)
    return played


def disturbing(world: World, rows: Sequence[Row]) -> dict[int, Future[Stage]]:
    """Plays scenarios that disturb the node, group by group."""
    found: dict[int, Future[Stage]] = {}
    for how, group in groupby(rows, key=lambda row: row.disturbance):
        found |= play(world, list(group), how)
    return found


def _play(stage: Stage) -> Stage:
    stage.play()
    return stage


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Future[Stage]]]:
    """All scenarios: those that disturb the node have one of their own, group by group."""
    calm = [row for row in ROWS if not row.disturbance]
    disturbed = sorted((row for row in ROWS if row.disturbance), key=lambda row: row.disturbance)
    clocked = [row for row in disturbed if row.disturbance.startswith(CLOCK)] if COMPILER else []
    disturbed = [row for row in disturbed if not row.disturbance.startswith(CLOCK)]
    with (
        world(tmp_path_factory.mktemp("calm")) as one,
        world(tmp_path_factory.mktemp("disturbed")) as other,
        ThreadPoolExecutor(1) as aside,
    ):
        first = aside.submit(play, one, calm)
        found = disturbing(other, disturbed)
        found |= first.result(PATIENCE * 4)
    if clocked:
        with world(tmp_path_factory.mktemp("clocked"), clock=True) as one:
            found |= disturbing(one, clocked)
            yield found
    else:
        yield found


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.number} {row.scenario}" for row in ROWS])
def test_arrival(played: dict[int, Future[Stage]], row: Row) -> None:
    if row.number not in played:
        missing("gcc is not installed; `sudo make peers` installs the peers")
    outcomes = played[row.number].result().outcomes()
    expected = [
        Outcome(verdict, reason, verdict == "ceiling", runs)
        for verdict, reason, runs in zip(row.verdict, row.reason, row.runs, strict=True)
    ]
    shown = [
        Outcome(
            one.evidence, wanted.reason if wanted.reason in one.reason else one.reason, one.doubtful, one.runs
        )
        for one, wanted in zip(outcomes, expected, strict=True)
    ]
    assert shown == expected


def test_the_table_holds_at_least_forty_scenarios() -> None:
    assert len(ROWS) >= 40
    assert len({row.scenario for row in ROWS}) == len(ROWS)
