"""Finds peers' programs, starts them, and ends them."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where Debian puts daemons such as Orthanc, which a user's PATH leaves out."""

NO_NAGLE = {"TCP_NODELAY": "1"}
"""For DCMTK and Orthanc, which otherwise wait 40 ms for a delayed acknowledgement of each image."""

PATIENCE = 60.0
"""Seconds for what takes a moment, on a machine that has much else to do."""


def missing(reason: str) -> NoReturn:
    """Skips the running test with a reason; fails it where `CI=true`."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: everything that the tests need has to be there)", pytrace=False)
    pytest.skip(reason)


def need(program: str) -> Path:
    """The path of a Debian peer's program, or `missing`.

    The virtual environment's own folder is left out: pynetdicom puts programs of the names storescu,
    storescp and echoscu there, and the peers are to be DCMTK's.
    """
    scripts = Path(sysconfig.get_path("scripts")).resolve()
    folders = [*os.environ.get("PATH", "").split(os.pathsep), *SYSTEM_FOLDERS]
    foreign = [folder for folder in folders if folder and Path(folder).resolve() != scripts]
    found = shutil.which(program, path=os.pathsep.join(foreign))
    if found is None:
        missing(f"{program} is not installed; `sudo make peers` installs the peers")
    return Path(found)


def need_script(name: str) -> Path:
    """The path of a program that the test extra puts into the virtual environment, or `missing`."""
    script = Path(sysconfig.get_path("scripts")) / name
    if not script.exists():
        missing(f"{name} is not in the virtual environment; `make setup` installs it")
    return script


def free_port() -> int:
    """A TCP port of 127.0.0.1 that is free, and that nobody is given by chance before it is listened on.

    The kernel gives ports of its own range to whoever connects somewhere; this one is below that range. Tests
    that run beside this one draw from the same thousands.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(10_000, lowest) if lowest > 11_000 else range(lowest, 65_536)
    draw = random.SystemRandom()
    while True:
        port = draw.choice(ports)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def wait_until(
    ready: Callable[[], bool], *, seconds: float = PATIENCE, what: str, every: float = 0.05
) -> None:
    """Waits until `ready()` is true. Raises TimeoutError that says `what` was awaited."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not after {seconds:g} s")
        time.sleep(every)


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections on a port."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def wait_for_port(port: int, who: str) -> None:
    """Waits until something listens on a port."""
    wait_until(lambda: listens(port), what=f"{who} listens")


def start(
    arguments: Sequence[object],
    *,
    log: Path = Path(os.devnull),
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a program in a process group of its own; whoever calls it must `end` it.

    Args:
        log: where what it prints is added.
        environment: added to this process's environment.
        folder: where it runs.
    """
    with log.open("ab") as stream:
        return subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], *, seconds: float = 15.0) -> None:
    """Asks a process with SIGTERM to end, then ends whatever is left of its group with SIGKILL.

    Args:
        seconds: how long it may take; 0: it is not asked.
    """
    if seconds:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def running(
    arguments: Sequence[object],
    *,
    log: Path = Path(os.devnull),
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program, as `start` does, for as long as the block lasts."""
    process = start(arguments, log=log, environment=environment, folder=folder)
    try:
        yield process
    finally:
        end(process)
