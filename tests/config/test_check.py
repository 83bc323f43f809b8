"""`dicom-node check` as an administrator sees it."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner

from dicom_node.cli.check import check

CONF = Path(__file__).parents[2] / "conf.yaml"


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(check)
    return app


def test_a_right_file_is_summed_up() -> None:
    result = CliRunner().invoke(_app(), ["--config", str(CONF)])
    assert result.exit_code == 0
    for said in ("DICOMNODE", "pipelines.ct_lung:CtLung", "127.0.0.1:4242", "is right"):
        assert said in result.output


def test_a_wrong_file_is_told_fault_by_fault(tmp_path: Path) -> None:
    path = tmp_path / "conf.yaml"
    path.write_text(CONF.read_text().replace("run: lung", "run: lnug").replace("port: 4242", "port: 424242"))
    result = CliRunner().invoke(_app(), ["--config", str(path)])
    assert result.exit_code == 1
    assert 'run: there is no pipeline "lnug"; did you mean "lung"?' in result.output
    assert "destinations.pacs.port: found 424242; must be at most 65535" in result.output
    assert "2 faults" in result.output


def test_a_missing_file_is_one_fault(tmp_path: Path) -> None:
    result = CliRunner().invoke(_app(), ["--config", str(tmp_path / "conf.yaml")])
    assert result.exit_code == 1
    assert "can't be read: No such file or directory" in result.output


def test_what_a_route_does_is_said(tmp_path: Path) -> None:
    path = tmp_path / "conf.yaml"
    hours = 'hours: [{start: "20:00", end: "06:00"}]\n    shadow: true\n    run: lung'
    path.write_text(CONF.read_text().replace("run: lung", hours))
    result = CliRunner().invoke(_app(), ["--config", str(path)], terminal_width=200)
    assert result.exit_code == 0
    said = " ".join(result.output.split())
    assert "runs lung, at certain times, in shadow, sends nothing" in said
