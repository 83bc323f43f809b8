"""A pipeline whose cases may share a pass, and which some of them spoil, for tests of a running worker."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dicom_node.pipeline import MILLILITRE, VOLUME, Case, Finding, Measurement, Segmentation, segment_for
from tests.node.slow_block import Block, BlockOptions


class SharedOptions(BlockOptions):
    at_once: int = 4


class Shared(Block):
    """As Block; a file named "fails", "dies" or "grows" and a series' UID says what its image does."""

    options_type = SharedOptions
    options: SharedOptions

    def __init__(self, options: SharedOptions) -> None:
        super().__init__(options)
        self.at_once = options.at_once

    def run(self, case: Case) -> Iterable[Finding]:
        [findings] = self.run_many([case])
        return findings

    def run_many(self, cases: Sequence[Case]) -> list[list[Finding]]:
        uids = [str(case.header["SeriesInstanceUID"]) for case in cases]
        self.note("pass", "+".join(uids))
        if self._told("fails", uids):
            raise ValueError("an image that spoils the pass")
        if self._told("dies", uids):
            os._exit(9)
        grown: Any = np.ones((600 if self._told("grows", uids) else 0, 125_000))
        while grown.size or (self.options.notes / "hold").exists():
            time.sleep(0.02)
            for case in cases:
                case.progress(0.5)
        for uid in uids:
            self.note("end", uid)
        return [list(found(case)) for case in cases]

    def _told(self, what: str, uids: Sequence[str]) -> bool:
        return any((self.options.notes / f"{what}-{uid}").exists() for uid in uids)


def found(case: Case) -> Iterable[Finding]:
    """What is brighter than the mean, and its volume."""
    array = (case.volume.array > case.volume.array.mean()).astype(np.uint8)
    yield Segmentation(array, (segment_for("lung"),))
    yield Measurement(VOLUME, float(array.sum()) * case.volume.grid.voxel_ml, MILLILITRE, "lung")
