"""A whole node as a site runs it: `dicom-node serve` on free ports, watched through its ledger."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from ruamel.yaml import YAML

from dicom_node.config import load
from dicom_node.ledger import Ledger
from dicom_node.node.negotiating import noted
from tests.peers import echoscu, free_port, wait_until

AE_TITLE = "TESTNODE"


@dataclass
class RunningNode:
    """`dicom-node serve` in a folder of its own.

    Attributes:
        folder: holds conf.yaml, the data folder and the log.
        pacs_port: where the destination "pacs" listens, if anything does.
        changes: sections of conf.yaml that differ from `_configuration`.
    """

    folder: Path
    pacs_port: int
    pacs_ae_title: str = "ORTHANC"
    changes: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def config_path(self) -> Path:
        return self.folder / "conf.yaml"

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text()

    @property
    def ledger(self) -> Ledger:
        return Ledger(f"sqlite:///{self.folder / 'data' / 'ledger.sqlite'}")

    def start(self) -> None:
        """Starts it and waits until it answers a C-ECHO."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.config_path.open("w") as file:
            YAML().dump(self._configuration() | dict(self.changes), file)
        command = [sys.executable, "-m", "dicom_node", "serve", "--config", str(self.config_path)]
        with (self.folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | dict(self.environment), cwd=self.folder
            )
        try:
            what = f"the node answers (see {self.folder / 'node.log'})"
            wait_until(self._answers, seconds=180, what=what)
        except BaseException:
            if self.process is not None and self.process.poll() is None:
                self.kill()
            raise

    def stop(self) -> None:
        """Ends it in order."""
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(timeout=240) == 0, self.log[-3000:]
            self.process = None

    def kill(self) -> None:
        """SIGKILL to the supervisor and all its processes, as in a power cut."""
        assert self.process is not None
        everyone = [
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(recursive=True),
        ]
        for one in everyone:
            one.kill()
        psutil.wait_procs(everyone, timeout=30)
        self.process.wait()
        self.process = None

    def role(self, name: str) -> psutil.Process:
        """The process of a role: "receiver", "coordinator", "worker"."""
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children():
            arguments = child.cmdline()
            if "dicom_node.node" in arguments and name in arguments:
                return child
        raise LookupError(name)

    def kill_role(self, name: str) -> int:
        """SIGKILL to one process; gives the pid that died."""
        victim = self.role(name)
        os.kill(victim.pid, signal.SIGKILL)
        return victim.pid

    def wait(self, ready: Any, *, seconds: float = 120, what: str) -> None:
        """Waits until `ready(views)` is true."""
        ledger = self.ledger
        try:
            wait_until(lambda: bool(ready(ledger.views)), seconds=seconds, what=what)
        except TimeoutError as late:
            raise TimeoutError(f"{late}; log: {self.log[-3000:]}") from None
        finally:
            ledger.close()

    def wait_asked(self) -> None:
        """Waits until every destination has been asked what it takes: a job waits for that, but not long."""
        config = load(self.config_path)
        wait_until(
            lambda: all(noted(config, name) is not None for name in config.destinations),
            what="every destination has been asked",
        )

    def wait_done(self, jobs: int, *, seconds: float = 180) -> list[dict[str, Any]]:
        """Waits until this many jobs ended and nothing is owed; gives the jobs, newest first."""
        self.wait(
            lambda views: len(views.recent_jobs()) >= jobs and views.idle(),
            seconds=seconds,
            what=f"{jobs} jobs done",
        )
        ledger = self.ledger
        rows = ledger.views.recent_jobs()
        ledger.close()
        return rows

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-3000:]
        return echoscu("127.0.0.1", self.port, AE_TITLE)

    def _configuration(self) -> dict[str, Any]:
        return {
            "node": {"ae_title": AE_TITLE, "address": "127.0.0.1", "port": self.port, "data": "data"},
            "web": {"port": self.web_port},
            "complete": {"settle": 0.5, "quiet": 3.0},
            "pipelines": {
                "lung": {"use": "pipelines.ct_lung:CtLung"},
                "brain": {"use": "pipelines.mr_brain:MrBrain"},
            },
            "routes": [
                {"name": "chest", "when": {"Modality": "CT"}, "run": "lung", "send": ["pacs"]},
                {"name": "head", "when": {"Modality": "MR"}, "run": "brain", "send": ["pacs"]},
            ],
            "destinations": {
                "pacs": {"ae_title": self.pacs_ae_title, "host": "127.0.0.1", "port": self.pacs_port}
            },
        }
