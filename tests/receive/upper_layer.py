"""A sender that speaks PDUs one by one, well or badly (PS3.8 9.3)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Any

from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

VERIFICATION = "1.2.840.10008.1.1"
FRAGMENT = 131_066
"""Bytes of a data set in one P-DATA-TF of the length that the node takes."""
CT = "1.2.840.10008.5.1.4.1.1.2"
RQ, AC, RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
PLAIN_RELEASE_RQ = struct.pack(">BxI4x", RELEASE_RQ, 4)
PLAIN_RELEASE_RP = struct.pack(">BxI4x", RELEASE_RP, 4)
PLAIN_ABORT = struct.pack(">BxI4x", ABORT, 4)
PLAIN_RJ = struct.pack(">BxIxBBB", RJ, 4, 1, 1, 1)


def associate_rq(
    contexts: Sequence[tuple[str, Sequence[str]]] = ((VERIFICATION, ("1.2.840.10008.1.2",)),),
    *,
    calling: str = "SENDER",
    called: str = "DICOMNODE",
    items: Sequence[Any] = (),
    max_pdu: int = 16382,
) -> bytes:
    """An A-ASSOCIATE-RQ; contexts are (abstract syntax, transfer syntaxes), numbered 1, 3, 5, …"""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = UID("1.2.840.10008.3.1.1.1")
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    proposed = []
    for number, (abstract, transfer) in enumerate(contexts):
        context = build_context(abstract, list(transfer))
        context.context_id = 2 * number + 1
        proposed.append(context)
    primitive.presentation_context_definition_list = proposed
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = max_pdu
    implementation.implementation_class_uid = UID("1.2.3.4")
    primitive.user_information = [length, implementation, *items]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def read_accept(raw: bytes) -> A_ASSOCIATE:
    """An A-ASSOCIATE-AC as pynetdicom reads it."""
    pdu = A_ASSOCIATE_AC()
    pdu.decode(raw)
    return pdu.to_primitive()


def p_data(context_id: int, control: int, data: bytes) -> bytes:
    """A P-DATA-TF of one presentation data value."""
    value = struct.pack(">IBB", len(data) + 2, context_id, control) + data
    return struct.pack(">BxI", P_DATA, len(value)) + value


def command(**elements: Any) -> bytes:
    """A command set from numbers and UIDs by tag number within group 0000: `command(x0100=0x30, …)`."""
    body = b""
    for name, value in sorted(elements.items()):
        raw = struct.pack("<H", value) if isinstance(value, int) else value.encode()
        raw += b"\0" * (len(raw) % 2)
        body += struct.pack("<HHI", 0, int(name[1:], 16), len(raw)) + raw
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def echo_rq(message_id: int = 1) -> bytes:
    """A C-ECHO-RQ."""
    return command(x0002=VERIFICATION, x0100=0x30, x0110=message_id, x0800=0x0101)


def store_rq(sop_instance_uid: str, message_id: int = 1, sop_class_uid: str = CT) -> bytes:
    """A C-STORE-RQ."""
    return command(x0002=sop_class_uid, x0100=1, x0110=message_id, x0700=0, x0800=1, x1000=sop_instance_uid)


def data_set(sop_instance_uid: str, series: str = "1.2.5", study: str = "1.2.4", size: int = 100) -> bytes:
    """A small explicit VR little endian data set with `size` bytes of pixels."""

    def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", group, number, vr, len(value)) + value

    return (
        element(8, 0x16, b"UI", CT.encode())
        + element(8, 0x18, b"UI", sop_instance_uid.encode())
        + element(0x20, 0x0D, b"UI", study.encode())
        + element(0x20, 0x0E, b"UI", series.encode())
        + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, size)
        + bytes(size)
    )


class Sender:
    """A connection."""

    def __init__(self, port: int, timeout: float = 60) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, *pdus: bytes) -> None:
        """Sends bytes."""
        self.sock.sendall(b"".join(pdus))

    def receive(self) -> tuple[int, bytes]:
        """The next PDU: its type, and all its bytes; (0, b"") at the end of the connection."""
        try:
            head = self._exactly(6)
            body = self._exactly(struct.unpack(">I", head[2:])[0]) if head else b""
        except ConnectionResetError:
            return 0, b""
        return (head[0], head + body) if head else (0, b"")

    def ask(self, *pdus: bytes) -> tuple[int, bytes]:
        """Sends, and receives one PDU."""
        self.send(*pdus)
        return self.receive()

    def associate(self, **request: Any) -> A_ASSOCIATE:
        """Opens an association for CT images and verification."""
        request.setdefault(
            "contexts", [(VERIFICATION, [ExplicitVRLittleEndian]), (CT, [ExplicitVRLittleEndian])]
        )
        kind, raw = self.ask(associate_rq(**request))
        assert kind == AC, (kind, raw)
        return read_accept(raw)

    def store(self, sop_instance_uid: str, data: bytes | None = None, message_id: int = 1) -> int:
        """Stores a data set on context 3; gives the status."""
        data = data_set(sop_instance_uid) if data is None else data
        starts = range(0, max(1, len(data)), FRAGMENT)
        fragments = [
            p_data(3, 0 if at + FRAGMENT < len(data) else 2, data[at : at + FRAGMENT]) for at in starts
        ]
        kind, raw = self.ask(p_data(3, 3, store_rq(sop_instance_uid, message_id)), *fragments)
        assert kind == P_DATA, (kind, raw)
        return status_of(raw)

    def is_closed(self) -> bool:
        """Whether the peer closes the connection, within the time limit."""
        return self.receive() == (0, b"")

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            if not part:
                return b""
            data += part
        return data


def status_of(pdu: bytes) -> int:
    """Status (0000,0900) in a P-DATA-TF that holds a whole response."""
    at = pdu.index(struct.pack("<HHI", 0, 0x0900, 2))
    return int(struct.unpack_from("<H", pdu, at + 8)[0])
