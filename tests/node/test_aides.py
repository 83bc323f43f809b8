"""An aide's process outlives what its jobs trip over."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from dicom_node.config import Config
from dicom_node.errors import Permanent
from dicom_node.findings import Algorithm
from dicom_node.node.aides import AideProcess, Limits
from dicom_node.node.orders import Order
from dicom_node.phantom import axial_grid, write_series
from dicom_node.records import Job

UNLIMITED = Limits(0, None)


def test_what_fails_while_a_model_runs_is_told_when_the_job_is_finished(tmp_path: Path) -> None:
    """A pipeline that gives numbers as its parameters, which are texts."""
    grid = axial_grid((2, 8, 8), (5.0, 1.0, 1.0))
    paths = write_series(np.zeros(grid.shape, np.int16), grid, tmp_path / "series", "CT")
    odd = Algorithm("ct-lung", "1.2", parameters=(("threshold", 0.3),))  # type: ignore[arg-type]
    now = datetime.now(UTC)
    order = Order("job", "lung", {"image": paths}, 1, now, (), odd, "Lungs")
    job = Job("job", "1.2", {"image": "1.2.3"}, 1, "all", "lung", (), now, 0, 1)
    aide = AideProcess(Config(), tmp_path / "spool")
    try:
        aide.prepare(order, UNLIMITED)
        with pytest.raises(Permanent, match="the node itself failed: TypeError"):
            aide.finish(job, [], UNLIMITED)
        assert aide.prepare(order, UNLIMITED), "the process lives"
    finally:
        aide.stop()
