"""The acceptor's rows of PS3.8 table 9-10, each shown to a running receiver over a socket."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.receive.scp import Scp, receiver
from tests.receive.upper_layer import (
    ABORT,
    AC,
    P_DATA,
    PLAIN_ABORT,
    PLAIN_RELEASE_RP,
    PLAIN_RELEASE_RQ,
    PLAIN_RJ,
    RELEASE_RP,
    RJ,
    Sender,
    associate_rq,
    echo_rq,
    p_data,
    status_of,
)

SERVICE_USER, SERVICE_PROVIDER = 0, 2
UNRECOGNIZED, UNEXPECTED, INVALID = 1, 2, 6
UNKNOWN_PDU = struct.pack(">BxI", 0x47, 8) + bytes(8)
PLAIN_AC = bytes([AC]) + associate_rq()[1:]
ECHO = p_data(1, 3, echo_rq())


@pytest.fixture(scope="module")
def scp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scp]:
    with receiver(tmp_path_factory.mktemp("scp"), artim_timeout=1.0, idle_timeout=3.0) as running:
        yield running


@pytest.fixture
def sender(scp: Scp) -> Iterator[Sender]:
    with Sender(scp.port) as connection:
        yield connection


def is_alive(scp: Scp) -> bool:
    with Sender(scp.port) as other:
        other.associate()
        return other.ask(ECHO)[0] == P_DATA


def abort_of(raw: bytes) -> tuple[int, int]:
    """Source and reason of an A-ABORT."""
    return raw[8], raw[9]


@pytest.mark.parametrize(
    "pdu",
    [PLAIN_AC, PLAIN_RJ, ECHO, PLAIN_RELEASE_RQ, PLAIN_RELEASE_RP, UNKNOWN_PDU],
    ids=["AC", "RJ", "P-DATA", "RELEASE-RQ", "RELEASE-RP", "unknown"],
)
def test_sta2_aborts_what_is_no_request(sender: Sender, pdu: bytes) -> None:
    kind, raw = sender.ask(pdu)  # AA-1
    assert kind == ABORT
    assert abort_of(raw)[0] == SERVICE_USER
    assert sender.is_closed()  # after ARTIM: AA-2


def test_sta2_accepts_a_request(sender: Sender) -> None:
    assert sender.ask(associate_rq())[0] == AC  # AE-6, AE-7


def test_sta2_rejects_a_request(sender: Sender) -> None:
    kind, raw = sender.ask(associate_rq(called="ELSEWHERE"))  # AE-6, AE-8
    assert kind == RJ
    assert tuple(raw[7:10]) == (1, 1, 7)
    assert sender.is_closed()


def test_sta2_closes_on_abort(sender: Sender) -> None:
    sender.send(PLAIN_ABORT)  # AA-2
    assert sender.is_closed()


def test_sta2_closes_when_artim_expires(sender: Sender) -> None:
    assert sender.is_closed()  # AA-2


def test_sta2_closes_when_artim_expires_within_a_request(sender: Sender) -> None:
    sender.send(associate_rq()[:40])
    assert sender.is_closed()


@pytest.mark.parametrize("cut", [0, 5, 40])
def test_sta2_survives_a_connection_that_ends(scp: Scp, cut: int) -> None:
    with Sender(scp.port) as sender:
        sender.send(associate_rq()[:cut])
    assert is_alive(scp)  # AA-5


@pytest.mark.parametrize(
    ("pdu", "reason"),
    [
        (associate_rq(), UNEXPECTED),
        (PLAIN_AC, UNEXPECTED),
        (PLAIN_RJ, UNEXPECTED),
        (PLAIN_RELEASE_RP, UNEXPECTED),
        (UNKNOWN_PDU, UNRECOGNIZED),
        (p_data(9, 3, echo_rq()), INVALID),
        (p_data(1, 2, b"data without a command"), INVALID),
        (p_data(1, 3, b"no command set"), INVALID),
        (struct.pack(">BxIIBB", P_DATA, 20, 99, 1, 3) + bytes(14), INVALID),
        (struct.pack(">BxIIBB", P_DATA, 6, 1, 1, 3), INVALID),
        (struct.pack(">BxIIBB", P_DATA, 1 << 31, 1 << 30, 1, 3), INVALID),
        (p_data(1, 1, bytes(16_000)) + p_data(1, 1, bytes(16_000)), INVALID),
    ],
    ids=[
        "RQ",
        "AC",
        "RJ",
        "RELEASE-RP",
        "unknown",
        "context not accepted",
        "data first",
        "bad command",
        "value longer than its PDU",
        "value shorter than its header",
        "larger than agreed",
        "endless command",
    ],
)
def test_sta6_aborts_what_has_no_place(scp: Scp, sender: Sender, pdu: bytes, reason: int) -> None:
    sender.associate()
    kind, raw = sender.ask(pdu)  # AA-8
    assert kind == ABORT
    assert abort_of(raw) == (SERVICE_PROVIDER, reason)
    assert sender.is_closed()
    assert is_alive(scp)


def test_sta6_serves_data(sender: Sender) -> None:
    sender.associate()
    kind, raw = sender.ask(ECHO)  # DT-2
    assert (kind, status_of(raw)) == (P_DATA, 0)


def test_sta6_takes_fragments_however_they_are_cut(sender: Sender) -> None:
    sender.associate()
    request = echo_rq()
    values = [struct.pack(">IBB", 3, 1, 1) + request[i : i + 1] for i in range(len(request) - 1)]
    values.append(struct.pack(">IBB", 3, 1, 3) + request[-1:])
    half = len(values) // 2
    for part in (values[:half], values[half:]):
        body = b"".join(part)
        sender.send(struct.pack(">BxI", P_DATA, len(body)) + body)
    assert status_of(sender.receive()[1]) == 0


def test_sta6_serves_bytes_that_come_one_by_one(sender: Sender) -> None:
    sender.associate()
    for byte in ECHO:
        sender.send(bytes([byte]))
    assert status_of(sender.receive()[1]) == 0


def test_sta6_serves_requests_that_come_at_once(sender: Sender) -> None:
    sender.associate()
    sender.send(*(p_data(1, 3, echo_rq(number)) for number in range(1, 6)))
    assert [status_of(sender.receive()[1]) for _ in range(5)] == [0] * 5


def test_sta6_answers_release(sender: Sender) -> None:
    sender.associate()
    assert sender.ask(PLAIN_RELEASE_RQ)[0] == RELEASE_RP  # AR-2, AR-4


def test_sta6_closes_on_abort(sender: Sender) -> None:
    sender.associate()
    sender.send(PLAIN_ABORT)  # AA-3
    assert sender.is_closed()


def test_sta6_aborts_an_idle_peer(sender: Sender) -> None:
    sender.associate()
    kind, raw = sender.receive()
    assert kind == ABORT
    assert abort_of(raw) == (SERVICE_PROVIDER, 0)


@pytest.mark.parametrize("first", ["released", "rejected", "aborted"])
@pytest.mark.parametrize(
    ("pdu", "answer"),
    [
        (associate_rq(), ABORT),  # AA-7
        (UNKNOWN_PDU, ABORT),  # AA-7
        (PLAIN_AC, 0),  # AA-6
        (PLAIN_RJ, 0),
        (ECHO, 0),
        (PLAIN_RELEASE_RQ, 0),
        (PLAIN_RELEASE_RP, 0),
        (PLAIN_ABORT, 0),  # AA-2
    ],
    ids=["RQ", "unknown", "AC", "RJ", "P-DATA", "RELEASE-RQ", "RELEASE-RP", "ABORT"],
)
def test_sta13_waits_for_the_end(sender: Sender, first: str, pdu: bytes, answer: int) -> None:
    if first == "rejected":
        assert sender.ask(associate_rq(called="ELSEWHERE"))[0] == RJ
    else:
        sender.associate()
        ended, expected = (PLAIN_RELEASE_RQ, RELEASE_RP) if first == "released" else (PLAIN_AC, ABORT)
        assert sender.ask(ended)[0] == expected
    assert sender.ask(pdu)[0] == answer
    assert sender.is_closed()


def test_a_request_of_another_protocol_version_is_rejected(sender: Sender) -> None:
    request = bytearray(associate_rq())
    request[6:8] = b"\0\2"
    kind, raw = sender.ask(bytes(request))
    assert kind == RJ
    assert tuple(raw[7:10]) == (1, 2, 2)


def test_another_application_context_is_rejected(sender: Sender) -> None:
    kind, raw = sender.ask(associate_rq().replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.9"))
    assert kind == RJ
    assert tuple(raw[7:10]) == (1, 1, 2)


def test_the_longest_request_is_read(tmp_path: Path) -> None:
    syntaxes = [f"1.2.840.10008.1.2.4.{number}" for number in range(50, 107)]
    request = associate_rq([("1.2.840.10008.5.1.4.1.1.2", syntaxes)] * 128)
    assert len(request) > 190_000
    with receiver(tmp_path) as scp, Sender(scp.port, timeout=60) as sender:
        assert sender.ask(request)[0] == AC
