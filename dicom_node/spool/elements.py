"""Walks data elements (PS3.5 7.1) without decoding them: their places, and the few UIDs asked for.

It costs microseconds on the way in, and reads only what it needs however large the values between are.
"""

from __future__ import annotations

import os
import zlib
from struct import Struct

from dicom_node.errors import BadInput

_WINDOW = 16_384
"""Bytes read at a time: the UIDs stand within the first of nearly every image."""
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
"""VRs with a 32 bit length (PS3.5 table 7.1-1)."""
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST = 64
"""Sequences within sequences: what nests deeper is hostile."""
_INFLATED = 1 << 26
"""Bytes inflated in search of the UIDs: what holds them later is hostile."""


class Unreadable(BadInput):
    """The bytes can't be walked as data elements of their transfer syntax."""


class FileBytes:
    """Bytes of an open file by position, through a window."""

    def __init__(self, fd: int) -> None:
        self._fd, self._start, self._window = fd, 0, b""

    def at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from `position`; fewer at the end."""
        begin = position - self._start
        if begin < 0 or begin + size > len(self._window):
            self._start, begin = position, 0
            self._window = self._read(position, max(size, _WINDOW))
        return self._window[begin : begin + size]

    def _read(self, position: int, size: int) -> bytes:
        return os.pread(self._fd, size, position)


class DeflatedBytes(FileBytes):
    """A deflated data set (PS3.5 A.5), inflated as far as it is asked for and no further."""

    def __init__(self, fd: int, offset: int) -> None:
        super().__init__(fd)
        self._next, self._zlib, self._done, self._plain = offset, zlib.decompressobj(-zlib.MAX_WBITS), 0, b""

    def _read(self, position: int, size: int) -> bytes:
        """Drops what lies before `position`: the walk only goes forward."""
        while self._done + len(self._plain) < position + size:
            raw = self._zlib.unconsumed_tail or os.pread(self._fd, _WINDOW, self._next)
            if not self._zlib.unconsumed_tail:
                self._next += len(raw)
            try:
                more = self._zlib.decompress(raw, _WINDOW)
            except zlib.error as error:
                raise Unreadable("the deflated data set can't be inflated") from error
            if not raw and not more:
                break
            self._plain += more
            drop = min(len(self._plain), max(0, position - self._done))
            if self._done > _INFLATED:
                raise Unreadable("too far to inflate")
            self._done, self._plain = self._done + drop, self._plain[drop:]
        return self._plain[position - self._done : position - self._done + size]


_IMPLICIT, _IMPLICIT_BIG = Struct("<HHI"), Struct(">HHI")
_EXPLICIT, _EXPLICIT_BIG = Struct("<HH2sH"), Struct(">HH2sH")
_LENGTH, _LENGTH_BIG = Struct("<I"), Struct(">I")


def walk(
    source: FileBytes, position: int, wanted: frozenset[int], last: int, big: bool, implicit: bool
) -> tuple[dict[int, str], int]:
    """Values of the wanted top-level elements, up to tag `last`, and where the walk ended."""
    found: dict[int, str] = {}
    begin = position
    while (element := _element(source, position, big, implicit)) is not None:
        tag, length, value_at = element
        if tag > last:
            break
        if length == _UNDEFINED:
            # An unknown VR of undefined length is a sequence in implicit VR little endian (PS3.5 6.2.2).
            unknown = not implicit and source.at(position + 4, 2) == b"UN"
            position = _after_undefined(source, value_at, big and not unknown, implicit or unknown, 0)
        else:
            if tag in wanted:
                found[tag] = _uid(source.at(value_at, min(length, 65)))
            position = value_at + length
        if tag == last:
            break
    else:
        if position == begin:
            raise Unreadable("no data element")
    return found, position


def _element(source: FileBytes, position: int, big: bool, implicit: bool) -> tuple[int, int, int] | None:
    """Tag, length of the value and its position; None at the end of the bytes."""
    head = source.at(position, 12)
    if len(head) < 8:
        return None
    if implicit:
        group, number, length = (_IMPLICIT_BIG if big else _IMPLICIT).unpack_from(head)
        return group << 16 | number, length, position + 8
    group, number, vr, length = (_EXPLICIT_BIG if big else _EXPLICIT).unpack_from(head)
    tag = group << 16 | number
    if group == 0xFFFE:  # items carry no VR (PS3.5 7.5.1)
        return tag, (_LENGTH_BIG if big else _LENGTH).unpack_from(head, 4)[0], position + 8
    if vr in _LONG and len(head) == 12:
        return tag, (_LENGTH_BIG if big else _LENGTH).unpack_from(head, 8)[0], position + 12
    if vr in _LONG:
        return None
    return (tag, length, position + 8) if vr.isalpha() else _without_vr(head, tag, position, big)


def _without_vr(head: bytes, tag: int, position: int, big: bool) -> tuple[int, int, int]:
    """Some writers leave implicit VR elements in an explicit data set: a length stands where the VR would."""
    if not 0x20 <= head[4] < 0x7F and not 0x20 <= head[5] < 0x7F:
        return tag, (_LENGTH_BIG if big else _LENGTH).unpack_from(head, 4)[0], position + 8
    raise Unreadable(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) has no value representation")


def _after_undefined(source: FileBytes, position: int, big: bool, implicit: bool, depth: int) -> int:
    """Where a sequence, an item or an encapsulated value of undefined length ends (PS3.5 7.5.2)."""
    if depth > _DEEPEST:
        raise Unreadable("sequences nest too deep")
    while (element := _element(source, position, big, implicit)) is not None:
        tag, length, value_at = element
        if tag in (_ITEM_END, _SEQUENCE_END):
            return value_at
        if length == _UNDEFINED:
            position = _after_undefined(source, value_at, big, implicit, depth + 1)
        else:
            position = value_at + length
    return position


def _uid(value: bytes) -> str:
    """A UI value without its padding (PS3.5 9.1); foreign bytes are escaped."""
    return value.rstrip(b"\0 ").decode("ascii", "backslashreplace")
