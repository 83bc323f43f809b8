"""A process that dies is started again, later each time; one that lives long is started again at once."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from dicom_node.config import Config
from dicom_node.errors import PeerUnavailable
from dicom_node.node import supervisor
from dicom_node.node.supervisor import FIRST_DELAY, LONG_LIFE, Child
from tests.peers import free_port, wait_until


@pytest.fixture
def child(tmp_path: Path) -> Child:
    """A process that ends at once: its configuration isn't there."""
    return Child("coordinator", 0, tmp_path / "conf.yaml")


def end(child: Child) -> None:
    assert child.process is not None
    process = child.process
    wait_until(lambda: process.poll() is not None, seconds=60, what="the process ends")


def test_a_process_that_dies_at_once_is_started_again_later_and_later(child: Child) -> None:
    delays = []
    now = time.monotonic()
    for _life in range(3):
        child.watch(now)
        end(child)
        child.watch(now)
        assert child.process is None
        delays.append(child.start_again_at - now)
        child.watch(child.start_again_at - 0.01)
        assert child.process is None, "not before its time"
        now = child.start_again_at
    assert delays == sorted(delays)
    assert delays[-1] == pytest.approx(4 * delays[0])


def test_after_a_long_life_it_is_started_again_soon(child: Child) -> None:
    child.delay = 16.0
    child.start()
    end(child)
    now = time.monotonic() + LONG_LIFE + 1
    child.watch(now)
    assert child.start_again_at - now == pytest.approx(FIRST_DELAY)


def test_the_order_of_stopping_lets_nothing_new_in_first() -> None:
    assert list(supervisor.GRACE_SECONDS) == ["receiver", "worker", "coordinator"]


def holder(port: int) -> socket.socket:
    """Somebody who has the port."""
    return socket.create_server(("127.0.0.1", port))


def configured(port: int) -> Config:
    node = {"address": "127.0.0.1", "port": port}
    return Config.model_validate({"node": node, "receive": {"drain_timeout": 0}})


def test_the_port_is_waited_for_while_receivers_of_a_killed_life_end_what_they_have() -> None:
    port = free_port()
    theirs = holder(port)
    timer = threading.Timer(1.0, theirs.close)
    timer.start()
    with supervisor.listen_at_last(configured(port)) as ours:
        assert ours.getsockname()[1] == port
    timer.join()


def test_a_port_that_another_program_keeps_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "DRAINED_SECONDS", 0.5)
    port = free_port()
    with holder(port), pytest.raises(PeerUnavailable, match=f"{port}.*is another program there"):
        supervisor.listen_at_last(configured(port))
