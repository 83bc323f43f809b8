"""The stages of one run, called in a row: what was done to the images is told with the results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_node.config import Config
from dicom_node.geometry import Grid
from dicom_node.infer.engine import Engine
from dicom_node.node.finishing import Ran
from dicom_node.node.orders import Order
from dicom_node.node.running import run
from dicom_node.phantom import axial_grid, write_series
from dicom_node.records import JobState
from tests.node.slow_block import Block, BlockOptions

SHAPE = (12, 40, 48)


class Straightened(Block):
    allow_resampling = True


def ran(
    folder: Path, grid: Grid, kind: type[Block] = Block, attributes: Mapping[str, Any] | None = None
) -> Ran:
    """A run on a series of noise on this grid."""
    array = np.random.default_rng(0).integers(-900, 900, SHAPE).astype(np.int16)
    paths = write_series(array, grid, folder / "series", "CT", attributes)
    pipeline = kind(BlockOptions(notes=folder))
    order = Order(
        job_id="0123",
        pipeline="block",
        paths={"image": paths},
        revision=1,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        takers=(),
        algorithm=pipeline.algorithm,
        title=pipeline.title,
        resample=pipeline.allow_resampling,
    )
    return run(order, Engine({"block": pipeline}, "cpu"), Config(), lambda _fraction: None)


def report_of(one: Ran) -> str:
    """Every text of the report."""
    ds = next(obj.ds for obj in one.objects if obj.kind == "sr")
    return "\n".join(str(element.value) for element in ds.iterall() if element.keyword == "TextValue")


def tilted(degrees: float) -> Grid:
    grid = axial_grid(SHAPE, (3.0, 1.0, 1.0))
    affine = grid.affine.copy()
    affine[1, 0] += 3.0 * np.tan(np.radians(degrees))
    return Grid(SHAPE, affine)


@pytest.mark.parametrize(
    ("kind", "said"), [(Block, "tilted by 15.0 degrees"), (Straightened, "15.0 degrees was sheared away")]
)
def test_what_is_odd_with_the_images_stands_in_the_report(
    tmp_path: Path, kind: type[Block], said: str
) -> None:
    one = ran(tmp_path, tilted(15.0), kind)
    assert (one.state, one.reason) == (JobState.DONE, None)
    assert said in report_of(one)


def test_images_without_oddities_add_nothing(tmp_path: Path) -> None:
    one = ran(tmp_path, axial_grid(SHAPE, (3.0, 1.0, 1.0)))
    assert one.state == JobState.DONE
    assert {type(finding).__name__ for finding in one.findings} == {"Segmentation", "Measurement"}


def test_a_series_of_scouts_is_not_applicable_and_nothing_has_failed(tmp_path: Path) -> None:
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    one = ran(tmp_path, axial_grid(SHAPE, (3.0, 1.0, 1.0)), attributes=scout)
    assert (one.state, one.findings) == (JobState.NOT_APPLICABLE, ())
    assert one.reason == "there are only localizers or pictures of the screen, no slices"
