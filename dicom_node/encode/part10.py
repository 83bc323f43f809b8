"""A data set as the bytes of a DICOM file (PS3.10), the same bytes whenever it is the same data set."""

from __future__ import annotations

import struct
from io import BytesIO

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_node import __version__
from dicom_node.encode.context import EncodedObject
from dicom_node.implementation import IMPLEMENTATION_CLASS_UID

_PIXEL_DATA = 0x7FE00010


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

    What is bytes already (the frames' groups, the pixels) stays as it is: the groups are written without
    being parsed, and native pixel data is joined to the rest at the end, save where the whole is deflated.
    """
    joined = "PixelData" in obj.ds and obj.ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    left_out = {_PIXEL_DATA} if joined else set()
    rest = Dataset({tag: obj.ds.get_item(tag) for tag in obj.ds.keys() - left_out})
    rest.file_meta = obj.ds.file_meta
    rest.set_original_encoding(False, True, rest._character_set)  # private: the decoded form of (0008,0005)
    buffer = BytesIO()
    dcmwrite(buffer, rest, enforce_file_format=True)
    if not joined:
        return buffer.getvalue()
    pixels = obj.ds["PixelData"]
    head = struct.pack("<HH2sHI", 0x7FE0, 0x0010, pixels.VR.encode(), 0, len(pixels.value))
    return b"".join((buffer.getvalue(), head, pixels.value))
