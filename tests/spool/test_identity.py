"""The UIDs found in a data set are those that pydicom finds, in whatever way it is written."""

from __future__ import annotations

import os
import time
import zlib
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.spool import Unreadable
from dicom_node.spool.filemeta import read_file_meta
from dicom_node.spool.identity import Identity, identify

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def written(ds: Dataset, syntax: pydicom.uid.UID) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    write_dataset(buffer, ds)
    raw = buffer.getvalue()
    if syntax.is_deflated:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        raw = deflate.compress(raw) + deflate.flush()
    return raw


def identity_of(raw: bytes, syntax: str, folder: Path) -> Identity:
    path = folder / "data"
    path.write_bytes(raw)
    fd = os.open(path, os.O_RDONLY)
    try:
        return identify(fd, 0, syntax)
    finally:
        os.close(fd)


def example(before: int = 0, *, undefined: bool = False) -> Dataset:
    """A data set with other UIDs in sequences before the ones that count."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.6"
    related = Dataset()
    related.StudyInstanceUID, related.SeriesInstanceUID = "9.9.1", "9.9.2"
    related.RelatedSeriesSequence = Sequence([Dataset()])
    ds.RelatedSeriesSequence = Sequence([related, related])
    ds["RelatedSeriesSequence"].is_undefined_length = undefined
    related.is_undefined_length_sequence_item = undefined
    block = ds.private_block(0x0019, "BEFORE", create=True)
    block.add_new(1, "OB", bytes(before + before % 2))
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.4", "1.2.5"
    ds.Rows = 4
    return ds


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
@pytest.mark.parametrize("before", [0, 100, 20_000, 300_000])
@pytest.mark.parametrize("undefined", [False, True])
def test_the_uids_of_the_data_set_itself_are_found(
    tmp_path: Path, syntax: pydicom.uid.UID, before: int, undefined: bool
) -> None:
    found = identity_of(written(example(before, undefined=undefined), syntax), syntax, tmp_path)
    assert found == Identity("1.2.840.10008.5.1.4.1.1.2", "1.2.6", "1.2.4", "1.2.5")


def test_an_unknown_sequence_of_undefined_length_is_walked_as_implicit(tmp_path: Path) -> None:
    inner = written(example(), ImplicitVRLittleEndian)
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
    unknown = b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    ds = written(example(), ExplicitVRLittleEndian)
    at = ds.index(b"\x19\x00\x10\x00")
    found = identity_of(ds[:at] + unknown + ds[at:], ExplicitVRLittleEndian, tmp_path)
    assert found.series_instance_uid == "1.2.5"


def test_what_is_missing_is_empty(tmp_path: Path) -> None:
    ds = Dataset()
    ds.PatientID = ""
    assert identity_of(written(ds, ExplicitVRLittleEndian), ExplicitVRLittleEndian, tmp_path) == Identity()


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # real files hold odd values
def test_real_files_of_every_kind(shared_data: Path) -> None:
    """As pydicom reads them; files that can't be sent at all (no SOP Instance UID) are left out."""
    compared = 0
    for path in sorted(shared_data.rglob("*.dcm")):
        try:
            ds = pydicom.dcmread(path, stop_before_pixels=True)
        except Exception:  # noqa: BLE001, S112 - the malformed ones have tests of their own
            continue
        if "SOPInstanceUID" not in ds or "TransferSyntaxUID" not in ds.file_meta:
            continue
        fd = os.open(path, os.O_RDONLY)
        try:
            meta = read_file_meta(fd)
            found = identify(fd, meta.data_set_at, meta.transfer_syntax_uid)
        finally:
            os.close(fd)
        assert found.sop_instance_uid == ds.SOPInstanceUID, path
        assert found.series_instance_uid == ds.get("SeriesInstanceUID", ""), path
        assert found.study_instance_uid == ds.get("StudyInstanceUID", ""), path
        compared += 1
    assert compared > 200


@given(raw=st.binary(max_size=400), syntax=st.sampled_from(SYNTAXES))
def test_any_bytes_end_in_an_identity_or_unreadable(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, syntax: str
) -> None:
    with suppress(Unreadable):
        identity_of(raw, syntax, tmp_path_factory.getbasetemp())


@given(data=st.data(), syntax=st.sampled_from(SYNTAXES))
def test_any_mutation_ends_in_an_identity_or_unreadable(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, syntax: pydicom.uid.UID
) -> None:
    raw = bytearray(written(example(50, undefined=data.draw(st.booleans())), syntax))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    with suppress(Unreadable):
        identity_of(bytes(raw[:cut]), syntax, tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("undefined", [True, False])
def test_deep_nesting_is_no_way_to_crash(tmp_path: Path, undefined: bool) -> None:
    length = b"\xff\xff\xff\xff" if undefined else b"\0\0\0\0"
    raw = (b"\x08\x00\x15\x11SQ\0\0" + length + b"\xfe\xff\x00\xe0" + length) * 5000
    if undefined:
        with pytest.raises(Unreadable):
            identity_of(raw, ExplicitVRLittleEndian, tmp_path)
    else:
        identity_of(raw, ExplicitVRLittleEndian, tmp_path)


def test_a_deflate_bomb_is_given_up(tmp_path: Path) -> None:
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    raw = deflate.compress(b"\x08\x00\x05\x00UN\0\0\xf0\xff\xff\x7f")
    for _ in range(200):
        raw += deflate.compress(bytes(1 << 20))
    began = time.process_time()
    with pytest.raises(Unreadable):
        identity_of(raw + deflate.flush(), DeflatedExplicitVRLittleEndian, tmp_path)
    assert time.process_time() - began < 5
