"""A made-up case through an aide's stages: what is done first takes longest, and no study waits for it."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dicom_node.config import Config
from dicom_node.encode import get_ahead, to_bytes
from dicom_node.findings import Algorithm, Finding
from dicom_node.node.finishing import finish
from dicom_node.node.orders import Order
from dicom_node.node.preparing import prepare
from dicom_node.phantom import axial_grid, write_series
from dicom_node.pipeline import MILLILITRE, VOLUME, Measurement, Segmentation, segment_for

_GRID = axial_grid((4, 32, 32), (5.0, 1.0, 1.0))


def warm_up(config: Config) -> None:
    """Reads a small series and encodes a structure in it, and leaves nothing behind.

    What has been imported and made by then stays: no collection of garbage looks at it again, which would
    take as long as encoding does.
    """
    with TemporaryDirectory(prefix="dicom-node-") as folder:
        order = Order(
            job_id="warm-up",
            pipeline="warm-up",
            paths={"image": write_series(np.zeros(_GRID.shape, np.int16), _GRID, Path(folder), "CT")},
            revision=1,
            created_at=datetime.now(UTC),
            takers=(),
            algorithm=Algorithm("warm-up", "1"),
            title="Warm-up",
        )
        prepared = prepare(order, config)
        get_ahead(prepared.context)
        for one in finish(prepared, _found()).objects:
            to_bytes(one)
    gc.collect()
    gc.freeze()


def _found() -> list[Finding]:
    mask = np.zeros(_GRID.shape, np.uint8)
    mask[1:3, 8:24, 8:24] = 1
    return [Segmentation(mask, (segment_for("lung"),)), Measurement(VOLUME, 0.5, MILLILITRE, "lung")]
