"""docs/writing-a-pipeline.md tells the truth, and `new-pipeline` writes what runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

import dicom_node.pipeline
from dicom_node.cli.models import models
from dicom_node.cli.new_pipeline import new_pipeline
from dicom_node.config import pipeline_class
from dicom_node.infer.engine import Engine
from dicom_node.phantom.series import axial_grid
from dicom_node.pipeline import Case, Input, Measurement, NotApplicable, Pipeline, Volume

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "writing-a-pipeline.md").read_text()


def example() -> str:
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_is_short_and_measures_what_it_says() -> None:
    assert len(example().strip().splitlines()) < 40
    names: dict[str, Any] = {"__name__": "air"}
    exec(compile(example(), "air.py", "exec"), names)  # noqa: S102 - the page's own example
    kind: type[Pipeline] = names["Air"]
    array = np.full((6, 20, 20), -1000, np.float32)
    array[:, 2:18, 2:18] = 40
    array[2:4, 8:12, 8:12] = -980
    case = Case(
        {"image": Input(Volume(array, axial_grid((6, 20, 20), (5, 2, 2)), "1.2", ()), {"Modality": "CT"})}
    )
    findings = Engine({"air": kind()}, "cpu").run("air", case)
    [volume] = [finding for finding in findings if isinstance(finding, Measurement)]
    assert volume.value == pytest.approx(2 * 4 * 4 * 0.02)
    array[2:4] = 40
    [nothing] = Engine({"air": kind()}, "cpu").run("air", case)
    assert nothing == NotApplicable("no air inside the body")


def test_every_adapter_named_on_the_page_can_be_used() -> None:
    rows = re.findall(r"^\| `(pipelines\.\S+)`(?:, `(:\w+)`)?", PAGE, re.MULTILINE)
    assert len(rows) >= 8
    for use, other in rows:
        assert issubclass(pipeline_class(use), Pipeline)
        if other:
            assert issubclass(pipeline_class(use.split(":")[0] + other), Pipeline)


def test_every_function_named_on_the_page_is_public() -> None:
    for name in re.findall(r"`(\w+)\(", PAGE):
        assert hasattr(dicom_node.pipeline, name) or hasattr(Pipeline, name) or name == "progress", name


def call(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(new_pipeline)
    return CliRunner().invoke(app, list(arguments))


def test_a_new_pipeline_runs_with_its_test(tmp_path: Path) -> None:
    made = call("liver_fat", "--folder", str(tmp_path))
    assert made.exit_code == 0, made.output
    assert 'use: "liver_fat:LiverFat"' in made.output
    paths = os.pathsep.join((str(tmp_path), str(CHECKOUT)))
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env=os.environ | {"PYTHONPATH": paths},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in tested.stdout, tested.stdout
    again = call("liver_fat", "--folder", str(tmp_path))
    assert again.exit_code == 1
    assert "exists already" in again.output


@pytest.mark.skipif(find_spec("ruff") is None, reason="the linter is not installed (dicom-node[dev])")
def test_a_new_pipeline_is_clean(tmp_path: Path) -> None:
    call("liver_fat", "--folder", str(tmp_path))
    config = str(CHECKOUT / "pyproject.toml")
    linted = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", config, str(tmp_path / "liver_fat.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("name", ["Liver", "liver-fat", "class", "../liver", ""])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    assert call(name, "--folder", str(tmp_path)).exit_code == 1
    assert list(tmp_path.iterdir()) == []


ADAPTERS = (
    "pipelines.monai_bundle:MonaiBundle",
    "pipelines.torch_file:TorchFile",
    "pipelines.transformers_classify:ImageClassifier",
    "pipelines.transformers_zero_shot:ZeroShot",
    "pipelines.transformers_detect:Detector",
    "pipelines.transformers_segment:PromptedSegmenter",
    "pipelines.transformers_embed:ImageEmbedder",
    "pipelines.transformers_draft:TextDrafter",
    "pipelines.transformers_extract:ReportExtractor",
)


@pytest.mark.parametrize("use", ADAPTERS)
def test_every_option_of_an_adapter_is_described(use: str) -> None:
    page = (CHECKOUT / "docs" / "models.md").read_text()
    assert use in page
    schema = pipeline_class(use).options_type.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    for name in {name for part in parts for name in part.get("properties", {})}:
        assert f"`{name}`" in page, name


def test_every_command_is_described() -> None:
    page = (CHECKOUT / "docs" / "models.md").read_text()
    for command in models.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        assert f"dicom-node models {name}" in page
