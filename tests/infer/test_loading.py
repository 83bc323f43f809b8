"""Import strings and entry points, and what each mistake says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dicom_node.config.models import PipelineConfig
from dicom_node.errors import ConfigError
from dicom_node.infer.loading import make_pipeline, make_pipelines, pipeline_class
from tests.infer.test_engine import Raising, Sound

HERE = "tests.infer.test_engine"


def test_an_import_string_makes_a_pipeline_with_its_options() -> None:
    assert isinstance(make_pipeline(f"{HERE}:Sound", {}), Sound)
    made = make_pipeline(f"{HERE}:Raising", {"kind": "input"})
    assert isinstance(made, Raising)
    assert made.options.kind == "input"


@pytest.mark.parametrize(
    ("use", "options", "said"),
    [
        ("no.such:Thing", {}, "no module 'no'"),
        (f"{HERE}:Nothing", {}, "holds no 'Nothing'"),
        (f"{HERE}:make_case", {}, "no subclass"),
        ("tests.infer.cases:Segment", {}, "no subclass"),
        ("lungs", {}, "installed pipelines"),
        (f"{HERE}:Raising", {}, "options.kind: Field required"),
        (f"{HERE}:Sound", {"colour": 1}, "options.colour: Extra inputs"),
        ("dicom_node.pipeline:Pipeline", {}, "does not set name"),
    ],
)
def test_each_mistake_says_what_it_is(use: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_pipeline(use, options)
    assert said in str(caught.value)


def test_a_module_that_lacks_a_package_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_more.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="needs 'no_such_package', which is not installed"):
        pipeline_class("needs_more:Mine")


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        make_pipelines({"a": PipelineConfig(use="no.a:A"), "b": PipelineConfig(use="no.b:B")})
    assert "pipelines.a" in str(caught.value)
    assert "pipelines.b" in str(caught.value)


def test_an_installed_package_brings_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "brought-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[dicom_node.pipelines]\nbrought-sound = {HERE}:Sound\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert pipeline_class("brought-sound") is Sound
