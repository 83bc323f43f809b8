"""`dicom-node send`, as a person runs it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import typer
from pydicom import dcmread, dcmwrite
from pydicom.uid import RLELossless, SegmentationStorage
from typer.testing import CliRunner, Result

from dicom_node.cli.send import send
from tests.deliver.objects import write_object
from tests.deliver.scps import PICTURES_ONLY, picky_storescp
from tests.peers import free_port
from tests.peers.dcmtk import storescp

app = typer.Typer()
app.command()(send)


@pytest.fixture(autouse=True)
def _plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom_node.cli.send.log.configure", lambda **_settings: None)
    monkeypatch.setattr("dicom_node.cli.send.console._width", 200)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    images = tmp_path / "images" / "deeper"
    images.mkdir(parents=True)
    for _ in range(3):
        write_object(images)
    write_object(images, sop_class=SegmentationStorage, syntax=RLELossless)
    (tmp_path / "images" / "notes.txt").write_text("not DICOM")
    (tmp_path / "images" / "empty").touch()
    return tmp_path / "images"


def test_a_folder_is_sent_throughout_and_the_rest_is_named(folder: Path, tmp_path: Path) -> None:
    with storescp(tmp_path / "peer") as peer:
        result = run(folder, f"127.0.0.1:{peer.port}", "--called", "STORESCP")
        assert len(peer.files()) == 4
    assert result.exit_code == 0
    assert "Secondary Capture Image Storage" in result.output
    assert "2 files without DICOM file meta information: not sent" in result.output


def test_a_file_that_names_no_class_is_left_out_and_told(tmp_path: Path) -> None:
    write_object(tmp_path)
    (path,) = tmp_path.iterdir()
    ds = dcmread(path)
    ds.file_meta.MediaStorageSOPClassUID = ""
    dcmwrite(path, ds, enforce_file_format=False)
    result = run(tmp_path, f"127.0.0.1:{free_port()}")
    assert result.exit_code == 1
    assert "1 files that don't say which SOP class or instance they are: not sent" in result.output


def test_one_file_is_sent(folder: Path, tmp_path: Path) -> None:
    with storescp(tmp_path / "peer") as peer:
        result = run(folder / "deeper" / "0001.dcm", f"localhost:{peer.port}")
        assert len(peer.files()) == 1
    assert result.exit_code == 0


def test_what_is_refused_is_told_with_the_reason_and_the_exit_status(folder: Path, tmp_path: Path) -> None:
    profile = tmp_path / "storescp.cfg"
    profile.write_text(PICTURES_ONLY)
    with picky_storescp(tmp_path / "received", "-xf", str(profile), "PicturesOnly") as (port, _process):
        result = run(folder, f"127.0.0.1:{port}")
    assert result.exit_code == 1
    assert "does not accept Segmentation Storage as RLE Lossless" in result.output
    assert len(list((tmp_path / "received").iterdir())) == 3


def test_a_peer_that_is_away_fails(folder: Path) -> None:
    result = run(folder, f"127.0.0.1:{free_port()}")
    assert result.exit_code == 1
    assert "connection refused" in result.output


def test_a_folder_without_images_fails(tmp_path: Path) -> None:
    assert run(tmp_path, "127.0.0.1:104").exit_code == 1


@pytest.mark.parametrize("peer", ["pacs", "pacs:", ":104", "pacs:dicom", "pacs:70000"])
def test_an_address_that_is_none_is_explained(folder: Path, peer: str) -> None:
    result = run(folder, peer)
    assert result.exit_code == 2
    assert "HOST:PORT" in result.output


@pytest.mark.parametrize("option", ["--called", "--ae-title"])
def test_an_ae_title_that_is_none_is_explained(folder: Path, option: str) -> None:
    result = run(folder, "127.0.0.1:104", option, "A-TITLE-OF-MORE-THAN-16")
    assert result.exit_code == 2
    assert "16 ASCII characters" in result.output


def test_a_dicomdir_is_left_out(shared_data: Path, tmp_path: Path) -> None:
    shutil.copy(next((shared_data / "dicomdir").rglob("DICOMDIR")), tmp_path)
    result = run(tmp_path, "127.0.0.1:104")
    assert result.exit_code == 1
    assert "1 DICOMDIR" in result.output
