"""What a machine lacks is told by `check`, and by `serve` before it starts, with its key and its line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dicom_node.cli.app import app
from dicom_node.config import load
from dicom_node.node.surroundings import lacks
from tests.peers import free_port

ROUTE = {"name": "brain", "run": "brain"}
PIPELINES = {"brain": {"use": "tests.node.slow_block:Block", "options": {"notes": "/tmp"}}}  # noqa: S108


def conf(folder: Path, **sections: Any) -> Path:
    """A conf.yaml without a fault, but for these sections."""
    node = {"address": "127.0.0.1", "port": free_port(), "data": "data"} | sections.pop("node", {})
    path = folder / "conf.yaml"
    whole = {"node": node, "web": None, "pipelines": PIPELINES, "routes": [ROUTE]}
    path.write_text(json.dumps(whole | {"receive": {"free_disk_mb": 1}} | sections, indent=1))
    return path


def said(command: str, path: Path) -> Result:
    return CliRunner().invoke(app, [command, "--config", str(path)])


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A file system that can't be written."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = tmp_path / "mounted"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", folder]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def refused_everywhere(path: Path, *words: str) -> None:
    """Both commands tell it, in words, and end with 1."""
    for command in ("check", "serve"):
        result = said(command, path)
        assert result.exit_code == 1, result.output
        assert isinstance(result.exception, SystemExit)
        for word in words:
            assert word in result.output


def test_a_right_configuration_lacks_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = conf(tmp_path)
    result = said("check", path)
    assert result.exit_code == 0, result.output
    assert "note:" not in result.output
    assert sorted(one.name for one in tmp_path.iterdir()) == ["conf.yaml"]


@pytest.mark.parametrize("data", ["/etc/passwd", "/etc/passwd/data", "/proc/nothing"])
def test_a_data_folder_that_can_be_none_is_named_with_its_line(tmp_path: Path, data: str) -> None:
    path = conf(tmp_path, node={"data": data})
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if '"data"' in text)
    refused_everywhere(path, f"{path}:{line}: node.data: {data} can't be used: ")


@pytest.mark.parametrize("data", ["/etc/passwd", "/proc/nothing"])
def test_status_names_it_rather_than_a_ledger_that_is_not_there_yet(tmp_path: Path, data: str) -> None:
    result = said("status", conf(tmp_path, node={"data": data}))
    assert result.exit_code == 1
    assert f"node.data: {data} can't be used: " in result.output
    assert "there is no ledger yet" not in result.output
    assert "there is no ledger yet" in said("status", conf(tmp_path)).output


@pytest.mark.parametrize("data", ["/etc/passwd", "/proc/nothing"])
def test_commands_that_open_the_data_folder_name_it_too(tmp_path: Path, data: str) -> None:
    result = said("reindex", conf(tmp_path, node={"data": data}))
    assert isinstance(result.exception, SystemExit)
    assert f"the data folder {data} (node.data) can't be used" in result.output


def test_a_file_system_that_cannot_be_written_is_named(tmp_path: Path, read_only: Path) -> None:
    data = read_only / "data"
    refused_everywhere(
        conf(tmp_path, node={"data": str(data)}), f"{data} can't be used: Read-only file system"
    )
    refused_everywhere(conf(tmp_path, node={"data": str(read_only)}), "Read-only file system")
    for command in ("status", "reindex"):
        result = said(command, conf(tmp_path, node={"data": str(data)}))
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit), result.exception
        assert str(data) in result.output


def test_each_tls_file_that_is_missing_is_named_by_its_key(tmp_path: Path) -> None:
    (tmp_path / "node.pem").write_text("no certificate")
    files = {"certificate": "node.pem", "key": "node.key", "authorities": "ca.pem"}
    path = conf(tmp_path, receive={"tls": files})
    refused_everywhere(
        path,
        f"receive.tls.key: {tmp_path / 'node.key'} can't be read: No such file",
        f"receive.tls.authorities: {tmp_path / 'ca.pem'} can't be read: No such file",
    )
    assert "receive.tls.certificate" not in said("check", path).output
    refused_everywhere(conf(tmp_path, receive={"tls": dict.fromkeys(files, "node.pem")}), "receive.tls can't")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("oracle://ledger", "possible: postgresql, sqlite"),
        ("mysql+pymysql://ledger", "possible: postgresql, sqlite"),
        ("postgresql+pg9000://ledger", "postgresql+psycopg://"),
        ("sqlite://", "needs a file"),
    ],
)
def test_a_database_that_can_hold_no_ledger_is_told(tmp_path: Path, url: str, why: str) -> None:
    refused_everywhere(conf(tmp_path, node={"database": url}), "node.database: ", why)


@pytest.mark.parametrize("address", ["192.0.2.77", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_told(tmp_path: Path, address: str) -> None:
    path = conf(tmp_path, node={"address": address})
    refused_everywhere(path, f"node.address: {address} is no address of this machine")
    page = conf(tmp_path, web={"address": address})
    assert f"note: web.address: {address} is no address" in said("check", page).output


@pytest.mark.parametrize(
    ("node", "web", "shared"),
    [
        ("127.0.0.1", {"port": 11333}, True),
        ("0.0.0.0", {"address": "127.0.0.1", "port": 11333}, True),  # noqa: S104
        ("127.0.0.1", {"address": "127.0.0.2", "port": 11333}, False),
        ("127.0.0.1", {"port": 11334}, False),
        ("127.0.0.1", None, False),
    ],
)
def test_the_status_page_needs_a_port_of_its_own(tmp_path: Path, node: str, web: Any, shared: bool) -> None:
    path = conf(tmp_path, node={"address": node, "port": 11333}, web=web)
    result = said("check", path)
    told = "web.port: the node and its status page would both listen on 11333" in result.output
    assert (told, result.exit_code) == (shared, int(shared)), result.output


def test_the_default_port_of_the_status_page_counts_too(tmp_path: Path) -> None:
    path = tmp_path / "conf.yaml"
    path.write_text("node:\n  port: 11180\n")
    assert f"{path}:2: node.port: the node and its status page would both" in said("check", path).output


def test_what_a_node_can_start_without_is_noted(tmp_path: Path) -> None:
    path = conf(tmp_path, receive={"free_disk_mb": 1 << 40}, routes=[])
    noted = [str(lack.fault) for lack in lacks(load(path)) if not lack.needed]
    assert [note.partition(":")[0] for note in noted] == ["receive.free_disk_mb", "routes"]
    assert f"below {1 << 40} MB images are refused, and {tmp_path} has" in noted[0]
    result = said("check", path)
    assert result.exit_code == 0
    for note in noted:
        assert f"note: {note}" in result.output


def test_a_device_that_is_not_there_is_noted(tmp_path: Path) -> None:
    result = said("check", conf(tmp_path, node={"devices": ["cpu", "cuda:77"]}))
    assert result.exit_code == 0
    assert "note: node.devices[1]: there is no device cuda:77 that PyTorch can use" in result.output


def test_an_empty_file_makes_a_node_without_routes_and_check_says_so(tmp_path: Path) -> None:
    path = tmp_path / "conf.yaml"
    path.write_text("")
    result = said("check", path)
    assert result.exit_code == 0
    assert "note: routes: there are none; images are kept, and nothing is made of them" in result.output


def test_check_tells_where_the_status_page_is(tmp_path: Path) -> None:
    port = free_port()
    output = said("check", conf(tmp_path, web={"port": port})).output
    assert f"http://127.0.0.1:{port}" in output
    assert "http" not in said("check", conf(tmp_path)).output


def test_a_disk_that_may_be_filled_wholly_is_noted(tmp_path: Path) -> None:
    result = said("check", conf(tmp_path, receive={"free_disk_mb": 0}))
    assert result.exit_code == 0, result.output
    assert "receive.free_disk_mb: 0: images are taken until the disk is full" in result.output
