"""The supervisor: starts the node's processes, watches them, starts them again, stops them in order."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import structlog

from dicom_node.config import Config, load, placed
from dicom_node.errors import PeerUnavailable
from dicom_node.node.alone import alone
from dicom_node.node.folders import processes_file
from dicom_node.node.site import open_site, ready_run_folder
from dicom_node.node.surroundings import lacks
from dicom_node.receive import listen

log = structlog.get_logger()

Role = Literal["receiver", "coordinator", "worker"]
GRACE_SECONDS: dict[Role, float] = {"receiver": 30.0, "worker": 60.0, "coordinator": 30.0}
"""How long each may take to end in order; also the order in which they are stopped."""
WATCH_SECONDS = 0.1
FIRST_DELAY, LAST_DELAY = 0.2, 30.0
"""Seconds before a process that died is started again: doubled each time, first again after a long life."""
LONG_LIFE = 60.0
DRAINED_SECONDS, DRAINED_POLL_SECONDS = 5.0, 0.5
"""After a receiver's time to drain, for its process to end; and between looks at the port."""


@dataclass
class Child:
    """One process of the node, through all its lives."""

    role: Role
    index: int
    config_path: Path
    listener: socket.socket | None = None
    """What a receiver inherits; it outlives each receiver, and so do the connections in its queue."""
    process: subprocess.Popen[bytes] | None = None
    ready: threading.Event = field(default_factory=threading.Event)
    started: float = 0.0
    start_again_at: float = 0.0
    delay: float = FIRST_DELAY
    lives: int = 0

    def start(self) -> None:
        """Starts the process; its standard input stays open as long as this process lives."""
        self.ready = threading.Event()
        inherited = () if self.listener is None else (self.listener.fileno(),)
        words = [self.role, str(self.index), str(self.config_path), *map(str, inherited)]
        command = [sys.executable, "-m", "dicom_node.node", *words]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=inherited
        )
        self.started = time.monotonic()
        self.lives += 1
        threading.Thread(target=_await_ready, args=(self.process, self.ready), daemon=True).start()
        log.info("process_started", role=self.role, index=self.index, pid=self.process.pid)

    def watch(self, now: float) -> bool:
        """Starts the process again where it has ended, after a delay; True where anything changed."""
        if self.process is None:
            if now < self.start_again_at:
                return False
            self.start()
            return True
        status = self.process.poll()
        if status is None:
            return False
        self._close_pipes()
        self.delay = FIRST_DELAY if now - self.started > LONG_LIFE else min(self.delay * 2, LAST_DELAY)
        self.start_again_at = now + self.delay
        self.process = None
        log.error("process_ended", role=self.role, index=self.index, status=status, again_in_s=self.delay)
        return True

    def as_json(self) -> dict[str, Any]:
        """How it stands, for the status page."""
        pid = self.process.pid if self.process is not None else None
        return {"role": self.role, "index": self.index, "pid": pid, "lives": self.lives}

    def terminate(self) -> None:
        """Asks the process to end in order."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, until: float) -> None:
        """Waits for its end, and ends it hard after the grace: its next life gives back what it held."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process_killed", role=self.role, index=self.index)
            self.process.kill()
            self.process.wait()
        self._close_pipes()
        self.process = None

    def _close_pipes(self) -> None:
        """Closes this side of the pipe that ties the process to us."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


def _await_ready(process: subprocess.Popen[bytes], ready: threading.Event) -> None:
    """Reads the line that a process writes when it is ready."""
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    with process.stdout as out:
        if out.readline().strip() == b"ready":
            ready.set()
        out.read()


def supervise(config_path: Path, stop: threading.Event, ready: Callable[[], None] = lambda: None) -> None:
    """Runs the whole node until `stop` is set.

    Args:
        config_path: conf.yaml.
        stop: set it to end the node in order.
        ready: called once when receivers and coordinator are ready; workers may still load models.

    Raises:
        ConfigError, Permanent, Transient: the node can't start as it is configured.
    """
    config = load(config_path, pipelines=True)
    _look_around(config_path, config)
    data = config.node.data
    refusal = f"another node already works in the data folder {data} (node.data): each needs one of its own"
    with alone(ready_run_folder(config) / "node.lock", refusal):
        _watch(_children(config_path), processes_file(config), stop, ready)


def _look_around(config_path: Path, config: Config) -> None:
    """Logs what this machine lacks. Raises ConfigError where the node can't do without it."""
    found = list(lacks(config))
    if needed := [one.fault for one in found if one.needed]:
        raise placed(config_path, needed)
    for one in found:
        log.warning("configuration_note", note=str(one.fault))


def _watch(children: Sequence[Child], note: Path, stop: threading.Event, ready: Callable[[], None]) -> None:
    """Starts the processes, and starts again what ends, until `stop` is set."""
    for child in children:
        child.start()
    _note(children, note)
    announced = False
    try:
        while not stop.wait(WATCH_SECONDS):
            changed = [child.watch(time.monotonic()) for child in children]
            if any(changed):
                _note(children, note)
            if not announced and all(c.ready.is_set() for c in children if c.role != "worker"):
                announced = True
                log.info("node_ready")
                ready()
    finally:
        _stop(children)


def _note(children: Sequence[Child], file: Path) -> None:
    """Writes how the processes stand, whole or not at all."""
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps([child.as_json() for child in children]))
    draft.replace(file)


def _children(config_path: Path) -> list[Child]:
    """The processes that the configuration asks for; the ledger's schema is brought up to date before."""
    with open_site(config_path) as site:
        site.ledger.migrate()
        config = site.config
    listener = listen_at_last(config)
    return [
        *(Child("receiver", index, config_path, listener) for index in range(config.receive.processes)),
        Child("coordinator", 0, config_path),
        *(Child("worker", index, config_path) for index in range(len(config.node.devices))),
    ]


def listen_at_last(config: Config) -> socket.socket:
    """Listens on the port; waits for receivers of a life that was killed, which end what they have in hand.

    Raises PeerUnavailable where somebody else holds the port.
    """
    until = time.monotonic() + config.receive.drain_timeout + DRAINED_SECONDS
    waits = False
    while True:
        try:
            return listen(config.node)
        except PeerUnavailable as fault:
            if time.monotonic() >= until:
                raise
            if not waits:
                log.warning("port_taken", error=str(fault), waits_s=round(until - time.monotonic()))
            waits = True
            time.sleep(DRAINED_POLL_SECONDS)


def _stop(children: Sequence[Child]) -> None:
    """Ends receivers first, so that nothing new comes; then workers; the coordinator last."""
    for role, grace in GRACE_SECONDS.items():
        group = [child for child in children if child.role == role]
        for child in group:
            child.terminate()
        until = time.monotonic() + grace
        for child in group:
            child.wait(until)
            if child.listener is not None:
                child.listener.close()
    log.info("node_stopped")
