"""Associations with peers that say anything at all: an error in words, never a hang or a crash."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.association import NothingAccepted, associate
from dicom_node.config.models import DestinationConfig
from dicom_node.errors import NodeError, PeerRefused, PeerUnavailable
from tests.deliver.scps import tcp_listener
from tests.peers import free_port

C_ECHO_RQ = 0x0030
VERIFICATION = UID("1.2.840.10008.1.1")


def peer(port: int, timeout: float = 30) -> DestinationConfig:
    return DestinationConfig(ae_title="PACS", host="127.0.0.1", port=port, timeout=timeout)


def echo(port: int) -> int:
    command = Dataset()
    command.CommandField, command.AffectedSOPClassUID = C_ECHO_RQ, VERIFICATION
    with associate(peer(port), "NODE", [build_context(VERIFICATION)]) as assoc:
        context = assoc.context(VERIFICATION)
        assert context is not None
        return assoc.ask(context, command).status


def attempt(port: int) -> tuple[str, int]:
    """What went wrong in words, or the status."""
    try:
        return "", echo(port)
    except NodeError as error:
        return str(error), -1


def recorded_answers() -> tuple[bytes, bytes]:
    """What a real acceptor says to our request: its A-ASSOCIATE-AC, and its answer to a C-ECHO."""
    sent: list[bytes] = []
    ae = AE("PACS")
    ae.add_supported_context(VERIFICATION, [ExplicitVRLittleEndian, "1.2.840.10008.1.2"])
    port = free_port()
    record = (evt.EVT_DATA_SENT, lambda event: sent.append(bytes(event.data)))
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[record])
    assert isinstance(server, ThreadedAssociationServer)
    try:
        assert echo(port) == 0
    finally:
        server.shutdown()
    return sent[0], sent[1]


ACCEPT, ECHOED = recorded_answers()


def saying(*answers: bytes) -> Callable[[socket.socket], None]:
    """Answers each PDU received with the next answer, then closes."""

    def converse(connection: socket.socket) -> None:
        connection.settimeout(30)
        for answer in answers:
            header = connection.recv(6, socket.MSG_WAITALL)
            if len(header) < 6:
                return
            connection.recv(struct.unpack(">BxL", header)[1], socket.MSG_WAITALL)
            connection.sendall(answer)

    return converse


def test_a_recorded_peer_is_understood() -> None:
    with tcp_listener(saying(ACCEPT, ECHOED)) as port:
        assert echo(port) == 0


@given(st.binary(max_size=200))
@example(b"")
@example(bytes((2, 0, 0, 0, 0, 0)))
@example(bytes((2, 0, 0xFF, 0xFF, 0xFF, 0xFF)))
@example(bytes((6, 0, 0, 0, 0, 4, 0, 0, 0, 0)))
def test_any_bytes_for_an_answer_are_an_error_in_words(answer: bytes) -> None:
    with tcp_listener(saying(answer)) as port, pytest.raises(NodeError, match=r"PACS at 127\.0\.0\.1"):
        echo(port)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # pydicom's, of odd values
@given(position=st.integers(6, len(ACCEPT) - 1), value=st.integers(0, 255))
def test_any_byte_of_an_acceptance_may_be_wrong(position: int, value: int) -> None:
    answer = bytearray(ACCEPT)
    answer[position] = value
    with tcp_listener(saying(bytes(answer), ECHOED)) as port:
        fault, status = attempt(port)
        assert status == 0 or "PACS at 127.0.0.1" in fault


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # pydicom's, of odd values
@given(position=st.integers(6, len(ECHOED) - 1), value=st.integers(0, 255))
def test_any_byte_of_a_response_may_be_wrong(position: int, value: int) -> None:
    answer = bytearray(ECHOED)
    answer[position] = value
    with tcp_listener(saying(ACCEPT, bytes(answer))) as port:
        fault, status = attempt(port)
        assert 0 <= status <= 0xFFFF or "PACS at 127.0.0.1" in fault


@pytest.mark.parametrize(
    ("result", "source", "diagnostic", "fault", "words"),
    [
        (1, 1, 3, PeerRefused, "does not know our AE title; add NODE"),
        (1, 1, 7, PeerRefused, "it is not called PACS"),
        (1, 1, 1, PeerRefused, "gave no reason"),
        (1, 1, 2, PeerRefused, "application context"),
        (2, 1, 1, PeerUnavailable, "gave no reason"),
        (2, 3, 1, PeerUnavailable, "congested"),
        (2, 3, 2, PeerUnavailable, "limit of associations"),
        (1, 3, 2, PeerUnavailable, "limit of associations"),
        (9, 9, 9, PeerUnavailable, "gave no reason"),
    ],
)
def test_each_rejection_is_told_apart(
    result: int, source: int, diagnostic: int, fault: type[Exception], words: str
) -> None:
    answer = bytes((3, 0, 0, 0, 0, 4, 0, result, source, diagnostic))
    with tcp_listener(saying(answer)) as port, pytest.raises(fault, match=words):
        echo(port)


def test_a_peer_that_accepts_no_context_is_told_apart() -> None:
    with tcp_listener(saying(_with_result(3))) as port, pytest.raises(NothingAccepted):
        echo(port)


def _with_result(result: int) -> bytes:
    """The acceptance with another result in its one presentation context item (PS3.8 table 9-18)."""
    answer = bytearray(ACCEPT)
    at = answer.index(b"\x21\x00")
    answer[at + 6] = result
    return bytes(answer)


def test_an_error_in_our_own_code_aborts_the_association() -> None:
    heard: list[bytes] = []

    def converse(connection: socket.socket) -> None:
        saying(ACCEPT)(connection)
        heard.append(connection.recv(10, socket.MSG_WAITALL))

    with tcp_listener(converse) as port:
        with (
            pytest.raises(ZeroDivisionError),
            associate(peer(port), "NODE", [build_context(VERIFICATION)]),
        ):
            _ = 1 / 0
        with socket.create_connection(("127.0.0.1", port)):
            pass
    assert heard[0][0] == 7


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # pydicom's, of odd values
def test_an_answer_that_is_not_understood_ends_the_association() -> None:
    command = Dataset()
    command.CommandField, command.AffectedSOPClassUID = C_ECHO_RQ, VERIFICATION
    broken = bytearray(ECHOED)
    broken[-16:] = b"\xff" * 16
    with (
        tcp_listener(saying(ACCEPT, bytes(broken))) as port,
        associate(peer(port), "NODE", [build_context(VERIFICATION)]) as assoc,
    ):
        with pytest.raises(PeerUnavailable, match="malformed"):
            assoc.ask(assoc.contexts[0], command)
        assert assoc.ended
