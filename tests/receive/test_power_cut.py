"""What a disk holds at the moment of an answer: mounted again, every acknowledged image is there, whole."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_node.spool import Spool
from tests.receive.scp import receiver
from tests.receive.upper_layer import Sender, data_set, p_data, store_rq


@contextmanager
def mounted(disk: Path, folder: Path) -> Iterator[Path]:
    """A disk image as a file system; skips where the machine doesn't let us."""
    folder.mkdir()
    done = subprocess.run(["mount", "-o", "loop", disk, folder], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("this machine does not let us mount a disk image")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def a_disk(path: Path) -> Path:
    """An empty ext4 file system of 64 MB in a file."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4", path="/usr/sbin:/sbin") is None:
        pytest.skip("only root can mount a disk image, and mkfs.ext4 makes it")
    with path.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", path], check=True)
    return path


@pytest.mark.fault
def test_acknowledged_images_are_on_the_disk(tmp_path: Path) -> None:
    """The disk is copied while in use, between an answer and the next request, as a power cut leaves it."""
    disk = a_disk(tmp_path / "disk")
    sizes = {f"1.2.6.{number}": 2 * (1 + number * 9973 % 60_000) for number in range(30)}
    series = {uid: f"1.2.5.{number // 10}" for number, uid in enumerate(sizes)}
    data = {uid: data_set(uid, series=series[uid], size=size) for uid, size in sizes.items()}
    copies: dict[Path, set[str]] = {}
    with mounted(disk, tmp_path / "mounted") as folder, receiver(folder) as scp, Sender(scp.port) as sender:
        sender.associate()
        for number, uid in enumerate(sizes):
            assert sender.store(uid, data[uid]) == 0
            if number in (0, 9, 10, 29):
                copy = tmp_path / f"copy{number}"
                shutil.copyfile(disk, copy)
                copies[copy] = set(list(sizes)[: number + 1])
        sender.send(p_data(3, 3, store_rq("1.2.7")), p_data(3, 0, bytes(1000)))
    for copy, acknowledged in copies.items():
        with mounted(copy, copy.with_suffix(".mounted")) as folder:
            spool = Spool(folder / "spool")
            held = {one.sop_instance_uid: spool.path(one.path).read_bytes() for one in spool.walk()}
            spool.folders.close()
        assert set(held) == acknowledged
        assert all(held[uid].endswith(data[uid]) for uid in acknowledged)
