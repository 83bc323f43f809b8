"""Receivers and coordinator killed under load: what was acknowledged is in spool and ledger, once."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from sqlalchemy import select

from dicom_node.config import load
from dicom_node.ledger import Ledger
from dicom_node.ledger.tables import InstanceRow
from dicom_node.node.site import open_site
from dicom_node.node.supervisor import Child
from dicom_node.receive import listen
from dicom_node.spool import Spool
from tests.peers import free_port, wait_until
from tests.receive.scp import TITLE
from tests.receive.test_kills import SENDERS, Load

ROUNDS, SOAK_ROUNDS = 6, 200


class Processes:
    """Two receivers and a coordinator, as the supervisor starts them, without its patience after a death."""

    def __init__(self, folder: Path) -> None:
        self.port, path = free_port(), folder / "conf.yaml"
        node = {"ae_title": TITLE, "address": "127.0.0.1", "port": self.port, "data": "data"}
        receive = {"processes": 2, "free_disk_mb": 0, "artim_timeout": 1}
        with path.open("w") as file:
            YAML().dump({"node": node, "receive": receive, "complete": {"settle": 0.2, "quiet": 1.0}}, file)
        self.config = load(path)
        with open_site(path) as site:
            site.ledger.migrate()
            self.spool, self.database = Path(site.spool.root), site.ledger.database.engine.url
        self.listener = listener = listen(self.config.node)
        self.children = [
            Child("receiver", 0, path, listener),
            Child("receiver", 1, path, listener),
            Child("coordinator", 0, path),
        ]
        for child in self.children:
            child.start()
            assert child.ready.wait(60)

    def kill(self, child: Child) -> None:
        """SIGKILL, and the next life at once."""
        assert child.process is not None
        child.process.kill()
        child.wait(time.monotonic() + 60)
        child.start()

    def stop(self) -> None:
        """Ends all in order, the coordinator last."""
        self.listener.close()
        for child in self.children:
            assert child.ready.wait(60)
            child.terminate()
            child.wait(time.monotonic() + 60)


def kill_rounds(folder: Path, rounds: int) -> tuple[Processes, Load, Counter[str]]:
    """Kills one process, or all at once, again and again while four senders send."""
    processes, killed = Processes(folder), Counter[str]()
    load, chance = Load(processes.port), random.Random(rounds)
    senders = [threading.Thread(target=load.send, args=(number,)) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(rounds):
        time.sleep(chance.uniform(0.1, 2.5))
        victims = processes.children if chance.random() < 0.1 else [chance.choice(processes.children)]
        for child in victims:
            processes.kill(child)
            killed[child.role] += 1
    wait_until(lambda: all(c.ready.is_set() for c in processes.children), seconds=60, what="all are up")
    load.stop.set()
    for sender in senders:
        sender.join(60)
        assert not sender.is_alive()
    return processes, load, killed


def check(processes: Processes, load: Load, killed: Counter[str], rounds: int) -> None:
    spool, ledger = Spool(processes.spool), Ledger(str(processes.database))
    with suppress(TimeoutError):  # the counts below say what is missing
        wait_until(lambda: load.acknowledged <= set(_rows(ledger)), seconds=120, what="all is in the ledger")
    processes.stop()
    rows = _rows(ledger)
    ledger.close()
    stored = {one.sop_instance_uid: spool.path(one.path) for one in spool.walk()}
    beside = list(spool.conflicts())
    differing = {uid for uid, path in stored.items() if not path.read_bytes().endswith(load.data(uid))}
    twice = [uid for uid, count in Counter(rows).items() if count > 1]
    unindexed = load.acknowledged - set(rows)
    print(
        f"{rounds} rounds, killed {dict(killed)}, {load.broken} broken connections, "
        f"{len(load.acknowledged)} acknowledged, {len(stored)} in the spool, {len(rows)} in the ledger; "
        f"lost {len(load.acknowledged - set(stored))}, not in the ledger {len(unindexed)}, "
        f"differing {len(differing)}, beside {len(beside)}, twice {len(twice)}"
    )
    assert load.acknowledged <= set(stored)
    assert set(rows) == set(stored)
    assert (differing, beside, twice) == (set(), [], [])
    assert len(load.acknowledged) >= rounds


def _rows(ledger: Ledger) -> list[str]:
    with ledger.database.read() as conn:
        return list(conn.scalars(select(InstanceRow.sop_instance_uid)))


@pytest.mark.fault
def test_nothing_acknowledged_is_missing_in_spool_or_ledger(tmp_path: Path) -> None:
    check(*kill_rounds(tmp_path, ROUNDS), ROUNDS)


@pytest.mark.soak
@pytest.mark.fault
@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_missing_after_hundreds_of_kills(tmp_path: Path) -> None:
    check(*kill_rounds(tmp_path, SOAK_ROUNDS), SOAK_ROUNDS)
