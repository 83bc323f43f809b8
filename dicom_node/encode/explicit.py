"""Elements, items and sequences written straight to bytes in Explicit VR Little Endian (PS3.5 7.1 and 7.5).

A segmentation has one item for each frame, tens of thousands in a large one, nearly all alike. Writing
them through data set objects takes most of the time; joining bytes that were made once does not. Nor does
writing short texts, which is nearly all that a report is made of; whatever is not of a plain kind is left
to pydicom.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from copy import copy
from functools import cache
from io import BytesIO
from typing import cast

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.filebase import DicomIO
from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element
from pydicom.multival import MultiValue
from pydicom.tag import Tag

_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""VRs whose length has 32 bits (PS3.5 table 7.1-1)."""
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UC", "UR", "UT", "UI"})
"""VRs whose values, where they are strings, stand in the file as they are (PS3.5 6.2)."""
_BULK = frozenset({"OB", "OW"})
_PADDED_WITH_NULL = _BULK | {"UI"}
_CHARACTER_SET = "ISO_IR 192"
_SHORT = 0xFFFF
"""Most bytes of a value whose length has 16 bits."""


class Encoded(RawDataElement):
    """An element whose value is encoded already, in Explicit VR Little Endian and UTF-8."""


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
    """The elements of a data set, in order, texts in UTF-8."""
    return b"".join(pieces(ds))


def pieces(ds: Dataset) -> Iterator[bytes]:
    """The same piece by piece, so that whoever joins them copies large values once."""
    for tag in sorted(ds.keys(), key=int):  # in C: tags compare themselves in Python
        held = cast(DataElement | RawDataElement, ds.get_item(tag))
        if isinstance(held, Encoded):
            yield _head_of(tag, held.VR or "", len(held.value or b""))
            yield held.value or b""
        else:
            yield from _element(ds, held if isinstance(held, DataElement) else ds[tag])


def raw_sequence(keyword: str, items: list[bytes]) -> Encoded:
    """A sequence whose items are bytes already; it is written as it is, and parsed when it is read."""
    value = b"".join(items)
    return Encoded(Tag(_tag(keyword)), "SQ", len(value), value, 0, False, True)


def _element(ds: Dataset, whole: DataElement) -> Iterator[bytes]:
    value = _encoded(whole)
    if value is None or (len(value) > _SHORT and whole.VR not in _LONG):
        yield _by_pydicom(ds, whole)
        return
    yield _head_of(whole.tag, whole.VR, len(value) + len(value) % 2)
    yield value
    if len(value) % 2:
        yield b"\0" if whole.VR in _PADDED_WITH_NULL else b" "


def _encoded(whole: DataElement) -> bytes | None:
    """The value of an element of a plain kind, not yet of even length; None for what pydicom knows better."""
    value = whole.value
    if whole.VR == "SQ":
        return b"".join([item(dataset_bytes(one)) for one in value or ()])
    if whole.VR in _BULK:
        return value if isinstance(value, bytes) and not whole.is_undefined_length else None
    if whole.VR not in _TEXTS:
        return None
    if isinstance(value, str):
        return value.encode()
    several = isinstance(value, MultiValue | list) and all(isinstance(one, str) for one in value)
    return "\\".join(value).encode() if several else None


def _head_of(tag: int, vr: str, length: int) -> bytes:
    start = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return start + (struct.pack("<HI", 0, length) if vr in _LONG else struct.pack("<H", length))


def _by_pydicom(ds: Dataset, whole: DataElement) -> bytes:
    if len(whole.VR) > 2:  # "US or SS": what it is depends on its neighbours
        whole = cast(DataElement, correct_ambiguous_vr_element(copy(whole), ds, True))
    buffer = BytesIO()
    fp = DicomIO(buffer)
    fp.is_implicit_VR, fp.is_little_endian = False, True
    write_data_element(fp, whole, _CHARACTER_SET)
    return buffer.getvalue()


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag
