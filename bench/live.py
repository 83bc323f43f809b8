"""A running node: how long after the last word of a sender does the job of its series begin?

Series are sent by DCMTK's storescu, requests by pynetdicom; the job's start is when the worker claimed it, as
the ledger notes it, and the release when the receiver saw it. What a timer of 60 s since the last image would
have taken on the same series is worked out from the same moments.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt
from pynetdicom.association import Association
from ruamel.yaml import YAML

from bench.harness import OURS, Case, Unavailable
from dicom_node.ledger import Ledger
from dicom_node.phantom import axial_grid, write_series
from dicom_node.pipeline import MILLILITRE, VOLUME, Finding, Measurement, Pipeline
from dicom_node.pipeline import Case as Given

TITLE = "DICOMNODE"
COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
MPPS = "1.2.840.10008.3.1.2.3.3"
LIVE = "running node"
TIMER = 60.0
SERIES, QUICK_SERIES = 21, 3
"""Measured one after the other; their median is reported."""
SLICES = 30
PATIENCE = 120.0
UNDECIDED = 1000
"""Slices whose numbers begin here may be preceded by others: the geometry decides nothing."""


class Seen(Pipeline):
    """Measures the extent of a volume: what it costs is not the question."""

    name, version, title = "seen", "1", "Extent of the volume"

    def run(self, case: Given) -> Iterable[Finding]:
        """Yields the volume's extent."""
        yield Measurement(VOLUME, case.volume.array.size * case.volume.grid.voxel_ml, MILLILITRE)


@dataclass(frozen=True)
class Node:
    """A node that serves: its port, its ledger, and a folder for images."""

    port: int
    ledger: Ledger
    folder: Path


@dataclass(frozen=True)
class Took:
    """Seconds from a series' last word to its job's start, and what a timer would have taken from there."""

    ours: float
    timer: float


