"""Elements, items and sequences written straight to bytes in Explicit VR Little Endian (PS3.5 7.1 and 7.5).

A segmentation has one item for each frame, tens of thousands in a large one, nearly all alike. Writing
them through data set objects takes most of the time; joining bytes that were made once does not.
"""

from __future__ import annotations

import struct
from functools import cache
from io import BytesIO

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""VRs whose length has 32 bits (PS3.5 table 7.1-1)."""


@cache
def _head(keyword: str) -> tuple[bytes, bool]:
    """Tag and VR, and whether the length that follows has 32 bits."""
    tag = _tag(keyword)
    vr = dictionary_VR(tag)
    return struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode()), vr in _LONG


def element(keyword: str, value: bytes) -> bytes:
    """One element of the dictionary's VR; `value` is encoded already and of even length."""
    head, long = _head(keyword)
    return head + struct.pack("<HI" if long else "<H", *((0, len(value)) if long else (len(value),))) + value


def text_element(keyword: str, value: str) -> bytes:
    """One element of a VR of characters, padded with a space (PS3.5 6.2)."""
    return element(keyword, value.encode() + b" " * (len(value.encode()) % 2))


def uid_element(keyword: str, value: str) -> bytes:
    """One element of VR UI, padded with a null byte."""
    return element(keyword, value.encode() + b"\0" * (len(value) % 2))


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
    value = b"".join(items)
    return RawDataElement(Tag(_tag(keyword)), "SQ", len(value), value, 0, False, True)


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag
