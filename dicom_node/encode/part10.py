"""A data set as the bytes of a DICOM file (PS3.10), the same bytes whenever it is the same data set."""

from __future__ import annotations

from io import BytesIO

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from dicom_node import __version__
from dicom_node.encode.context import EncodedObject
from dicom_node.encode.explicit import pieces
from dicom_node.implementation import IMPLEMENTATION_CLASS_UID


def file_meta(ds: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> FileMetaDataset:
    """File meta information (PS3.10 7.1) of a data set of ours."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = f"DICOMNODE {__version__}"[:16]
    return meta


def to_bytes(obj: EncodedObject) -> bytes:
    """The object as a Part 10 file.

    What is bytes already (the frames' groups, the pixels) stays as it is, and is not parsed.
    """
    ds = obj.ds
    if ds.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        return _deflated(ds)
    meta = DicomBytesIO()
    write_file_meta_info(meta, ds.file_meta)
    return b"".join((b"\0" * 128, b"DICM", meta.getvalue(), *pieces(ds)))


def _deflated(ds: Dataset) -> bytes:
    whole = Dataset({tag: ds.get_item(tag) for tag in ds.keys()})  # noqa: SIM118 - a data set iterates over its elements
    whole.file_meta = ds.file_meta
    whole.set_original_encoding(False, True, whole._character_set)  # private: the decoded form of (0008,0005)
    buffer = BytesIO()
    dcmwrite(buffer, whole, enforce_file_format=True)
    return buffer.getvalue()
