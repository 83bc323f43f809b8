"""`dicom-node models` as a person uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from dicom_node.cli.models import models
from dicom_node.models import STORE_VARIABLE, ModelStore
from dicom_node.phantom.series import write_series
from tests.adapters.bundles import write_bundle
from tests.adapters.volumes import AXIAL, lopsided, seen


@pytest.fixture(autouse=True)
def _own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands set the variable for the pipelines that they make; here each test starts without it."""
    monkeypatch.setenv(STORE_VARIABLE, "")
    monkeypatch.delenv(STORE_VARIABLE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "lungs"
    folder.mkdir()
    torch.save({"weight": torch.zeros(3)}, folder / "model.pt")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Lungs, seen by a machine\n")
    return folder


def call(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        models, [*arguments, "--store", str(tmp_path / "store")], env={"COLUMNS": "200", "NO_COLOR": "1"}
    )


def test_from_pull_to_verify(tmp_path: Path, source: Path) -> None:
    assert "no models in" in call(tmp_path, "list").output
    pulled = call(tmp_path, "pull", str(source))
    assert pulled.exit_code == 0
    assert "licence apache-2.0" in pulled.output
    assert "pickles: model.pt" in pulled.output
    assert call(tmp_path, "pull", str(source), "--name", "safe", "--convert").exit_code == 0
    listed = call(tmp_path, "list").output
    assert "lungs" in listed
    assert "safe" in listed
    shown = call(tmp_path, "show", "lungs").output
    assert "Lungs, seen by a machine" in shown
    assert "sha256" in shown
    assert call(tmp_path, "verify").exit_code == 0
    ModelStore(tmp_path / "store").folder("lungs").joinpath("model.pt").write_bytes(b"other")
    broken = call(tmp_path, "verify")
    assert broken.exit_code == 1
    assert "model.pt was changed" in broken.output
    assert "safe: sound" in broken.output


def test_what_can_not_be_done_is_said_in_one_line(tmp_path: Path) -> None:
    missing = call(tmp_path, "pull", str(tmp_path / "nowhere"))
    assert missing.exit_code == 1
    assert "40 hex digits" in missing.output
    shown = call(tmp_path, "show", "nothing")
    assert shown.exit_code == 1
    assert "there is no model 'nothing' in" in shown.output
    assert "Errno" not in shown.output


def test_compare_tells_how_far_a_precision_changes_the_result(tmp_path: Path) -> None:
    write_bundle(tmp_path / "var" / "models" / "lumps")
    array, affine = lopsided()
    volume = seen(array, affine, *AXIAL)
    write_series(volume.array, volume.grid, tmp_path / "head", "MR")
    conf = tmp_path / "conf.yaml"
    options = "{model: lumps, allow_pickle: true, precision: bfloat16, channels_last: true}"
    conf.write_text(
        "node: {data: var}\n"
        f"pipelines:\n  lumps: {{use: 'pipelines.monai_bundle:MonaiBundle', options: {options}}}\n"
    )
    told = CliRunner().invoke(models, ["compare", "lumps", str(tmp_path / "head"), "--config", str(conf)])
    assert told.exit_code == 0, told.output
    assert "equal within 0.01" in told.output
    other = CliRunner().invoke(models, ["compare", "none", str(tmp_path / "head"), "--config", str(conf)])
    assert other.exit_code == 1


def test_warm_loads_what_is_configured(tmp_path: Path) -> None:
    conf = tmp_path / "conf.yaml"
    conf.write_text(
        "node: {data: var}\n"
        "pipelines:\n"
        "  good: {use: 'tests.infer.test_engine:Sound'}\n"
        "  bad: {use: 'pipelines.monai_bundle:MonaiBundle', options: {model: nowhere}}\n"
    )
    good = CliRunner().invoke(models, ["warm", "good", "--config", str(conf)])
    assert good.exit_code == 0, good.output
    assert "good: warm after" in good.output
    every = CliRunner().invoke(models, ["warm", "--config", str(conf)])
    assert every.exit_code == 1
    assert "bad: there is no model 'nowhere'" in every.output
