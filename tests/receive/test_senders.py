"""Objects of every kind arrive with the very bytes that their sender sent: DCMTK, pynetdicom, Orthanc."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom import AE, _config

from dicom_node.records import Instance
from dicom_node.spool.filemeta import read_file_meta
from tests.peers import Orthanc, echoscu, storescp, storescu
from tests.peers.reactor import rested, steady
from tests.receive.scp import Scp, receiver

FOLDERS = ("transfer_syntaxes", "malformed", "enhanced_multiframe", "dicomdir")


@pytest.fixture
def scp(tmp_path: Path) -> Iterator[Scp]:
    with receiver(tmp_path) as running:
        yield running


def data_set_bytes(path: Path) -> bytes:
    """A file's bytes after its file meta information."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return path.read_bytes()[read_file_meta(fd).data_set_at :]
    finally:
        os.close(fd)


def files_below(folder: Path) -> list[Path]:
    """Files that have what a sender needs to send them: UIDs and a transfer syntax."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            ds = pydicom.dcmread(path, stop_before_pixels=True)
        except (
            InvalidDicomError,
            OSError,
            ValueError,
            KeyError,
            EOFError,
            NotImplementedError,
            AttributeError,
        ):
            continue
        meta = ds.file_meta
        if "SOPInstanceUID" in ds and meta.get("TransferSyntaxUID") and "DirectoryRecordSequence" not in ds:
            found.append(path)
    return found


def arrived(scp: Scp) -> dict[str, list[Instance]]:
    """What was stored or kept beside, by SOP Instance UID."""
    found: dict[str, list[Instance]] = {}
    for event in scp.events():
        if event.instance is not None and event.happening in ("stored", "conflict"):
            found.setdefault(event.instance.sop_instance_uid, []).append(event.instance)
    return found


def send_as_they_are(files: Iterable[Path], port: int) -> list[tuple[Path, int]]:
    """pynetdicom's SCU, which streams a file's data set without decoding it; gives the statuses."""
    statuses = []
    for path in files:
        ae = AE("PYNETDICOM")
        meta = pydicom.filereader.read_file_meta_info(path)
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        ae.add_requested_context(
            meta.get("MediaStorageSOPClassUID") or ds.SOPClassUID, meta.TransferSyntaxUID
        )
        assoc = ae.associate("127.0.0.1", port, ae_title="DICOMNODE")
        assert assoc.accepted_contexts, path
        statuses.append((path, int(rested(steady(assoc)).send_c_store(path).get("Status", -1))))
        assoc.release()
    return statuses


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # the malformed ones are
@pytest.mark.parametrize("folder", FOLDERS)
def test_pynetdicom(scp: Scp, shared_data: Path, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    files = [path for path in files_below(shared_data / folder) if _has_meta(path)]
    statuses = send_as_they_are(files, scp.port)
    assert {(path.name, hex(status)) for path, status in statuses if status} == set()
    found = arrived(scp)
    held = {data_set_bytes(scp.spool.path(one.path)) for every in found.values() for one in every}
    assert held == {data_set_bytes(path) for path in files}
    assert len(files) >= 5


def _has_meta(path: Path) -> bool:
    """Whether it is a file as PS3.10 wants it; pynetdicom's streaming takes no other."""
    with path.open("rb") as file:
        file.seek(128)
        if file.read(4) != b"DICM":
            return False
    meta = pydicom.filereader.read_file_meta_info(path)
    return all(name in meta for name in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_dcmtk(scp: Scp, shared_data: Path, tmp_path: Path, folder: str) -> None:
    """DCMTK's own bit-preserving receiver tells which bytes its sender sends."""
    sent = 0
    with storescp(tmp_path / "dcmtk", options=["+B", "+xa"]) as oracle:
        for option, paths in _by_proposal(shared_data / folder).items():
            options = [option] if option else []
            theirs = storescu(paths, "127.0.0.1", oracle.port, "STORESCP", options=options)
            ours = storescu(paths, "127.0.0.1", scp.port, "DICOMNODE", options=options)
            assert ours.statuses == theirs.statuses, option
            sent += len(ours.statuses)
        expected = {data_set_bytes(path) for path in oracle.files()}
    held = [data_set_bytes(scp.spool.path(one.path)) for every in arrived(scp).values() for one in every]
    assert set(held) >= expected
    assert len(held) >= len(expected) > 0
    assert sent >= 5


def _by_proposal(folder: Path) -> dict[str, list[Path]]:
    """A folder's files by the option that makes storescu propose what they need."""
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.setdefault(_proposal(path), []).append(path)
    return found


def _proposal(path: Path) -> str:
    """The option by which storescu proposes a file's transfer syntax."""
    options = {
        "1.2.840.10008.1.2.4.50": "-xy",
        "1.2.840.10008.1.2.4.51": "-xx",
        "1.2.840.10008.1.2.4.57": "-xs",
        "1.2.840.10008.1.2.4.70": "-xs",
        "1.2.840.10008.1.2.4.80": "-xt",
        "1.2.840.10008.1.2.4.81": "-xu",
        "1.2.840.10008.1.2.4.90": "-xv",
        "1.2.840.10008.1.2.4.91": "-xw",
        "1.2.840.10008.1.2.5": "-xr",
        "1.2.840.10008.1.2.1.99": "-xd",
        "1.2.840.10008.1.2.2": "-xb",
        "1.2.840.10008.1.2": "-xi",
    }
    try:
        syntax = UID(str(pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", "")))
    except (InvalidDicomError, OSError, ValueError):
        return ""
    return options.get(syntax, "")


def test_character_sets_are_not_touched(scp: Scp, shared_data: Path) -> None:
    files = files_below(shared_data / "malformed" / "charsets")
    assert len(files) >= 15
    storescu(files, "127.0.0.1", scp.port, "DICOMNODE")
    found = arrived(scp)
    for path in files:
        ds = pydicom.dcmread(path)
        stored = [pydicom.dcmread(scp.spool.path(one.path)) for one in found[ds.SOPInstanceUID]]
        names = [one.get_item("PatientName").value for one in stored]
        assert ds.get_item("PatientName").value in names, path


def test_orthanc(scp: Scp, shared_data: Path, tmp_path: Path) -> None:
    """What Orthanc sends to DCMTK's bit-preserving receiver, it sends to us."""
    files = sorted((shared_data / "ct_chest_cmb_crc").glob("*.dcm"))[:5]
    with storescp(tmp_path / "dcmtk", options=["+B"]) as oracle:
        peers = {
            "ours": ["DICOMNODE", "127.0.0.1", scp.port],
            "theirs": ["STORESCP", "127.0.0.1", oracle.port],
        }
        with Orthanc(tmp_path / "orthanc", options={"DicomModalities": peers}) as orthanc:
            identifiers = [json.loads(_post(orthanc, "instances", path.read_bytes()))["ID"] for path in files]
            for peer in peers:
                _post(orthanc, f"modalities/{peer}/store", json.dumps(identifiers).encode())
        expected = {data_set_bytes(path) for path in oracle.files()}
    scp.wait_for("closed")
    held = {data_set_bytes(scp.spool.path(one.path)) for one in scp.stored()}
    assert held == expected
    assert len(held) == len(files)


def _post(orthanc: Orthanc, path: str, body: bytes) -> bytes:
    url = f"http://127.0.0.1:{orthanc.http_port}/{path}"
    with urllib.request.urlopen(urllib.request.Request(url, body, method="POST")) as answer:
        return bytes(answer.read())


def test_echo(scp: Scp) -> None:
    assert echoscu("127.0.0.1", scp.port, "DICOMNODE")
    assert not echoscu("127.0.0.1", scp.port, "OTHER")