@contextmanager
def serving() -> Iterator[Node]:
    """Runs `dicom-node serve` as it comes, but for its port. Raises Unavailable without DCMTK."""
    if shutil.which("storescu", path="/usr/bin") is None:
        raise Unavailable("storescu is not installed")
    with tempfile.TemporaryDirectory(prefix="bench-live-") as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        config = {
            "node": {"ae_title": TITLE, "address": "127.0.0.1", "port": port, "data": "data"},
            "web": None,
            "pipelines": {"seen": {"use": "bench.live:Seen"}},
            "routes": [{"name": "all", "run": "seen"}],
        }
        YAML().dump(config, folder / "conf.yaml")
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
        command = [sys.executable, "-m", "dicom_node", "serve", "--config", str(folder / "conf.yaml")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        ledger = Ledger(f"sqlite:///{folder / 'data' / 'ledger.sqlite'}")
        try:
            node = Node(port, ledger, folder)
            _until(lambda: _answers(port))
            released(node)  # the worker is there
            yield node
        finally:
            ledger.close()
            process.terminate()
            process.wait(PATIENCE)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def released(node: Node) -> Took:
    """One association, released; the slices make a whole stack."""
    files = _slices(node, 0)
    _send(node, files)
    uid = _series(files)
    started = _started(node, uid)
    held = node.ledger.holdings.held(uid)
    assert held is not None  # noqa: S101 - its job was started
    (assoc,) = held.associations
    assert assoc.ended_at is not None  # noqa: S101 - likewise
    since_last = (assoc.ended_at - held.last_image_at).total_seconds()
    return Took((started - assoc.ended_at).total_seconds(), TIMER - since_last)


def committed(node: Node) -> Took:
    """The geometry decides nothing; then storage commitment is asked for."""
    files = _slices(node, UNDECIDED)
    _send(node, files)
    with _associated(node) as assoc:
        ds = Dataset()
        ds.TransactionUID = generate_uid()
        ds.ReferencedSOPSequence = _references(files)
        return _said(
            node, files, lambda: assoc.send_n_action(ds, 1, COMMITMENT, COMMITMENT_INSTANCE)[0].Status
        )


def performed(node: Node) -> Took:
    """The geometry decides nothing; then the modality reports the procedure step completed."""
    files = _slices(node, UNDECIDED)
    step = generate_uid()
    with _associated(node) as assoc:
        begun, done, series = Dataset(), Dataset(), Dataset()
        begun.PerformedProcedureStepStatus = "IN PROGRESS"
        assoc.send_n_create(begun, MPPS, step)
        _send(node, files)
        done.PerformedProcedureStepStatus = "COMPLETED"
        series.SeriesInstanceUID, series.ReferencedImageSequence = _series(files), _references(files)
        done.PerformedSeriesSequence = [series]
        return _said(node, files, lambda: assoc.send_n_set(done, MPPS, step)[0].Status)


def _said(node: Node, files: list[Path], say: Callable[[], int]) -> Took:
    """From the moment before a request goes out."""
    asked = datetime.now(UTC)
    if status := say():
        raise RuntimeError(f"the node answered 0x{status:04X}")
    started = _started(node, _series(files))
    held = node.ledger.holdings.held(_series(files))
    assert held is not None  # noqa: S101 - its job was started
    return Took((started - asked).total_seconds(), TIMER - (asked - held.last_image_at).total_seconds())


def _slices(node: Node, first_number: int) -> list[Path]:
    grid = axial_grid((SLICES, 64, 64), (2.0, 1.0, 1.0))
    folder = node.folder / "images" / generate_uid()
    files = write_series(np.zeros(grid.shape, np.int16), grid, folder, "CT")
    if first_number:
        for number, path in enumerate(files, first_number):
            ds = dcmread(path)
            ds.InstanceNumber = number
            ds.save_as(path)
    return files


def _send(node: Node, files: list[Path]) -> None:
    target = ["-aec", TITLE, "-aet", "BENCH" + generate_uid()[-8:], "127.0.0.1", str(node.port)]
    environment = os.environ | {"TCP_NODELAY": "1"}
    subprocess.run(["/usr/bin/storescu", *target, *files], check=True, timeout=PATIENCE, env=environment)


@contextmanager
def _associated(node: Node) -> Iterator[Association]:
    """An association for requests, of a sender that was never met."""
    ae = AE("BENCH" + generate_uid()[-8:])
    for uid in (COMMITMENT, MPPS):
        ae.add_requested_context(uid, ExplicitVRLittleEndian)
    assoc = ae.associate(
        "127.0.0.1",
        node.port,
        ae_title=TITLE,
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, lambda _event: (0, None))],
    )
    if not assoc.is_established:
        raise RuntimeError("the node takes no association")
    try:
        yield assoc
    finally:
        assoc.release()


def _references(files: list[Path]) -> list[Dataset]:
    items = []
    for path in files:
        image, item = dcmread(path, stop_before_pixels=True), Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        items.append(item)
    return items


def _series(files: list[Path]) -> str:
    return str(dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)


def _started(node: Node, series_instance_uid: str) -> datetime:
    """When the worker claimed the job of a series, once it has ended: the next one finds the worker idle."""

    def job() -> datetime | None:
        for row in node.ledger.views.recent_jobs(5):
            if row["series_instance_uid"] == series_instance_uid and row["finished_at"] is not None:
                started: datetime = row["started_at"]
                return started
        return None

    _until(lambda: job() is not None)
    started = job()
    assert started is not None  # noqa: S101 - it was a moment ago
    return started


def _until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError("the node does not do what is waited for")
        time.sleep(0.2)


def cases(quick: bool) -> Iterator[Case]:
    """Medians from the release, from a request of commitment, and from MPPS."""
    words = {
        "job's start after the release, whole geometry": released,
        "job's start after a commitment request": committed,
        "job's start after MPPS completed": performed,
    }
    with serving() as node:
        for name, measure in words.items():
            took = [measure(node) for _ in range(QUICK_SERIES if quick else SERIES)]
            ours, timer = (
                statistics.median(values) for values in zip(*((t.ours, t.timer) for t in took), strict=True)
            )
            subjects = {
                OURS: lambda seconds=ours: seconds,
                f"timer of {TIMER:g} s": lambda seconds=timer: seconds,
            }
            yield Case(f"{LIVE}: {name}", "s", subjects, "less")
