"""A large object passes through a small memory."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.receive.scp import processes
from tests.receive.upper_layer import FRAGMENT, Sender, data_set, p_data, status_of, store_rq

MEGABYTES = 250


def peak_megabytes(pid: int) -> float:
    """The largest resident memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def test_memory_does_not_grow_with_the_object(tmp_path: Path) -> None:
    head = data_set("1.2.6", size=0)[:-4] + struct.pack("<I", MEGABYTES << 20)
    with processes(tmp_path) as receivers, Sender(receivers.port, timeout=120) as sender:
        sender.associate()
        assert sender.store("1.2.5") == 0
        before = peak_megabytes(receivers.running[0].pid)
        sender.send(p_data(3, 3, store_rq("1.2.6")), p_data(3, 0, head))
        left, block = MEGABYTES << 20, bytes(FRAGMENT)
        while left > FRAGMENT:
            sender.send(p_data(3, 0, block))
            left -= FRAGMENT
        assert status_of(sender.ask(p_data(3, 2, block[:left]))[1]) == 0
        after = peak_megabytes(receivers.running[0].pid)
        (large,) = [one for one in receivers.scp().stored() if one.sop_instance_uid == "1.2.6"]
    assert large.size > MEGABYTES << 20
    assert after < 120
    assert after - before < 8
