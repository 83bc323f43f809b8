"""`dicom-node new-pipeline`: one Python file that runs as it is, with its test beside it."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.cli.common import console, errors

PIPELINE = '''"""NAME: say here what is measured, by which method, and cite it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from dicom_node.pipeline import (
    MILLILITRE,
    VOLUME,
    Case,
    Finding,
    Measurement,
    NotApplicable,
    Options,
    Pipeline,
    Requirements,
    Segmentation,
    segment_for,
)


class CLASSOptions(Options):
    """What a site may set under `options:` in conf.yaml."""

    above: float = 100.0


class CLASS(Pipeline):
    """Everything brighter than a threshold, and its volume."""

    name, version, title = "NAME", "0.1", "TITLE"
    options_type = CLASSOptions
    options: CLASSOptions
    requires = Requirements(modality=("CT",))

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields the mask and its volume, or says that there is nothing."""
        mask = case.volume.array > self.options.above
        if not mask.any():
            yield NotApplicable(f"nothing is brighter than {self.options.above:g}")
            return
        yield Segmentation(mask.astype(np.uint8), (segment_for("TITLE"),))
        value = np.count_nonzero(mask) * case.volume.grid.voxel_ml
        yield Measurement(VOLUME, value, MILLILITRE, segment="TITLE")
'''

TEST = '''"""NAME measures what it should, and says so where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest
from NAME import CLASS

from dicom_node.infer.engine import Engine
from dicom_node.phantom.series import axial_grid
from dicom_node.pipeline import Case, Finding, Input, Measurement, NotApplicable, Volume


def run(array: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> list[Finding]:
    """Runs the pipeline as the node does: input gates before, the findings' contracts after."""
    grid = axial_grid((4, 8, 8), (5.0, 2.0, 2.0))
    volume = Volume(array, grid, "1.2.3", ())
    engine = Engine({"it": CLASS()}, "cpu")
    return engine.run("it", Case({"image": Input(volume, {"Modality": "CT"})}))


def test_a_known_volume_is_measured() -> None:
    array = np.zeros((4, 8, 8), np.float32)
    array[1:3, 2:6, 2:6] = 200
    [volume] = [finding for finding in run(array) if isinstance(finding, Measurement)]
    assert volume.value == pytest.approx(2 * 4 * 4 * 0.02)


def test_nothing_there_is_not_applicable() -> None:
    [finding] = run(np.zeros((4, 8, 8), np.float32))
    assert isinstance(finding, NotApplicable)
'''


def new_pipeline(
    name: Annotated[str, typer.Argument(help='A module\'s name, such as "liver_fat".')],
    folder: Annotated[Path, typer.Option(help="Where to write it.")] = Path(),
) -> None:
    """Write a pipeline that runs as it is, and its test."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        errors.print(f"{name!r} is no module's name: small letters, digits and underscores", style="red")
        raise typer.Exit(1)
    files = {folder / f"{name}.py": PIPELINE, folder / f"test_{name}.py": TEST}
    if taken := [path for path in files if path.exists()]:
        errors.print(f"{taken[0]} exists already, and is left as it is", style="red", highlight=False)
        raise typer.Exit(1)
    kind = "".join(part.capitalize() for part in name.split("_"))
    title = name.replace("_", " ").capitalize()
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text.replace("CLASS", kind).replace("TITLE", title).replace("NAME", name))
        console.print(f"wrote {path}", highlight=False)
    console.print(
        f'in conf.yaml:  pipelines: {{{name}: {{use: "{name}:{kind}"}}}}', markup=False, highlight=False
    )
