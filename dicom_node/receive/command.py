"""Command sets (PS3.7 6.3.1): what the hot path needs of a request, and the answers to it.

pynetdicom's message classes do all others; these two cost microseconds instead of milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, error

from dicom_node.association.operation import RESPONSE
from dicom_node.errors import BadInput

_ELEMENT = Struct("<HHI")
_US = Struct("<H")
_NO_DATA_SET = 0x0101
_CLASS, _FIELD, _MESSAGE_ID, _DATA_SET_TYPE, _INSTANCE = 0x0002, 0x0100, 0x0110, 0x0800, 0x1000
_REQUESTED_CLASS, _RESPONDED_TO, _STATUS, _COMMENT = 0x0003, 0x0120, 0x0900, 0x0902


class BadCommand(BadInput):
    """The bytes are no command set."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command set, as far as dispatch, storage and verification need it.

    Attributes:
        raw: its bytes, for pynetdicom's message classes.
        status: of a response.
    """

    operation: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    has_data_set: bool
    raw: bytes
    status: int = 0

    @property
    def is_response(self) -> bool:
        """It answers something that we asked."""
        return bool(self.operation & RESPONSE)


def decode(raw: bytes) -> Command:
    """Reads a command set. Raises BadCommand."""
    elements: dict[int, bytes] = {}
    position = 0
    try:
        while position < len(raw):
            group, number, length = _ELEMENT.unpack_from(raw, position)
            position += 8
            if group or position + length > len(raw):
                raise BadCommand("not a command set")
            elements[number] = raw[position : position + length]
            position += length
        return Command(
            operation=_US.unpack(elements[_FIELD])[0],
            message_id=_US.unpack(elements.get(_MESSAGE_ID) or elements[_RESPONDED_TO])[0],
            sop_class_uid=_uid(elements.get(_CLASS) or elements.get(_REQUESTED_CLASS, b"")),
            sop_instance_uid=_uid(elements.get(_INSTANCE, b"")),
            has_data_set=_US.unpack(elements[_DATA_SET_TYPE])[0] != _NO_DATA_SET,
            raw=raw,
            status=_US.unpack(elements.get(_STATUS, bytes(2)))[0],
        )
    except (error, KeyError) as fault:
        raise BadCommand("an element of the command set is missing or damaged") from fault


def answer(request: Command, status: int, comment: str = "") -> bytes:
    """The response to a request, without a data set: status and error comment (PS3.7 9.3, C)."""
    parts = [
        _element(_CLASS, _padded(request.sop_class_uid)) if request.sop_class_uid else b"",
        _element(_FIELD, _US.pack(request.operation | RESPONSE)),
        _element(_RESPONDED_TO, _US.pack(request.message_id)),
        _element(_DATA_SET_TYPE, _US.pack(_NO_DATA_SET)),
        _element(_STATUS, _US.pack(status)),
        _element(_COMMENT, comment[:64].encode("ascii", "replace").ljust((len(comment[:64]) + 1) & ~1))
        if comment
        else b"",
        _element(_INSTANCE, _padded(request.sop_instance_uid)) if request.sop_instance_uid else b"",
    ]
    body = b"".join(parts)
    return _element(0, len(body).to_bytes(4, "little")) + body


def _element(number: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, number, len(value)) + value


def _uid(value: bytes) -> str:
    """A UID without its padding; foreign bytes are escaped, so that it is text that can be kept."""
    return value.rstrip(b"\0 ").decode("ascii", "backslashreplace")


def _padded(uid: str) -> bytes:
    raw = uid.encode()
    return raw + b"\0" * (len(raw) % 2)
