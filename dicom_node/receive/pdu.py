"""PDU types and the small fixed PDUs (PS3.8 9.3); what is larger is pynetdicom's."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

MAX_PDU = 131_072
"""Bytes of a P-DATA-TF's variable field that we take; DCMTK sends no larger ones."""
MAX_REQUEST = 1 << 20
"""Bytes of an A-ASSOCIATE-RQ: 128 contexts with every transfer syntax take a quarter of it."""
HEADER = Struct(">BxI")
PDV_HEADER = Struct(">IBB")
SHORTEST = 10
"""Bytes of the shortest PDUs; every other is longer."""
LAST, COMMAND = 2, 1
"""Bits of a message control header (PS3.8 E.2)."""


class PduType(IntEnum):
    """First byte of a PDU."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortSource(IntEnum):
    """PS3.8 table 9-26."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """PS3.8 table 9-26, where the source is the service provider."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER_VALUE = 6


RELEASE_RP = HEADER.pack(PduType.RELEASE_RP, 4) + bytes(4)


def abort(source: AbortSource, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> bytes:
    """An A-ABORT PDU (PS3.8 9.3.8)."""
    return HEADER.pack(PduType.ABORT, 4) + bytes((0, 0, source, reason))


def reject(result: int, source: int, diagnostic: int) -> bytes:
    """An A-ASSOCIATE-RJ PDU (PS3.8 9.3.4)."""
    return HEADER.pack(PduType.ASSOCIATE_RJ, 4) + bytes((0, result, source, diagnostic))


def command_pdu(context_id: int, command: bytes) -> bytes:
    """A whole command set as one P-DATA-TF of one PDV (PS3.8 9.3.5)."""
    pdv = PDV_HEADER.pack(len(command) + 2, context_id, LAST | COMMAND) + command
    return HEADER.pack(PduType.P_DATA_TF, len(pdv)) + pdv
