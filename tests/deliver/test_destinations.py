"""`dicom-node destinations test`, and what it learns from real peers without sending anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from typer.testing import CliRunner, Result

from dicom_node.cli.destinations import destinations
from dicom_node.config import load
from dicom_node.deliver.contexts import LABEL_MAP, Form
from dicom_node.deliver.probe import accepted_contexts, echo, probe
from dicom_node.errors import ConfigError, PeerRefused, PeerUnavailable
from tests.deliver.objects import destination
from tests.deliver.scps import PICTURES_ONLY, picky_storescp, scp
from tests.peers import free_port
from tests.peers.orthanc import Orthanc


def test_orthanc_takes_everything_and_commits(tmp_path: Path) -> None:
    with Orthanc(tmp_path / "pacs") as pacs:
        abilities = probe(destination(pacs.dicom_port), "NODE")
        assert pacs.count() == 0
    for sop_class in (SegmentationStorage, LABEL_MAP, Comprehensive3DSRStorage, SecondaryCaptureImageStorage):
        for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless):
            assert Form(sop_class, syntax) in abilities.forms
    assert abilities.storage_commitment
    assert abilities.lists
    assert abilities.echo_seconds is not None
    assert 0 < abilities.echo_seconds < 5


def test_a_peer_of_pictures_alone_is_seen_through(tmp_path: Path) -> None:
    profile = tmp_path / "storescp.cfg"
    profile.write_text(PICTURES_ONLY)
    with picky_storescp(tmp_path / "received", "-xf", str(profile), "PicturesOnly") as (port, _process):
        abilities = probe(destination(port), "NODE")
        assert accepted_contexts(destination(port), "NODE", [SegmentationStorage]) == frozenset()
    assert abilities.forms == {
        Form(SecondaryCaptureImageStorage, ExplicitVRLittleEndian),
        Form(SecondaryCaptureImageStorage, ImplicitVRLittleEndian),
    }
    assert not abilities.storage_commitment
    assert not abilities.lists
    assert abilities.echo_seconds is None


def test_a_peer_without_c_echo_and_one_that_is_away() -> None:
    with scp(lambda _event: 0) as port, pytest.raises(PeerRefused):
        echo(destination(port), "NODE")
    with pytest.raises(PeerUnavailable, match="connection refused"):
        probe(destination(free_port()), "NODE")


def run(folder: Path, peers: str, *names: str) -> Result:
    config = folder / "conf.yaml"
    config.write_text(f"destinations:\n{peers}")
    return CliRunner().invoke(destinations, ["test", *names, "--config", str(config)])


@pytest.fixture(autouse=True)
def _plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicom_node.cli.destinations.log.configure", lambda **_settings: None)
    monkeypatch.setattr("dicom_node.cli.destinations.console._width", 240)


def line(name: str, port: int) -> str:
    return f"  {name}: {{ae_title: PACS, host: 127.0.0.1, port: {port}, timeout: 5}}\n"


def rows(output: str) -> dict[str, tuple[str, str]]:
    """The lines of the first table of outputs: in which form each goes, and why."""
    table = output.partition("goes as")[2].partition("\u2514")[0]
    cells = [
        [cell.strip() for cell in line.split("\u2502")] for line in table.splitlines() if "\u2502" in line
    ]
    return {cell[1]: (cell[2], cell[3]) for cell in cells if len(cell) > 4 and cell[1]}


def test_the_command_explains_each_destination(tmp_path: Path) -> None:
    profile = tmp_path / "storescp.cfg"
    profile.write_text(PICTURES_ONLY)
    with (
        Orthanc(tmp_path / "pacs") as pacs,
        picky_storescp(tmp_path / "received", "-xf", str(profile), "PicturesOnly") as (port, _process),
    ):
        peers = (
            line("pacs", pacs.dicom_port).replace("}", ", confirm: commitment}")
            + line("pictures", port).replace("}", ", confirm: true, rejection_notes: true}")
            + line("gone", free_port())
        )
        good, all_of_them = run(tmp_path, peers, "pacs"), run(tmp_path, peers)
    assert good.exit_code == 0
    assert "storage commitment: offered" in good.output
    assert "C-ECHO: answered after" in good.output
    assert all_of_them.exit_code == 1
    assert "connection refused" in all_of_them.output
    assert rows(good.output)["seg"] == ("seg", "labelmap: not shown by generic")
    assert rows(good.output)["no result"] == ("sc, sr", "")
    pictures = rows(all_of_them.output.partition("pictures:")[2])
    assert [pictures[output][0] for output in ("seg", "sr", "sc", "no result")] == ["sc"] * 4
    assert "seg: not accepted by the destination; rtstruct: not accepted" in pictures["seg"][1]
    assert "C-ECHO: not offered" in all_of_them.output
    assert "`confirm` is set, but it offers no C-FIND" in all_of_them.output
    assert "`rejection_notes` is set, but it takes no Key Object Selection" in all_of_them.output


def test_a_destination_that_offers_no_storage_commitment(tmp_path: Path) -> None:
    with picky_storescp(tmp_path / "received") as (port, _process):
        result = run(tmp_path, line("old", port).replace("}", ", confirm: commitment}"))
    assert result.exit_code == 1
    assert "`confirm: commitment` is set, but it offers no storage commitment" in result.output


def test_an_output_that_a_destination_takes_in_no_form(tmp_path: Path) -> None:
    profile = tmp_path / "storescp.cfg"
    profile.write_text(PICTURES_ONLY)
    with picky_storescp(tmp_path / "received", "-xf", str(profile), "PicturesOnly") as (port, _process):
        result = run(tmp_path, line("old", port).replace("}", ", outputs: [document, pictures]}"))
    assert result.exit_code == 1
    assert rows(result.output)["pdf"] == ("nothing", "pdf: not accepted by the destination")
    assert "pdf is in `outputs`, but it can have it in no form" in result.output


def test_a_name_that_is_not_configured(tmp_path: Path) -> None:
    result = run(tmp_path, line("pacs", 104), "pasc")
    assert result.exit_code == 2
    assert "pasc" in result.output
    assert "pacs" in result.output


def test_a_destination_by_url_is_asked_for_a_store_of_nothing(tmp_path: Path) -> None:
    with Orthanc(tmp_path / "pacs") as pacs:
        good = run(tmp_path, f"  web: {{url: {pacs.dicomweb_url}}}\n")
        wrong = run(tmp_path, f"  web: {{url: 'http://node:s3cret@127.0.0.1:{pacs.http_port}/nowhere'}}\n")
        assert pacs.count() == 0
    away = run(tmp_path, f"  web: {{url: 'http://127.0.0.1:{free_port()}'}}\n")
    assert good.exit_code == 0
    assert "STOW-RS: answers" in good.output
    assert wrong.exit_code == away.exit_code == 1
    assert "there is no STOW-RS at this url" in wrong.output
    assert "s3cret" not in wrong.output
    assert "connection refused" in away.output


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        ("{ae_title: PACS, port: 104}", 'the key "host" is missing'),
        ("{url: pacs.example/dicom-web}", "https://pacs.example/dicom-web"),
        ("{url: 'https://pacs.example', port: 104}", "its url says already where it is"),
    ],
)
def test_where_a_destination_is_has_to_be_said_once(tmp_path: Path, destination: str, said: str) -> None:
    config = tmp_path / "conf.yaml"
    config.write_text(f"destinations:\n  pacs: {destination}\n")
    with pytest.raises(ConfigError) as fault:
        load(config)
    assert said in str(fault.value)
