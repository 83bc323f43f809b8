"""A pipeline that notes when it has the device, for tests of a running worker."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dicom_node.pipeline import (
    MILLILITRE,
    VOLUME,
    Case,
    Finding,
    Measurement,
    Options,
    Pipeline,
    Segmentation,
    segment_for,
)


class BlockOptions(Options):
    seconds: float = 0.0
    """Waits so long, and longer while there is a file `hold` in the folder of notes."""
    notes: Path
    grow_mb: int = 0
    weights_mb: int = 0
    dies: bool = False
    fails: bool = False
    """Waits without a word of progress, and raises."""


class Block(Pipeline):
    """Finds what is brighter than the mean, and its volume."""

    name, version, title = "block", "1", "Bright block"
    options_type = BlockOptions
    options: BlockOptions

    def load(self, device: str) -> None:
        self.weights = np.ones((self.options.weights_mb, 125_000))
        self.note("load", device)
        self.note("threads", str(torch.get_num_threads()))
        self.note("nice", str(os.nice(0)))

    def run(self, case: Case) -> Iterable[Finding]:
        uid = str(case.header["SeriesInstanceUID"])
        self.note("begin", uid)
        if self.options.dies:
            os._exit(9)
        while self.options.fails:
            time.sleep(0.02)
            if not (self.options.notes / "hold").exists():
                raise ValueError("as it was told to")
        held: Any = np.ones((self.options.grow_mb, 125_000))
        until = time.monotonic() + self.options.seconds
        while time.monotonic() < until or (self.options.notes / "hold").exists():
            time.sleep(0.02)
            case.progress(0.5)
        del held
        array = (case.volume.array > case.volume.array.mean()).astype(np.uint8)
        yield Segmentation(array, (segment_for("lung"),))
        yield Measurement(VOLUME, float(array.sum()) * case.volume.grid.voxel_ml, MILLILITRE, "lung")
        self.note("end", uid)

    def note(self, what: str, uid: str = "") -> None:
        """One line: time, pid, what, series."""
        with (self.options.notes / "notes").open("a") as file:
            file.write(f"{time.time()} {os.getpid()} {what} {uid}\n")
