"""What bench/models.py asks of the product, the product still gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.harness import OURS
from bench.models import warm_cases
from dicom_node.phantom import axial_grid, write_series

SHAPE = (4, 32, 32)


def test_the_own_time_of_a_warm_case_can_be_measured(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)
    write_series(array, axial_grid(SHAPE, (2.0, 1.0, 1.0)), tmp_path, "CT")
    cases = list(warm_cases(tmp_path))
    assert [case.name.rpartition(", ")[2] for case in cases] == [
        "engine alone",
        "from files",
        "files to SEG and SR",
    ]
    assert all(case.subjects[OURS]() > 0 for case in cases)
