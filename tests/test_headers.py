"""Headers as a rule or a pipeline reads them, from real files and from broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, FileMetaDataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dicom_node.errors import BadInput
from dicom_node.headers import plain, read_header, slice_fields


def saved(ds: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds.save_as(path, enforce_file_format=True)
    return path


def raw(keyword: str, vr: str, content: bytes) -> RawDataElement:
    return RawDataElement(Tag(keyword), vr, len(content), content, 0, False, True)


def test_values_are_plain(tmp_path: Path) -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Äneas^Rüdiger"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.InstanceNumber = 7
    ds.PixelSpacing = [0.5, 0.25]
    ds.Rows = 4
    ds.ContrastBolusAgent = ""
    ds.RequestAttributesSequence = [Dataset()]
    ds.RequestAttributesSequence[0].RequestedProcedureID = "P1"
    ds.FrameIncrementPointer = 0x00181063
    ds.add_new(0x00091001, "LO", "private")
    ds.BitsAllocated = 8
    ds.PixelData = bytes(8)
    header = plain(read_header(saved(ds, tmp_path / "a.dcm")))
    assert header == {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": "Äneas^Rüdiger",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "InstanceNumber": 7,
        "PixelSpacing": [0.5, 0.25],
        "Rows": 4,
        "BitsAllocated": 8,
        "RequestAttributesSequence": [{"RequestedProcedureID": "P1"}],
        "FrameIncrementPointer": "00181063",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "SOPInstanceUID": "1.2.3",
    }


def test_odd_values_are_given_as_they_stand(tmp_path: Path) -> None:
    ds = Dataset()
    ds.InstanceNumber = 1
    ds[Tag("SeriesNumber")] = raw("SeriesNumber", "IS", b"one ")
    ds[Tag("SliceThickness")] = raw("SliceThickness", "DS", b"5mm ")
    ds[Tag("Rows")] = raw("Rows", "US", b"\1\2\3\4\5\6"[:5] + b"\0\0\0")
    header = plain(read_header(saved(ds, tmp_path / "a.dcm")))
    assert header["SeriesNumber"] == "one"
    assert header["SliceThickness"] == "5mm"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_bulk_stays_out_and_sequences_come_in(tmp_path: Path, syntax: str) -> None:
    ds = Dataset()
    ds.ICCProfile = bytes(100_000)
    ds.TextValue = "x" * 100_000
    ds.ContourData = [1.0] * 3000
    item = Dataset()
    item.CodeMeaning = "in a large sequence"
    item.ICCProfile = bytes(100_000)
    ds.AcquisitionContextSequence = [item]
    header = plain(read_header(saved(ds, tmp_path / "a.dcm", syntax)))
    assert header.keys() == {"SOPClassUID", "SOPInstanceUID", "AcquisitionContextSequence"}
    assert header["AcquisitionContextSequence"] == [{"CodeMeaning": "in a large sequence"}]


def test_an_enhanced_object_reads_like_a_single_frame_one(shared_data: Path) -> None:
    path = shared_data / "enhanced_multiframe" / "6_1.dcm"
    header = plain(read_header(path))
    assert header["NumberOfFrames"] == 6
    assert len(header["ImageOrientationPatient"]) == 6
    assert header["PixelSpacing"][0] > 0
    assert "PerFrameFunctionalGroupsSequence" not in header
    assert header["SOPInstanceUID"] == read_header(path).SOPInstanceUID


def test_every_real_file_gives_json_or_bad_input(shared_data: Path) -> None:
    seen = 0
    for path in sorted(shared_data.rglob("*")):
        if path.is_file() and path.suffix not in {".gz", ".nrrd"}:
            try:
                ds = read_header(path)
            except BadInput:
                continue
            json.dumps([plain(ds), slice_fields(ds)], allow_nan=False)
            seen += 1
    assert seen > 200


def test_character_sets(shared_data: Path) -> None:
    folder = shared_data / "malformed" / "charsets"
    name = {path.stem: plain(read_header(path)).get("PatientName") for path in folder.iterdir()}
    assert name["chrFren"] == "Buc^Jérôme"
    assert name["chrH31"] == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert name["chrX2"] == "Wang^XiaoDong=王^小东"


def test_slice_fields_of_a_real_slice(shared_data: Path) -> None:
    path = sorted((shared_data / "ct_chest_cmb_crc").iterdir())[0]
    fields = slice_fields(read_header(path))
    assert fields["ImageOrientationPatient"] == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    assert fields["Rows"] == 512
    assert isinstance(fields["InstanceNumber"], int)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" * 40, bytes(200)])
def test_what_is_not_dicom_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(BadInput, match="not a DICOM file"):
        read_header(tmp_path / "a")


def test_a_missing_file_is_no_bad_input(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "none")


@given(content=st.binary(max_size=400), cut=st.integers(0, 600), at=st.integers(132, 500))
def test_broken_bytes_never_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cut: int, at: int
) -> None:
    ds = Dataset()
    ds.Modality, ds.ImageType, ds.PixelSpacing = "CT", ["ORIGINAL", "PRIMARY"], [1, 1]
    ds.RequestAttributesSequence = [Dataset()]
    ds.RequestAttributesSequence[0].RequestedProcedureID = "P1"
    path = saved(ds, tmp_path_factory.getbasetemp() / "broken.dcm")
    whole = path.read_bytes()
    path.write_bytes((whole[:at] + content + whole[at + len(content) :])[: len(whole) - cut])
    try:
        header = read_header(path)
    except BadInput:
        return
    json.dumps([plain(header), slice_fields(header)], allow_nan=False)
