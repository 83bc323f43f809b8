"""A process that dies is started again, later each time; one that lives long is started again at once."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dicom_node.config import Config
from dicom_node.errors import PeerUnavailable, Permanent
from dicom_node.node import supervisor
from dicom_node.node.alone import alone
from dicom_node.node.supervisor import FIRST_DELAY, LONG_LIFE, Child
from tests.conftest import CHECKOUT
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


def conf(folder: Path, **node: object) -> Path:
    """A node's conf.yaml on free ports, with the data folder `folder`/data."""
    path = folder / f"conf{free_port()}.yaml"
    sections = {"node": {"address": "127.0.0.1", "port": free_port(), "data": "data", **node}, "web": None}
    path.write_text(json.dumps(sections))
    return path


def serve(path: Path) -> subprocess.Popen[str]:
    """`dicom-node serve`; what it writes goes to one pipe."""
    command = [sys.executable, "-m", "dicom_node", "serve", "--config", str(path)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=CHECKOUT
    )


def test_a_second_node_on_a_data_folder_is_refused_before_anything_starts(tmp_path: Path) -> None:
    first, second = conf(tmp_path), conf(tmp_path)
    stop, ready = threading.Event(), threading.Event()
    node = threading.Thread(target=supervisor.supervise, args=(first, stop, ready.set))
    node.start()
    try:
        assert ready.wait(120)
        refused = serve(second)
        said, _ = refused.communicate(timeout=120)
    finally:
        stop.set()
        node.join()
    assert refused.returncode == 1
    assert f"another node already works in the data folder {tmp_path / 'data'}" in " ".join(said.split())
    assert "process_started" not in said


def test_the_data_folder_is_free_again_however_a_node_ended(tmp_path: Path) -> None:
    lock = tmp_path / "node.lock"
    holds = "from dicom_node.node.alone import alone; from pathlib import Path\n" + (
        f"with alone(Path({str(lock)!r}), 'no'): print('held', flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", holds], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(Permanent, match="held elsewhere"), alone(lock, "held elsewhere"):
        pass
    other.kill()
    other.communicate()
    with alone(lock, "held elsewhere"):
        pass
