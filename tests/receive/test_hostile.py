"""A hostile afternoon: mutated PDUs and data sets, scans, resets; others are served, nothing leaks."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.peers import wait_until
from tests.receive.scp import Scp, receiver
from tests.receive.upper_layer import (
    PLAIN_RELEASE_RQ,
    Sender,
    associate_rq,
    command,
    data_set,
    echo_rq,
    p_data,
    store_rq,
)

SOAK_MUTATIONS = 60_000
MUTATIONS_EACH = 25
ATTACKERS, BATCH = 12, 1000
SECRET = b"DOE^JANE"


@pytest.fixture(scope="module")
def scp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scp]:
    folder = tmp_path_factory.mktemp("hostile")
    with receiver(folder, artim_timeout=1, idle_timeout=2, network_timeout=2) as running:
        yield running


CONTEXTS = [
    ("1.2.840.10008.1.1", ["1.2.840.10008.1.2.1"]),
    ("1.2.840.10008.5.1.4.1.1.2", ["1.2.840.10008.1.2.1"]),
    ("1.2.840.10008.1.20.1", ["1.2.840.10008.1.2.1"]),
    ("1.2.840.10008.3.1.2.3.3", ["1.2.840.10008.1.2.1"]),
]
PATIENT = struct.pack("<HH2sH", 0x10, 0x10, b"PN", len(SECRET)) + SECRET


def image(uid: str) -> bytes:
    """A data set with a patient's name."""
    plain = data_set(uid)
    at = plain.index(b"\x20\x00\x0d\x00")
    return plain[:at] + PATIENT + plain[at:]


def conversation(seed: int) -> list[bytes]:
    """What an honest sender says, PDU by PDU."""
    uid = f"1.2.6.{seed}"
    action = command(x0003="1.2.840.10008.1.20.1", x0100=0x130, x0110=3, x0800=1, x1001="1.2", x1008=1)
    create = command(x0002="1.2.840.10008.3.1.2.3.3", x0100=0x140, x0110=4, x0800=1, x1000=uid)
    half = len(image(uid)) // 2
    return [
        associate_rq(CONTEXTS),
        p_data(1, 3, echo_rq()),
        p_data(3, 3, store_rq(uid)),
        p_data(3, 0, image(uid)[:half]),
        p_data(3, 2, image(uid)[half:]),
        p_data(5, 3, action),
        p_data(5, 2, image(uid)),
        p_data(7, 3, create),
        p_data(7, 2, image(uid)),
        PLAIN_RELEASE_RQ,
    ]


def mutate(pdus: list[bytes], chance: random.Random) -> list[bytes]:
    """Flips, cuts, doubles, swaps, lengthens: one or a few of the PDUs."""
    pdus = list(pdus)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(pdus))
        pdu = bytearray(pdus[at] or b"\0")
        kind = chance.randrange(8)
        if kind == 0:
            pdu[chance.randrange(len(pdu))] = chance.randrange(256)
        elif kind == 1:
            pdu = pdu[: chance.randrange(len(pdu))]
        elif kind == 2:
            pdu[2:6] = struct.pack(">I", chance.choice((0, 1, 3, 5, 7, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)))
        elif kind == 3:
            spot = chance.randrange(len(pdu))
            pdu[spot:spot] = chance.randbytes(chance.randint(1, 40))
        elif kind == 4:
            spot = chance.randrange(len(pdu))
            pdu[spot : spot + 4] = chance.choice((b"\xff" * 4, b"\0" * 4, b"\xff\xff\0\0"))
        elif kind == 5:
            pdus.insert(at, bytes(pdu))
        elif kind == 6:
            other = chance.randrange(len(pdus))
            pdus[other], pdu = bytes(pdu), bytearray(pdus[other])
        else:
            pdu = bytearray(chance.randbytes(chance.randint(1, 200)))
        pdus[at] = bytes(pdu)
    return pdus


def attack(port: int, pdus: list[bytes]) -> None:
    """Says it all, listens a little, and hangs up."""
    with suppress(OSError), Sender(port, timeout=0.02) as sender:
        for pdu in pdus:
            sender.send(pdu)
        sender.sock.shutdown(socket.SHUT_WR)
        while sender.sock.recv(65_536):
            pass


def is_served(port: int, uid: str) -> None:
    with Sender(port) as sender:
        sender.associate()
        assert sender.store(uid) == 0


