"""Those who send: DCMTK's storescu and dcmsend, pynetdicom, and the node's own sender."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE
from pynetdicom.association import Association

from dicom_node.config import DestinationConfig
from dicom_node.deliver import send
from dicom_node.records import Delivery
from tests.journey.node import AE_TITLE
from tests.peers import need, storescu
from tests.peers.reactor import Reports, rested, steady

COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
MPPS = "1.2.840.10008.3.1.2.3.3"


def with_storescu(files: Sequence[Path], port: int, title: str) -> None:
    """DCMTK's storescu, one association, released."""
    sent = storescu(files, "127.0.0.1", port, AE_TITLE, aet=title)
    assert sent.ok, sent.output


def with_storescu_aborting(files: Sequence[Path], port: int, title: str) -> None:
    """The same, aborted once all is sent."""
    sent = storescu(files, "127.0.0.1", port, AE_TITLE, aet=title, options=["--abort"])
    assert sent.statuses == ("Success",) * len(files), sent.output


def with_dcmsend(files: Sequence[Path], port: int, title: str) -> None:
    """DCMTK's dcmsend, which opens a second association for what the first did not propose."""
    command = [need("dcmsend"), "-aet", title, "-aec", AE_TITLE, "127.0.0.1", str(port), *files]
    subprocess.run(command, check=True, timeout=300, capture_output=True)


def with_pynetdicom(files: Sequence[Path], port: int, title: str) -> None:
    """Python's sender."""
    assoc = associate(files, port, title)
    store(assoc, files)
    assoc.release()


def with_dicom_node(files: Sequence[Path], port: int, title: str) -> None:
    """The node's own way of delivering."""
    headers = [dcmread(path, stop_before_pixels=True) for path in files]
    deliveries = [
        Delivery(number, ds.SOPInstanceUID, ds.SOPClassUID, "node", str(path), 1, ds.StudyInstanceUID)
        for number, (ds, path) in enumerate(zip(headers, files, strict=True))
    ]
    node = DestinationConfig(ae_title=AE_TITLE, host="127.0.0.1", port=port)
    outcomes = send(deliveries, node, title, Path)
    assert [outcome.error for outcome in outcomes] == [None] * len(files)


SENDERS: Mapping[str, Callable[[Sequence[Path], int, str], None]] = {
    "storescu": with_storescu,
    "abort": with_storescu_aborting,
    "dcmsend": with_dcmsend,
    "pynetdicom": with_pynetdicom,
    "dicom-node": with_dicom_node,
}


def associate(files: Sequence[Path], port: int, title: str) -> Association:
    """An association of pynetdicom's for these files, storage commitment and procedure steps."""
    ae, reports = AE(title), Reports()
    classes = {str(dcmread(path, stop_before_pixels=True).SOPClassUID) for path in files}
    for uid in (*sorted(classes), COMMITMENT, MPPS):
        ae.add_requested_context(uid, ExplicitVRLittleEndian)
    assoc = ae.associate("127.0.0.1", port, ae_title=AE_TITLE, evt_handlers=reports.handlers)
    assert assoc.is_established
    assoc.reports = reports
    return steady(assoc)


def cut(assoc: Association) -> None:
    """Cuts the line, if it still stands, without a word."""
    line = assoc.dul.socket.socket
    if line is not None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        assoc.join(10)
        line.close()


def store(assoc: Association, files: Sequence[Path]) -> None:
    """Sends one file after the other; each has to be acknowledged."""
    for path in files:
        assert rested(assoc).send_c_store(dcmread(path)).Status == 0


def commit(assoc: Association, files: Sequence[Path]) -> None:
    """Asks for storage commitment (PS3.4 J.3.2), and waits for the outcome."""
    ds = Dataset()
    ds.TransactionUID = generate_uid()
    ds.ReferencedSOPSequence = references(files)
    status, _reply = rested(assoc).send_n_action(ds, 1, COMMITMENT, COMMITMENT_INSTANCE)
    assert status.Status == 0
    assert assoc.reports.wait()


def begin_step(assoc: Association, uid: str) -> None:
    """A procedure step begins (PS3.4 F.7.2.1)."""
    ds = Dataset()
    ds.PerformedProcedureStepStatus = "IN PROGRESS"
    status, _reply = rested(assoc).send_n_create(ds, MPPS, uid)
    assert status.Status == 0


def end_step(assoc: Association, uid: str, status: str, files: Sequence[Path]) -> None:
    """It ends, and lists what it made, by series (PS3.4 F.7.2.2)."""
    ds = Dataset()
    ds.PerformedProcedureStepStatus = status
    ds.PerformedSeriesSequence = []
    by_series: dict[str, list[Path]] = {}
    for path in files:
        by_series.setdefault(dcmread(path, stop_before_pixels=True).SeriesInstanceUID, []).append(path)
    for series, its_files in by_series.items():
        item = Dataset()
        item.SeriesInstanceUID = series
        item.ReferencedImageSequence = references(its_files)
        ds.PerformedSeriesSequence.append(item)
    answer, _reply = rested(assoc).send_n_set(ds, MPPS, uid)
    assert answer.Status == 0


def references(files: Sequence[Path]) -> list[Dataset]:
    """Referenced SOP class and instance of each."""
    items = []
    for path in files:
        image, item = dcmread(path, stop_before_pixels=True), Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        items.append(item)
    return items
