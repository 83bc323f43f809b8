"""Command Fields (0000,0100) of the DIMSE requests that the node serves or makes (PS3.7 E.1-1)."""

from __future__ import annotations

from enum import IntEnum

RESPONSE = 0x8000
"""The bit that makes a request's Command Field its response's."""


class Operation(IntEnum):
    """Command Field of a request."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    C_CANCEL = 0x0FFF
