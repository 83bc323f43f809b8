"""Walks data elements (PS3.5 7.1) without decoding them: their places, and the few UIDs asked for.

It costs microseconds on the way in, and reads only what it needs however large the values between are.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from struct import Struct

from dicom_node.errors import BadInput

_WINDOW = 16_384
"""Bytes read at a time: the UIDs stand within the first of nearly every image."""
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
"""VRs with a 32 bit length (PS3.5 table 7.1-1)."""
_SHORT = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # and a 16 bit length
)
_UNDEFINED = 0xFFFFFFFF
_ITEM_END, _SEQUENCE_END = 0xFFFEE00D, 0xFFFEE0DD
_IMPLICIT, _IMPLICIT_BIG = Struct("<HHI").unpack_from, Struct(">HHI").unpack_from
_EXPLICIT, _EXPLICIT_BIG = Struct("<HH2sH").unpack_from, Struct(">HH2sH").unpack_from
_LENGTH, _LENGTH_BIG = Struct("<I").unpack_from, Struct(">I").unpack_from
_NOTHING: frozenset[int] = frozenset()
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

    def window(self, position: int, size: int) -> tuple[bytes, int]:
        """Bytes, and the index in them of `position`; `size` follow it, or as many as there are."""
        index = position - self._start
        if index < 0 or index + size > len(self._window):
            self._start, index = position, 0
            self._window = self._read(position, max(size, _WINDOW))
        return self._window, index

    def at(self, position: int, size: int) -> bytes:
        """Up to `size` bytes from `position`; fewer at the end."""
        window, index = self.window(position, size)
        return window[index : index + size]

    def _read(self, position: int, size: int) -> bytes:
        return os.pread(self._fd, size, position)


class DeflatedBytes(FileBytes):
    """A deflated data set (PS3.5 A.5), inflated as far as it is asked for and no further."""

    def __init__(self, fd: int, offset: int) -> None:
        super().__init__(fd)
        self._next, self._zlib, self._done, self._plain = offset, zlib.decompressobj(-zlib.MAX_WBITS), 0, b""

    def _read(self, position: int, size: int) -> bytes:
        """Drops what lies before `position`: the walk only goes forward."""
        while self._done + len(self._plain) < position + size and (more := self._inflated()):
            self._plain += more
            drop = min(len(self._plain), max(0, position - self._done))
            self._done, self._plain = self._done + drop, self._plain[drop:]
            if self._done > _INFLATED:
                raise Unreadable("too far to inflate")
        return self._plain[position - self._done : position - self._done + size]

    def _inflated(self) -> bytes:
        """The next bytes; none at the end."""
        raw = self._zlib.unconsumed_tail
        if not raw:
            raw = os.pread(self._fd, _WINDOW, self._next)
            self._next += len(raw)
        try:
            return self._zlib.decompress(raw, _WINDOW)
        except zlib.error as error:
            raise Unreadable("the deflated data set can't be inflated") from error


@dataclass(frozen=True, slots=True)
class Form:
    """How elements are written: byte order, and whether each states its VR."""

    big: bool = False
    implicit: bool = False

    def element(self, source: FileBytes, position: int) -> tuple[int, int, int] | None:
        """Tag, length of the value and its position; None at the end of the bytes. Raises Unreadable."""
        window, index = source.window(position, 12)
        if len(window) - index < 8:
            return None
        if self.implicit:
            group, number, length = (_IMPLICIT_BIG if self.big else _IMPLICIT)(window, index)
            return group << 16 | number, length, position + 8
        group, number, vr, length = (_EXPLICIT_BIG if self.big else _EXPLICIT)(window, index)
        tag = group << 16 | number
        if vr in _SHORT:
            return tag, length, position + 8
        long = _LENGTH_BIG if self.big else _LENGTH
        if vr in _LONG:
            return (tag, long(window, index + 8)[0], position + 12) if len(window) - index >= 12 else None
        # Items carry no VR (PS3.5 7.5.1); some writers leave it out elsewhere: a length stands in its place.
        if group == 0xFFFE or not (0x20 <= vr[0] < 0x7F or 0x20 <= vr[1] < 0x7F):
            return tag, long(window, index + 4)[0], position + 8
        raise Unreadable(f"element ({group:04X},{number:04X}) has no value representation")

    def skip(self, source: FileBytes, position: int, wanted: frozenset[int], last: int) -> int:
        """Where the first element stands that is wanted, or is not of the plainest kind.

        Nearly all are: without it a walk takes four times as long.
        """
        if self.big or self.implicit:
            return position
        window, index = source.window(position, 12)
        begin, end = index, len(window) - 12
        while index <= end:
            group, number, vr, length = _EXPLICIT(window, index)
            tag = group << 16 | number
            if vr not in _SHORT or tag in wanted or tag > last:
                break
            index += 8 + length
        return position + index - begin


def walk(
    source: FileBytes, position: int, wanted: frozenset[int], last: int, form: Form
) -> tuple[dict[int, str], int]:
    """Values of the wanted top-level elements, up to tag `last`, and where the walk ended."""
    found: dict[int, str] = {}
    begin = position
    tag = 0
    while tag < last:
        position = form.skip(source, position, wanted, last)
        element = form.element(source, position)
        if element is None and position == begin:
            raise Unreadable("no data element")
        if element is None or element[0] > last:
            break
        tag, length, value_at = element
        if length == _UNDEFINED:
            position = _after_undefined(source, value_at, _inside(source, position, form), 0)
        else:
            if tag in wanted:
                found[tag] = _uid(source.at(value_at, min(length, 65)))
            position = value_at + length
    return found, position


def _inside(source: FileBytes, position: int, form: Form) -> Form:
    """The form within an element of undefined length: of an unknown VR, it is implicit (PS3.5 6.2.2)."""
    return Form(implicit=True) if not form.implicit and source.at(position + 4, 2) == b"UN" else form


def _after_undefined(source: FileBytes, position: int, form: Form, depth: int) -> int:
    """Where a sequence, an item or an encapsulated value of undefined length ends (PS3.5 7.5.2)."""
    if depth > _DEEPEST:
        raise Unreadable("sequences nest too deep")
    while True:
        position = form.skip(source, position, _NOTHING, _UNDEFINED)
        if (element := form.element(source, position)) is None:
            return position
        tag, length, value_at = element
        if tag in (_ITEM_END, _SEQUENCE_END):
            return value_at
        if length == _UNDEFINED:
            position = _after_undefined(source, value_at, _inside(source, position, form), depth + 1)
        else:
            position = value_at + length


def _uid(value: bytes) -> str:
    """A UI value without its padding (PS3.5 9.1); foreign bytes are escaped."""
    return value.rstrip(b"\0 ").decode("ascii", "backslashreplace")
