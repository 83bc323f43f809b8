"""Receivers killed with SIGKILL under load: what was acknowledged is there, once, and in the journals."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.receive.scp import Processes, processes
from tests.receive.upper_layer import Sender, data_set

ROUNDS, SOAK_ROUNDS = 4, 200
SENDERS = 4
PAUSE = 0.02
"""Seconds between images: enough of them, and few enough to look at each afterwards."""


@dataclass
class Load:
    """Senders that go on sending, and remember what they were acknowledged."""

    port: int
    sizes: dict[str, int] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)
    broken: int = 0

    def send(self, number: int) -> None:
        """One sender: opens associations and stores, whatever happens; repeats what was not acknowledged."""
        chance, serial, owed = random.Random(number), 0, ""
        while not self.stop.is_set():
            try:
                with Sender(self.port, timeout=5) as sender:
                    sender.associate(calling=f"SENDER{number}")
                    for _ in range(chance.randint(1, 40)):
                        if self.stop.is_set():
                            return
                        if not owed:
                            serial += 1
                            owed = f"1.2.{number}.{serial}"
                            self.sizes[owed] = 2 * chance.randint(10, 60_000)
                        if sender.store(owed, self.data(owed)) == 0:
                            self.acknowledged.add(owed)
                            owed = ""
                            time.sleep(PAUSE)
            except (OSError, AssertionError):
                self.broken += 1
                time.sleep(0.02)

    def data(self, uid: str) -> bytes:
        return data_set(uid, series=f"1.2.5.{uid.split('.')[2]}", size=self.sizes[uid])


def kill_rounds(folder: Path, rounds: int) -> tuple[Processes, Load]:
    """Kills one of two receivers again and again while four senders send."""
    with processes(folder, count=2, artim_timeout=1) as receivers:
        load = Load(receivers.port)
        threads = [threading.Thread(target=load.send, args=(number,)) for number in range(SENDERS)]
        for thread in threads:
            thread.start()
        chance = random.Random(rounds)
        for _ in range(rounds):
            time.sleep(chance.uniform(0.05, 0.6))
            receivers.kill(chance.randrange(len(receivers.running)))
            receivers.start()
        time.sleep(0.3)
        load.stop.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    with processes(folder):  # one more start tidies what the last kill left
        pass
    return receivers, load


def check(receivers: Processes, load: Load, rounds: int) -> None:
    scp = receivers.scp()
    stored = {one.sop_instance_uid: one for one in scp.spool.walk()}
    journaled = Counter(one.path for one in scp.stored())
    lost = load.acknowledged - set(stored)
    unread = {uid for uid in load.acknowledged if journaled[stored[uid].path] == 0} if not lost else set()
    differing = {
        uid for uid, one in stored.items() if not _ends_with(scp.spool.path(one.path), load.data(uid))
    }
    beside = list(scp.spool.conflicts())
    print(
        f"{rounds} kills, {load.broken} broken connections, {len(load.acknowledged)} acknowledged, "
        f"{len(stored)} in the spool, {len(journaled)} in the journals; lost {len(lost)}, "
        f"not in the journals {len(unread)}, differing {len(differing)}, beside {len(beside)}"
    )
    assert lost == set()
    assert unread == set()
    assert differing == set()
    assert beside == []
    assert list((scp.spool.root / "incoming").glob("[!.]*")) == []
    assert len(load.acknowledged) >= rounds


def _ends_with(path: Path, data: bytes) -> bool:
    return path.read_bytes().endswith(data)


@pytest.mark.fault
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    check(*kill_rounds(tmp_path, ROUNDS), ROUNDS)


@pytest.mark.soak
@pytest.mark.fault
@pytest.mark.timeout(1800)
def test_nothing_acknowledged_is_lost_in_hundreds_of_kills(tmp_path: Path) -> None:
    check(*kill_rounds(tmp_path, SOAK_ROUNDS), SOAK_ROUNDS)


@pytest.mark.fault
def test_a_dead_receiver_is_known_to_be_dead(tmp_path: Path) -> None:
    with processes(tmp_path) as receivers:
        scp = receivers.scp()
        (journal,) = scp.spool.journals()
        with Sender(receivers.port) as sender:
            sender.associate()
            assert sender.store("1.2.6") == 0
            assert scp.spool.journal_owner_alive(journal)
            receivers.kill()
            assert not scp.spool.journal_owner_alive(journal)
        assert scp.happenings() == ["opened", "stored"]


@pytest.mark.fault
def test_a_stopped_receiver_lets_the_association_in_hand_finish(tmp_path: Path) -> None:
    with processes(tmp_path) as receivers:
        with Sender(receivers.port) as sender:
            sender.associate()
            assert sender.store("1.2.6") == 0
            receivers.running[0].terminate()
            time.sleep(0.5)
            assert sender.store("1.2.7") == 0
        assert receivers.running[0].wait(60) == 0
        assert receivers.scp().happenings() == ["opened", "stored", "stored", "closed"]


@pytest.mark.fault
def test_whoever_connects_while_the_only_receiver_is_dead_is_served_by_its_next_life(tmp_path: Path) -> None:
    with processes(tmp_path) as receivers:
        receivers.kill()
        with Sender(receivers.port) as sender:
            receivers.start()
            sender.associate()
            assert sender.store("1.2.6") == 0


@pytest.mark.fault
def test_several_processes_share_the_port_and_the_work(tmp_path: Path) -> None:
    with processes(tmp_path, count=2) as receivers:
        for number in range(12):
            with Sender(receivers.port) as one, Sender(receivers.port) as other:
                for name, sender in (("1", one), ("2", other)):
                    sender.associate()
                    assert sender.store(f"1.2.6.{number}.{name}") == 0
        scp = receivers.scp()
        shares = [len(scp.spool.read_journal(name, 0)[0]) for name in scp.spool.journals()]
        assert len(shares) == 2
        assert min(shares) > 0
        assert len(list(scp.spool.walk())) == 24