def check_tidy(scp: Scp) -> None:
    """Nothing half-received is left, and nothing that is held is half of anything."""
    incoming = scp.spool.root / "incoming"
    wait_until(lambda: not list(incoming.glob("[!.]*")), what="the end of what was in hand")
    for one in scp.spool.walk():
        assert one.sop_instance_uid


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_mutations(scp: Scp, seed: int) -> None:
    attack(scp.port, mutate(conversation(seed), random.Random(seed)))
    is_served(scp.port, "1.2.99")


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_fifty_thousand_mutations(scp: Scp, capsys: pytest.CaptureFixture[str]) -> None:
    process, began = psutil.Process(), time.monotonic()

    def attack_as(seed: int) -> None:
        attack(scp.port, mutate(conversation(seed // MUTATIONS_EACH), random.Random(seed)))

    with ThreadPoolExecutor(ATTACKERS) as attackers:
        for start in range(0, SOAK_MUTATIONS, BATCH):
            list(attackers.map(attack_as, range(start, start + BATCH)))
            is_served(scp.port, f"1.2.99.{start}")
            if start == 5 * BATCH:
                before = process.memory_info().rss
    check_tidy(scp)
    grown = process.memory_info().rss - before
    took = time.monotonic() - began
    with capsys.disabled():
        print(f"{SOAK_MUTATIONS} mutated conversations in {took:.0f} s, {grown >> 20} MB more")
    assert grown < 40 << 20


def test_what_goes_wrong_is_logged_without_patient_data(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs, receiver(tmp_path, artim_timeout=1) as scp:
        for seed in range(150):
            attack(scp.port, mutate(conversation(seed), random.Random(seed)))
        is_served(scp.port, "1.2.99")
    written = repr(logs).encode() + b"".join(
        path.read_bytes() for path in (scp.spool.root / "journals").iterdir() if path.is_file()
    )
    assert SECRET not in written
    assert [entry for entry in logs if entry["event"] == "connection_failed"] == []
    assert {entry["event"] for entry in logs} > {"receiver_starts", "receiver_stopped"}


@pytest.mark.parametrize(
    "opening",
    [
        b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"SSH-2.0-OpenSSH_9.0\r\n",
        b"\r\n",
        b"\0" * 1000,
        bytes(range(256)) * 400,
        b"",
    ],
    ids=["HTTP", "TLS", "SSH", "newline", "zeros", "everything", "nothing"],
)
def test_scanners_and_probes(scp: Scp, opening: bytes) -> None:
    for _ in range(20):
        with suppress(OSError), socket.create_connection(("127.0.0.1", scp.port)) as probe:
            probe.sendall(opening)
    is_served(scp.port, "1.2.99")
    check_tidy(scp)


def test_resets_in_the_middle(scp: Scp) -> None:
    whole = b"".join(conversation(1))
    for cut in range(0, len(whole), max(1, len(whole) // 60)):
        sender = Sender(scp.port)
        sender.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sender.send(whole[:cut])
        sender.sock.close()
    is_served(scp.port, "1.2.99")
    check_tidy(scp)


def test_memory_and_file_descriptors_stay_flat(tmp_path: Path) -> None:
    """A thousand associations of every ending; `make soak` has the long form."""
    endure(tmp_path, associations=1000, settled=300)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_memory_and_file_descriptors_stay_flat_over_a_hundred_thousand(tmp_path: Path) -> None:
    endure(tmp_path, associations=100_000, settled=5000)


def endure(folder: Path, associations: int, settled: int) -> None:
    """Verifies, stores, aborts, breaks off, is rejected: and measures after `settled` and at the end."""
    with receiver(folder, artim_timeout=1) as scp:
        process = psutil.Process()
        open_files = memory = 0
        for number in range(associations):
            with suppress(OSError), Sender(scp.port) as sender:
                _one_of_five(sender, number)
            if number == settled:
                time.sleep(2)  # the last connections go
                open_files, memory = process.num_fds(), process.memory_info().rss
        wait_until(lambda: process.num_fds() <= open_files + 5, what="no more files are open than before")
        assert process.memory_info().rss <= memory + (24 << 20)


def _one_of_five(sender: Sender, number: int) -> None:
    """An association that is rejected, released, or broken off: idle, after an image, in its midst."""
    if number % 5 == 0:
        sender.ask(associate_rq(called="OTHER"))
        return
    sender.associate(calling=f"S{number % 7}")
    if number % 5 == 1:
        sender.ask(p_data(1, 3, echo_rq()))
        sender.ask(PLAIN_RELEASE_RQ)
    elif number % 5 == 2:
        assert sender.store("1.2.6") == 0
    elif number % 5 == 3:
        sender.send(p_data(3, 3, store_rq("1.2.7")), p_data(3, 0, b"half"))
