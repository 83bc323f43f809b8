"""`dicom-node run` and the command itself, as a person reads what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from dicom_node import __version__
from dicom_node.cli.app import app
from dicom_node.cli.run import findings_table
from dicom_node.findings import Code, Measurement
from dicom_node.phantom import axial_grid, write_series

CONF = """
pipelines:
  block:
    use: "tests.node.slow_block:Block"
    options: {notes: NOTES}
"""


def run(folder: Path, slices: int, **attributes: object) -> Result:
    """The command on a CT of so many slices."""
    (folder / "conf.yaml").write_text(CONF.replace("NOTES", str(folder)))
    array = np.random.default_rng(0).integers(-900, 900, (slices, 40, 48)).astype(np.int16)
    grid = axial_grid(array.shape, (3.0, 1.0, 1.0))
    write_series(array, grid, folder / "images", "CT", {"SeriesDescription": "", **attributes})
    options = ["--output", str(folder / "out"), "--config", str(folder / "conf.yaml")]
    return CliRunner().invoke(app, ["run", "block", str(folder / "images"), *options])


def test_a_scout_is_one_image_and_has_no_table(tmp_path: Path) -> None:
    result = run(tmp_path, 1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert result.exit_code == 0, result.output
    assert "CT, 1 image: not applicable" in result.output
    assert "measured" not in result.output


def test_a_description_is_shown_as_it_is(tmp_path: Path) -> None:
    result = run(tmp_path, 12, SeriesDescription="thorax [b]1mm")
    assert "CT thorax [b]1mm, 12 images: done" in result.output
    assert "measured" in result.output


def test_units_are_shown_as_people_read_them() -> None:
    mean = Measurement(Code("373098007", "SCT", "Mean"), -806.2, Code("[hnsf'U]", "UCUM", "Hounsfield unit"))
    console = Console(width=100)
    with console.capture() as said:
        console.print(findings_table((mean,)))
    assert "HU" in said.get()
    assert "hnsf" not in said.get()


@pytest.mark.parametrize("option", ["--version"])
def test_the_version_is_told(option: str) -> None:
    result = CliRunner().invoke(app, [option])
    assert (result.exit_code, result.output.strip()) == (0, __version__)
