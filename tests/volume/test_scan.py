"""The scanner sees what pydicom sees, in every real file, or gives up."""

from __future__ import annotations

import contextlib
import gzip
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.errors import BadInput
from dicom_node.phantom import axial_grid, chest, write_series
from dicom_node.volume import planes
from dicom_node.volume.planes import Plane, planes_of


def by_pydicom(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Plane]:
    with monkeypatch.context() as patch:
        patch.setattr(planes, "scan", lambda *_: None)
        return planes_of(path)


@pytest.fixture(scope="module")
def slice_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    array, _, _ = chest((1, 8, 8), (5, 40, 40))
    grid = axial_grid((1, 8, 8), (5, 40, 40))
    return write_series(array, grid, tmp_path_factory.mktemp("slice"), "CT")[0]


def test_every_real_file_reads_the_same(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file() or path.suffix in {".nrrd", ".png", ".jpg", ".md", ".csv", ".txt"}:
            continue
        file = path
        if path.suffix == ".gz":
            file = tmp_path / path.stem
            file.write_bytes(gzip.decompress(path.read_bytes()))
        try:
            theirs = by_pydicom(file, monkeypatch)
        except BadInput:
            continue
        assert planes_of(file) == theirs, path
        scanned += planes.scan(file, planes._WANTED, planes._FULL_PARSER_ONLY) is not None
    assert scanned > 200


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
@pytest.mark.parametrize("undefined_length", [True, False])
def test_every_encoding_reads_the_same(
    slice_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: str, undefined_length: bool
) -> None:
    ds = pydicom.dcmread(slice_file)
    inner, outer = pydicom.Dataset(), pydicom.Dataset()
    inner.CodeMeaning, inner.Rows = "not the image's", 77
    outer.ConceptCodeSequence = [inner, inner]
    outer.ImagePositionPatient = [9, 9, 9]
    ds.ReferencedImageSequence = [outer, outer]
    for sequence in (ds["ReferencedImageSequence"], outer["ConceptCodeSequence"]):
        sequence.is_undefined_length = undefined_length
        for item in sequence.value:
            item.is_undefined_length_sequence_item = undefined_length
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = b"".join(ds.PixelData[i : i + 2][::-1] for i in range(0, len(ds.PixelData), 2))
    ds.file_meta.TransferSyntaxUID = syntax
    path = tmp_path / "a.dcm"
    pydicom.dcmwrite(
        path, ds, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian
    )
    (plane,) = planes_of(path)
    (expected,) = planes_of(slice_file)
    assert [plane] == by_pydicom(path, monkeypatch)
    assert (plane.shape, plane.position, plane.frame) == (expected.shape, expected.position, expected.frame)


@given(at=st.integers(0, 1500), content=st.binary(max_size=60), cut=st.integers(0, 1500))
def test_broken_bytes_are_bad_input_or_planes(slice_file: Path, at: int, content: bytes, cut: int) -> None:
    whole = slice_file.read_bytes()
    path = slice_file.with_name("broken.dcm")
    path.write_bytes((whole[:at] + content + whole[at + len(content) :])[: len(whole) - cut])
    with contextlib.suppress(BadInput):
        planes_of(path)
