"""Statuses that the node answers (PS3.7 C, PS3.4 table B.2-1), and the exception that carries one."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Status (0000,0900)."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_SOP_INSTANCE = 0x0112
    INVALID_ARGUMENT_VALUE = 0x0115
    INVALID_SOP_INSTANCE = 0x0117
    INVALID_ATTRIBUTE_VALUE = 0x0106
    CLASS_INSTANCE_CONFLICT = 0x0119
    MISSING_ATTRIBUTE = 0x0120
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    UNRECOGNIZED_OPERATION = 0x0211
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000


class Refused(Exception):  # noqa: N818 - an answer to the peer, not an error of ours
    """A request is not served: the status and the comment to answer."""

    def __init__(self, status: Status, comment: str) -> None:
        super().__init__(comment)
        self.status, self.comment = status, comment
