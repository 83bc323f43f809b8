"""A receiver for a test: in a thread of the test's process, or as processes of its own that can be killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dicom_node.config.models import Config
from dicom_node.receive import listen, serve
from dicom_node.records import Instance, ReceiverEvent
from dicom_node.spool import Spool
from tests.peers import free_port, wait_until
from tests.peers.process import PATIENCE, listens

TITLE = "DICOMNODE"
PROGRAM = """
import json, socket, sys
from pathlib import Path
from dicom_node import log
from dicom_node.config.models import Config
from dicom_node.receive import serve
from dicom_node.spool import Spool
log.configure()
config, listener = Config.model_validate(json.loads(sys.argv[1])), socket.socket(fileno=int(sys.argv[3]))
serve(config, Spool(Path(sys.argv[2])), listener=listener, ready=lambda: print("ready", flush=True))
"""


@dataclass
class Scp:
    """What a test asks of a running receiver."""

    port: int
    spool: Spool
    config: Config
    stop: threading.Event = field(default_factory=threading.Event)

    def events(self) -> list[ReceiverEvent]:
        """Everything in the journals, in the order of their names."""
        return [
            event for name in self.spool.journals() for event in self.spool.read_journal(name, 0, 10**6)[0]
        ]

    def happenings(self) -> list[str]:
        """The names of what happened."""
        return [event.happening for event in self.events()]

    def stored(self) -> list[Instance]:
        """Instances that the journals call stored."""
        return [e.instance for e in self.events() if e.happening == "stored" and e.instance is not None]

    def wait_for(self, happening: str, count: int = 1, seconds: float = PATIENCE) -> None:
        """Waits until something has happened so often."""
        wait_until(
            lambda: self.happenings().count(happening) >= count,
            seconds=seconds,
            what=f"{count} x {happening}",
        )


def configuration(port: int, **receive: Any) -> dict[str, Any]:
    """A configuration as conf.yaml would hold it; the disk may be nearly full."""
    peers = receive.pop("peers", {})
    return {
        "node": {"ae_title": TITLE, "address": "127.0.0.1", "port": port},
        "receive": {"free_disk_mb": 0, **receive},
        "peers": peers,
    }


@contextmanager
def receiver(folder: Path, **receive: Any) -> Iterator[Scp]:
    """A receiver in a thread of this process."""
    port = free_port()
    config = Config.model_validate(configuration(port, **receive))
    spool = Spool(folder / "spool")
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=serve, args=(config, spool), kwargs={"ready": ready.set, "stop": stop}, daemon=True
    )
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield Scp(port, spool, config, stop)
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        spool.folders.close()


@dataclass
class Processes:
    """Receivers as processes of their own, which inherit one listening socket."""

    folder: Path
    count: int = 1
    receive: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    listener: socket.socket = field(init=False)
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener = listen(Config.model_validate(configuration(self.port)).node)

    def start(self) -> None:
        """Starts those that do not run, and waits until they are ready."""
        self.running = [process for process in self.running if process.poll() is None]
        fresh = [self._start() for _ in range(self.count - len(self.running))]
        self.running += fresh
        for process in fresh:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"

    def kill(self, index: int = 0) -> None:
        """Ends one without a word."""
        process = self.running.pop(index)
        process.kill()
        process.communicate()

    def end(self) -> None:
        """Ends all, in order."""
        self.listener.close()
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.communicate(timeout=PATIENCE)
        self.running = []

    def scp(self) -> Scp:
        """What they share."""
        config = Config.model_validate(configuration(self.port, **self.receive))
        return Scp(self.port, Spool(self.folder / "spool"), config)

    def _start(self) -> subprocess.Popen[str]:
        config, inherited = json.dumps(configuration(self.port, **self.receive)), self.listener.fileno()
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-c", PROGRAM, config, str(self.folder / "spool"), str(inherited)],
                pass_fds=(inherited,),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )


@contextmanager
def processes(folder: Path, count: int = 1, **receive: Any) -> Iterator[Processes]:
    """Receivers as processes, for as long as the block lasts."""
    group = Processes(folder, count, receive)
    try:
        group.start()
        wait_until(lambda: listens(group.port), what="the port")
        yield group
    finally:
        group.end()
