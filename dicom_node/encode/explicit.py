"""Elements, items and sequences written straight to bytes in Explicit VR Little Endian (PS3.5 7.1 and 7.5).

A segmentation has one item for each frame, tens of thousands in a large one, nearly all alike. Writing
them through data set objects takes most of the time; joining bytes that were made once does not.
"""

from __future__ import annotations

import struct
from io import BytesIO

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""VRs whose length has 32 bits (PS3.5 table 7.1-1)."""


def element(keyword: str, value: bytes) -> bytes:
    """One element of the dictionary's VR; `value` is encoded already and of even length."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    vr = dictionary_VR(tag)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    length = struct.pack("<HI", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))
    return head + length + value


def item(content: bytes) -> bytes:
    """A sequence item of known length."""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def dataset_bytes(ds: Dataset) -> bytes:
    """The elements of a data set, in order."""
    buffer = BytesIO()
    fp = DicomIO(buffer)
    fp.is_implicit_VR, fp.is_little_endian = False, True
    write_dataset(fp, ds, "utf_8")
    return buffer.getvalue()


def raw_sequence(keyword: str, items: list[bytes]) -> RawDataElement:
    """A sequence whose items are bytes already; pydicom writes it as it is, and parses it when it is read."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    value = b"".join(items)
    return RawDataElement(Tag(tag), "SQ", len(value), value, 0, False, True)
