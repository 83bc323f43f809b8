"""Reception: images per second, CPU, memory, set-ups and echoes of our node and its peers, interleaved.

    python -m bench.receive [--quick] [--json]

CT slices of 525 KB from DCMTK's storescu at 1, 2, 4 and 8 associations, with Nagle's algorithm on (everybody
as they come) and off; one association for each image; one multi-frame object of 250 MB. Our node fsyncs
every instance; of the peers only Orthanc as it comes does. Where images are counted, two more subjects show
what that costs at least: storescp made to fsync as well, and a reader that does nothing but write and fsync.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import pydicom
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from bench.harness import Case, Subject, main
from bench.receivers import FLOORS, NO_NAGLE, RECEIVERS, TITLE, Receiver, program, running

VERIFICATION = "1.2.840.10008.1.1"
RELEASE_RQ = struct.pack(">BxI4x", 5, 4)


class HasPort(Protocol):
    """What a sender needs to know of a receiver."""

    port: int


Measure = Callable[[Receiver], float]


def cases(quick: bool) -> Iterator[Case]:
    """Every case of the comparison."""
    images, single, echoes, megabytes = (40, 20, 50, 20) if quick else (500, 150, 1000, 250)
    with tempfile.TemporaryDirectory(prefix="bench-receive-") as name:
        folder = Path(name)
        files = slices(folder / "slices", images)
        for nagle, counts in (("on", (1,)), ("off", (1,) if quick else (1, 2, 4, 8))):
            environment = NO_NAGLE if nagle == "off" else {}
            for k in counts:
                used: dict[str, list[float]] = {}
                few = files[: max(40, images // 5)] if nagle == "on" else files
                send = partial(send_with_storescu, few, k, environment)
                label = f"nagle-{nagle} k={k}"
                yield Case(f"images/s {label}", "images/s", subjects(folder, environment, send, used), "more")
                recorded = {subject: partial(_next, used, subject) for subject in (*RECEIVERS, *FLOORS)}
                yield Case(f"CPU ms/image {label}", "ms", recorded, "less")
        one_each = subjects(folder, NO_NAGLE, partial(one_association_each, files[:single]), {})
        yield Case("images/s one association each", "images/s", one_each, "more")
        yield Case("set-ups/s", "set-ups/s", subjects(folder, NO_NAGLE, partial(set_ups, echoes)), "more")
        yield Case("echoes/s", "echoes/s", subjects(folder, NO_NAGLE, partial(echo, echoes)), "more")
        large = multi_frame(folder / "large.dcm", megabytes)
        peak = partial(peak_of, large, NO_NAGLE)
        yield Case(f"peak MB {megabytes} MB object", "MB", subjects(folder, NO_NAGLE, peak), "less")


def subjects(
    folder: Path, environment: Mapping[str, str], measure: Measure, used: dict[str, list[float]] | None = None
) -> dict[str, Subject]:
    """The same measurement of every receiver, each started fresh; `used` takes CPU milliseconds an image."""

    def run(name: str) -> float:
        with running(name, folder, environment) as receiver:
            before = receiver.cpu_seconds()
            value = measure(receiver)
            if used is not None:
                images = measure.args[0] if isinstance(measure, partial) else ()
                spent = receiver.cpu_seconds() - before
                used.setdefault(name, []).append(1000 * spent / max(1, len(images)))
            return value

    names = RECEIVERS if used is None else (*RECEIVERS, *FLOORS)
    return {name: partial(run, name) for name in names}


def _next(used: dict[str, list[float]], subject: str) -> float:
    """What was recorded while images were counted."""
    return used[subject].pop(0)


# what is sent


def slices(folder: Path, count: int) -> list[Path]:
    """CT slices of 525 KB, all of one series."""
    folder.mkdir()
    study, series = generate_uid(), generate_uid()
    paths = []
    for number in range(count):
        ds = _image(CTImageStorage, study, series, bytes(512 * 512 * 2))
        ds.InstanceNumber = number
        paths.append(folder / f"{number:04}.dcm")
        ds.save_as(paths[-1], enforce_file_format=True)
    return paths


def multi_frame(path: Path, megabytes: int) -> Path:
    """One multi-frame object."""
    ds = _image(EnhancedCTImageStorage, generate_uid(), generate_uid(), bytes(megabytes << 20))
    ds.NumberOfFrames = megabytes * 2
    ds.save_as(path, enforce_file_format=True)
    return path


def _image(sop_class: str, study: str, series: str, pixels: bytes) -> pydicom.Dataset:
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.PatientName, ds.PatientID, ds.Modality = "BENCH", "BENCH", "CT"
    ds.Rows = ds.Columns = 512
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.PixelData = pixels
    return ds


# how it is sent


def send_with_storescu(
    files: list[Path], associations: int, environment: Mapping[str, str], receiver: HasPort
) -> float:
    """Images per second of so many storescu at once."""
    command = [program("storescu"), "-aec", TITLE, "127.0.0.1", str(receiver.port)]
    began = time.perf_counter()
    senders = [
        subprocess.Popen([*command, *map(str, files[number::associations])], env={**environment})
        for number in range(associations)
    ]
    if any(sender.wait() for sender in senders):
        raise RuntimeError("storescu failed")
    return len(files) / (time.perf_counter() - began)


def peak_of(path: Path, environment: Mapping[str, str], receiver: Receiver) -> float:
    """Peak memory of the receiver's largest process after one object."""
    send_with_storescu([path], 1, environment, receiver)
    return receiver.peak_megabytes()


