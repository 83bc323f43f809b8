"""DCMTK's command-line programs as senders and receivers: storescu, storescp, echoscu, dsrdump."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.process import NO_NAGLE, free_port, need, running, wait_for_port


@dataclass(frozen=True, slots=True)
class Sent:
    """How a run of storescu ended.

    Attributes:
        statuses: the answer to each C-STORE, in DCMTK's words ("Success"), in order.
        output: all that it printed.
    """

    returncode: int
    statuses: tuple[str, ...]
    output: str

    @property
    def ok(self) -> bool:
        """Every file was sent, and every answer was success."""
        return self.returncode == 0 and all(status == "Success" for status in self.statuses)


def storescu_command(
    files: Sequence[Path],
    host: str,
    port: int,
    aec: str,
    *,
    aet: str = "STORESCU",
    options: Sequence[str] = (),
) -> list[str | Path]:
    """The command line of storescu: files and folders (searched throughout) to one application entity.

    With -R it proposes what the files need, and so SEG, SR and all else that DCMTK knows. Compressed
    files need their transfer syntax proposed too, such as options=["-xs"].
    """
    search = ["+sd", "+r"] if any(path.is_dir() for path in files) else []
    titles = ["-aet", aet, "-aec", aec]
    return [need("storescu"), "-v", "-R", "-nh", *search, *titles, *options, host, str(port), *files]


def storescu(
    files: Sequence[Path],
    host: str,
    port: int,
    aec: str,
    *,
    aet: str = "STORESCU",
    options: Sequence[str] = (),
    seconds: float = 300,
) -> Sent:
    """Sends files and folders with DCMTK in one association; see `storescu_command`."""
    done = _run(storescu_command(files, host, port, aec, aet=aet, options=options), seconds=seconds)
    output = done.stdout.decode(errors="replace")
    statuses = re.findall(r"Received Store Response \((.*)\)", output)
    return Sent(done.returncode, tuple(statuses), output)


def echoscu(host: str, port: int, aec: str, *, aet: str = "ECHOSCU") -> bool:
    """Whether an application entity answers DCMTK's C-ECHO with success."""
    command = [need("echoscu"), "-to", "10", "-aet", aet, "-aec", aec, host, str(port)]
    return _run(command, seconds=60).returncode == 0


@dataclass(frozen=True, slots=True)
class Storescp:
    """A running storescp and what it has received."""

    port: int
    ae_title: str
    folder: Path
    log: Path

    def files(self) -> list[Path]:
        """The files that it has received so far."""
        return sorted(self.folder.iterdir())


@contextmanager
def storescp(
    folder: Path,
    *,
    ae_title: str = "STORESCP",
    port: int | None = None,
    options: Sequence[str] = (),
    plain: bool = False,
) -> Iterator[Storescp]:
    """DCMTK's receiver for as long as the block lasts; takes every SOP class and transfer syntax it can.

    With `plain`, it takes what its options name.
    """
    received = folder / "received"
    received.mkdir(parents=True, exist_ok=True)
    peer = Storescp(port or free_port(), ae_title, received, folder / "storescp.log")
    titles = ["-aet", ae_title, "-od", received]
    everything = () if plain else ("-pm", "+xa")
    command = [need("storescp"), "-v", *everything, *titles, *options, str(peer.port)]
    with running(command, log=peer.log, environment=NO_NAGLE):
        wait_for_port(peer.port, "storescp")
        yield peer


def dsrdump(path: Path) -> str:
    """A structured report as DCMTK prints it. Raises ValueError with DCMTK's words where it can't be read."""
    done = _run([need("dsrdump"), path], seconds=60)
    output = done.stdout.decode(errors="replace")
    if done.returncode or re.search(r"^[EF]: ", output, re.MULTILINE):
        raise ValueError(output)
    return output


def _run(command: Sequence[object], *, seconds: float) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
        env={**os.environ, **NO_NAGLE},
    )
