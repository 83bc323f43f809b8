"""A pipeline that notes how many slices each of its runs was given."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from dicom_node.pipeline import MILLILITRE, VOLUME, Case, Finding, Measurement, Options, Pipeline


class NotingOptions(Options):
    notes: Path
    seconds: float = 0.0


class Noting(Pipeline):
    """Measures how large the volume is, after a while."""

    name, version, title = "noting", "1", "Extent of the volume"
    options_type = NotingOptions
    options: NotingOptions

    def run(self, case: Case) -> Iterable[Finding]:
        until = time.monotonic() + self.options.seconds
        while time.monotonic() < until:
            time.sleep(0.02)
            case.progress(0.5)
        array, grid = case.volume.array, case.volume.grid
        with self.options.notes.open("a") as file:
            file.write(f"{case.header['SeriesInstanceUID']} {len(array)}\n")
        yield Measurement(VOLUME, array.size * grid.voxel_ml, MILLILITRE)