def one_association_each(files: list[Path], receiver: Receiver) -> float:
    """Images per second of a sender that opens an association for each, with one storage context."""
    request = _associate_rq(CTImageStorage)
    prepared = [_store_pdus(path) for path in files]
    began = time.perf_counter()
    for pdus in prepared:
        with _connect(receiver.port) as sock:
            _ask(sock, request, 2)
            _ask(sock, pdus, 4)
            _ask(sock, RELEASE_RQ, 6)
    return len(files) / (time.perf_counter() - began)


def set_ups(count: int, receiver: Receiver) -> float:
    """Associations opened and released a second."""
    request = _associate_rq(VERIFICATION)
    began = time.perf_counter()
    for _ in range(count):
        with _connect(receiver.port) as sock:
            _ask(sock, request, 2)
            _ask(sock, RELEASE_RQ, 6)
    return count / (time.perf_counter() - began)


def echo(count: int, receiver: Receiver) -> float:
    """C-ECHO round trips a second on one association."""
    with _connect(receiver.port) as sock:
        _ask(sock, _associate_rq(VERIFICATION), 2)
        request = _pdv(3, _command(x0002=VERIFICATION, x0100=0x30, x0110=1, x0800=0x0101))
        began = time.perf_counter()
        for _ in range(count):
            _ask(sock, request, 4)
        took = time.perf_counter() - began
        _ask(sock, RELEASE_RQ, 6)
    return count / took


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _ask(sock: socket.socket, pdus: bytes, expected: int) -> None:
    """Sends, and reads the one PDU that answers."""
    sock.sendall(pdus)
    head = _exactly(sock, 6)
    _exactly(sock, struct.unpack(">I", head[2:])[0])
    if head[0] != expected:
        raise RuntimeError(f"PDU type {head[0]} where {expected} was due")


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise RuntimeError("the receiver closed the connection")
        data += part
    return data


def _associate_rq(abstract_syntax: str) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = pydicom.uid.UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title, primitive.called_ae_title = "BENCH", TITLE
    context = build_context(abstract_syntax, ExplicitVRLittleEndian)
    context.context_id = 1
    primitive.presentation_context_definition_list = [context]
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16_384
    implementation.implementation_class_uid = pydicom.uid.UID("1.2.3.4")
    primitive.user_information = [length, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def _store_pdus(path: Path) -> bytes:
    """A C-STORE of a file, in PDUs that every receiver takes."""
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    data = path.read_bytes()[132:]
    data = data[12 + ds.file_meta.FileMetaInformationGroupLength :]
    elements: dict[str, str | int] = {"x0002": CTImageStorage, "x0100": 1, "x0110": 1, "x0700": 0, "x0800": 1}
    request = _pdv(3, _command(**elements, x1000=str(ds.SOPInstanceUID)))
    size = 16_000
    cuts = range(0, len(data), size)
    return request + b"".join(_pdv(0 if at + size < len(data) else 2, data[at : at + size]) for at in cuts)


def _pdv(control: int, data: bytes) -> bytes:
    return struct.pack(">BxIIBB", 4, len(data) + 6, len(data) + 2, 1, control) + data


def _command(**elements: str | int) -> bytes:
    """A command set (PS3.7 6.3.1) from its elements by number."""
    body = b""
    for name, value in sorted(elements.items()):
        raw = struct.pack("<H", value) if isinstance(value, int) else value.encode()
        raw += b"\0" * (len(raw) % 2)
        body += struct.pack("<HHI", 0, int(name[1:], 16), len(raw)) + raw
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


if __name__ == "__main__":
    main(cases)
