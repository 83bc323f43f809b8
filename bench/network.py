"""A pipeline that costs what its options say: convolutions with random weights, and a note of their time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

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

SLAB = 16
"""Slices that the network sees at once."""


class NetworkOptions(Options):
    """How much it computes, and where it tells."""

    channels: int = 8
    passes: int = Field(default=1, ge=0)
    notes: Path | None = None
    """A file to which each run adds a line: when its network began and ended (seconds of the epoch)."""


class Network(Pipeline):
    """A few convolutions at full resolution; finds a block, so that its results are those of any mask."""

    name, version, title = "network", "1", "Network"
    options_type = NetworkOptions
    options: NetworkOptions

    def load(self, device: str) -> None:
        """Makes the network."""
        import torch

        torch.manual_seed(0)
        width = self.options.channels
        layers: list[torch.nn.Module] = [torch.nn.Conv3d(1, width, 3, padding=1), torch.nn.ReLU()]
        for _ in range(self.options.passes):
            layers += [torch.nn.Conv3d(width, width, 3, padding=1), torch.nn.ReLU()]
        self._network = torch.nn.Sequential(*layers, torch.nn.Conv3d(width, 2, 1)).to(device).eval()
        self._device = device
        self.seconds = 0.0

    def run(self, case: Case) -> Iterable[Finding]:
        """Yields a mask and its volume."""
        began = time.time()
        array = self._inferred(case)
        ended = time.time()
        self.seconds = ended - began
        if self.options.notes is not None:
            with self.options.notes.open("a") as file:
                file.write(f"{began} {ended}\n")
        array[:] = 0
        array[tuple(slice(n // 4, n // 2) for n in array.shape)] = 1
        yield Segmentation(array, (segment_for("lung"),))
        volume = float(np.count_nonzero(array)) * case.volume.grid.voxel_ml
        yield Measurement(VOLUME, volume, MILLILITRE, "lung")

    def _inferred(self, case: Case) -> NDArray[np.uint8]:
        import torch

        array = np.empty(case.volume.grid.shape, np.uint8)
        with torch.no_grad():
            for k in range(0, len(array), SLAB):
                slab = torch.from_numpy(case.volume.array[k : k + SLAB].astype(np.float32))[None, None]
                array[k : k + SLAB] = self._network(slab.to(self._device))[0].argmax(dim=0).byte().cpu()
        return array
