"""A data set as the bytes of a DICOM file (PS3.10), the same bytes whenever it is the same data set."""

from __future__ import annotations

from io import BytesIO

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_node import __version__
from dicom_node.encode.context import EncodedObject
from dicom_node.encode.uids import uid

IMPLEMENTATION_CLASS_UID = UID(uid("implementation class", "dicom-node"))


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
    """The object as a Part 10 file."""
    buffer = BytesIO()
    dcmwrite(buffer, obj.ds, enforce_file_format=True)
    return buffer.getvalue()
