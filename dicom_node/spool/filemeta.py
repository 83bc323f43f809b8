"""What stands before the data set in a file: preamble, prefix and file meta information (PS3.10 7.1)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from struct import pack

from pydicom.uid import UID

from dicom_node.spool.elements import FileBytes, Form, Unreadable, walk

PREAMBLE = 132
"""Bytes of the preamble and of "DICM"."""
_META_CLASS, _META_INSTANCE, _META_SYNTAX = 0x00020002, 0x00020003, 0x00020010
_END = 0x0002FFFF


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the file meta information says (PS3.10 table 7.1-1), and where the data set begins."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set_at: int


def encode_head(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    source_ae_title: str,
    implementation_class_uid: UID,
) -> bytes:
    """The bytes before a data set that arrived from `source_ae_title`."""
    before, after = _template(sop_class_uid, transfer_syntax_uid, source_ae_title, implementation_class_uid)
    body = before + _element(0x03, b"UI", sop_instance_uid.encode(), b"\0") + after
    return bytes(128) + b"DICM" + _element(0x00, b"UL", pack("<I", len(body))) + body


def read_file_meta(fd: int) -> FileMeta:
    """The file meta information of an open file. Raises Unreadable where it has none."""
    if os.pread(fd, 4, PREAMBLE - 4) != b"DICM":
        raise Unreadable("no DICM prefix")
    wanted = frozenset((_META_CLASS, _META_INSTANCE, _META_SYNTAX))
    found, end = walk(FileBytes(fd), PREAMBLE, wanted, last=_END, form=Form())
    return FileMeta(
        sop_class_uid=found.get(_META_CLASS, ""),
        sop_instance_uid=found.get(_META_INSTANCE, ""),
        transfer_syntax_uid=found.get(_META_SYNTAX, ""),
        data_set_at=end,
    )


@lru_cache(maxsize=1024)
def _template(
    sop_class_uid: str, transfer_syntax_uid: str, source_ae_title: str, implementation_class_uid: UID
) -> tuple[bytes, bytes]:
    """What stands before and after Media Storage SOP Instance UID."""
    version = pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\x00\x01"
    before = version + _element(0x02, b"UI", sop_class_uid.encode(), b"\0")
    after = _element(0x10, b"UI", transfer_syntax_uid.encode(), b"\0")
    after += _element(0x12, b"UI", implementation_class_uid.encode(), b"\0")
    return before, after + _element(0x16, b"AE", source_ae_title.encode("ascii", "replace"), b" ")


def _element(number: int, vr: bytes, value: bytes, padding: bytes = b"") -> bytes:
    """An element of group 0002 with a 16 bit length; the value is padded to an even length."""
    value += padding * (len(value) % 2)
    return pack("<HH2sH", 2, number, vr, len(value)) + value
