"""The receivers that bench/receive.py compares: ours and the peers, each started fresh on its own port.

Two more show the floor: what fsync costs a reader that does nothing else, and what it costs storescp.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from bench.harness import OURS, Unavailable

TITLE = "RECEIVER"
NO_NAGLE = {"TCP_NODELAY": "1"}
PROCESSES = 2
"""Of ours: as many as the machine that the figures are for has cores."""
_OURS = """
import json, os, socket, sys
from pathlib import Path
from dicom_node import log
from dicom_node.config.models import Config
from dicom_node.receive import listen, serve
from dicom_node.spool import Spool
log.configure()
config = Config.model_validate(json.loads(sys.argv[1]))
listener = listen(config.node)
for _ in range(config.receive.processes - 1):
    if not os.fork():
        break
serve(config, Spool(Path(sys.argv[2])), listener=listener)
"""
_PLAIN = """
import sys
from pathlib import Path
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification
folder = Path(sys.argv[2])
def store(event):
    ds = event.dataset
    ds.file_meta = event.file_meta
    ds.save_as(folder / ds.SOPInstanceUID, enforce_file_format=True)
    return 0x0000
ae = AE("RECEIVER")
ae.maximum_associations = 100
ae.supported_contexts = AllStoragePresentationContexts
ae.add_supported_context(Verification)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, store)])
"""


def ours(port: int, folder: Path) -> list[Sequence[str | Path]]:
    """Our receiver processes, as the supervisor runs them: fsync, checks and limits on."""
    node = {"ae_title": TITLE, "address": "127.0.0.1", "port": port}
    config = json.dumps({"node": node, "receive": {"processes": PROCESSES}})
    return [[sys.executable, "-c", _OURS, config, folder / "spool"]]


def storescp(port: int, folder: Path) -> list[Sequence[str | Path]]:
    """DCMTK as it comes."""
    return [[program("storescp"), "-od", folder, str(port)]]


def storescp_fork(port: int, folder: Path) -> list[Sequence[str | Path]]:
    """DCMTK tuned: a process for each association, bytes kept as they are, large PDUs."""
    return [[program("storescp"), "--fork", "+B", "-pdu", "131072", "-od", folder, str(port)]]


def orthanc(port: int, folder: Path) -> list[Sequence[str | Path]]:
    """Orthanc as it comes."""
    return _orthanc(port, folder, {})


def orthanc_fast(port: int, folder: Path) -> list[Sequence[str | Path]]:
    """Orthanc without fsync and checksums, with large PDUs."""
    fast = {"SyncStorageArea": False, "StoreMD5ForAttachments": False, "MaximumPduLength": 131_072}
    return _orthanc(port, folder, fast)


def pynetdicom(port: int, folder: Path) -> list[Sequence[str | Path]]:
    """Pynetdicom with the handler that its documentation shows."""
    return [[sys.executable, "-c", _PLAIN, str(port), folder]]


def bare_fsync(port: int, folder: Path) -> list[Sequence[str | Path]]:
    """What Python and fsync cost at least: reads, writes, fsyncs, answers, checks nothing."""
    return [[sys.executable, "-m", "bench.bare", str(port), folder]] * PROCESSES


def storescp_fsync(port: int, folder: Path) -> list[Sequence[str | Path]]:
    """DCMTK as it comes, made to fsync each file and its folder, as we do."""
    return [["env", f"LD_PRELOAD={_fsync_on_close(folder)}", *command] for command in storescp(port, folder)]


def _fsync_on_close(folder: Path) -> Path:
    """The library to preload, compiled. Raises Unavailable where there is no compiler."""
    library, source = folder / "fsync_on_close.so", Path(__file__).with_name("fsync_on_close.c")
    subprocess.run([program("cc"), "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


RECEIVERS: Mapping[str, Callable[[int, Path], list[Sequence[str | Path]]]] = {
    OURS: ours,
    "storescp": storescp,
    "storescp-fork": storescp_fork,
    "orthanc": orthanc,
    "orthanc-fast": orthanc_fast,
    "pynetdicom": pynetdicom,
}
FLOORS: Mapping[str, Callable[[int, Path], list[Sequence[str | Path]]]] = {
    "storescp-fsync": storescp_fsync,
    "bare-fsync": bare_fsync,
}
"""For images alone: the durability that ours promises, at the least that it can cost."""


class Receiver:
    """A running receiver: its port, and what its processes have used."""

    def __init__(self, port: int, processes: Sequence[psutil.Process]) -> None:
        self.port, self._processes = port, processes
        self._peaks: dict[int, int] = {}
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._sample, daemon=True)
        self._watch.start()

    def cpu_seconds(self) -> float:
        """User and system time of all its processes, those that have ended among them."""
        total = 0.0
        for process in self._tree():
            with suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:4])
        return total

    def peak_megabytes(self) -> float:
        """The largest resident memory that one of its processes ever had."""
        self._sample_once()
        return max(self._peaks.values()) / 1024

    def close(self) -> None:
        """Ends the sampling."""
        self._stop.set()
        self._watch.join()

    def _tree(self) -> list[psutil.Process]:
        found = list(self._processes)
        for process in self._processes:
            with suppress(psutil.NoSuchProcess):
                found += process.children(recursive=True)
        return found

    def _sample(self) -> None:
        while not self._stop.wait(0.1):
            self._sample_once()

    def _sample_once(self) -> None:
        for process in self._tree():
            with suppress(OSError, StopIteration):
                status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
                line = next(line for line in status if line.startswith("VmHWM"))
                self._peaks[process.pid] = int(line.split()[1])


@contextmanager
def running(name: str, folder: Path, environment: Mapping[str, str]) -> Iterator[Receiver]:
    """A receiver for as long as the block lasts; what it received is deleted. Raises Unavailable."""
    target = folder / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    port = free_port()
    commands = {**RECEIVERS, **FLOORS}[name](port, target)
    env = {**{key: value for key, value in os.environ.items() if key not in NO_NAGLE}, **environment}
    processes = [_start(command, env) for command in commands]
    try:
        _wait(port, processes)
        receiver = Receiver(port, [psutil.Process(process.pid) for process in processes])
        yield receiver
        receiver.close()
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGTERM)
        for process in processes:
            process.wait()
        shutil.rmtree(target, ignore_errors=True)


def _start(command: Sequence[str | Path], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    arguments = [str(part) for part in command]
    return subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, start_new_session=True
    )


def _orthanc(port: int, folder: Path, settings: Mapping[str, object]) -> list[Sequence[str | Path]]:
    config = folder / "orthanc.json"
    plain = {
        "DicomAet": TITLE,
        "DicomPort": port,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpServerEnabled": False,
    }
    config.write_text(json.dumps({**plain, **settings}))
    return [[program("Orthanc"), config]]


def program(name: str) -> str:
    """The path of a peer's program; the virtual environment's own come last. Raises Unavailable."""
    found = shutil.which(name, path=f"/usr/bin:/usr/local/bin:/usr/sbin:{os.environ.get('PATH', '')}")
    if found is None:
        raise Unavailable(f"{name} is not installed")
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait(port: int, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Until it accepts connections; ours until each of its processes had time to."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            break
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            time.sleep(1.0 if len(processes) > 1 else 0.3)
            return
        time.sleep(0.05)
    raise Unavailable("it does not start")
