"""Series that the tests make themselves, read as the node reads them, with findings whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_node.encode import EncodeContext
from dicom_node.findings import (
    Algorithm,
    Classification,
    Code,
    Detection,
    Finding,
    Heatmap,
    Measurement,
    Picture,
    Segment,
    Segmentation,
    Text,
)
from dicom_node.geometry import Grid, Volume
from dicom_node.headers import read_header
from dicom_node.phantom import write_series
from dicom_node.volume import read_volume

ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
LUNG = Code("39607008", "SCT", "Lung")
LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")
VOLUME = Code("118565006", "SCT", "Volume")
MEAN = Code("373098007", "SCT", "Mean")
ML = Code("ml", "UCUM", "ml")
HU = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
CREATED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@dataclass
class Worked:
    """A series on disk, as it was read, and what was found in it."""

    paths: list[Path]
    headers: list[Dataset]
    volume: Volume
    findings: list[Finding]
    context: EncodeContext

    @property
    def mask(self) -> Segmentation:
        return next(finding for finding in self.findings if isinstance(finding, Segmentation))


def oblique_grid(shape: tuple[int, int, int]) -> Grid:
    """A grid turned about two axes, of unequal spacings, so that a swapped axis or sign shows."""
    a, b = np.deg2rad(20), np.deg2rad(10)
    turn_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    directions = (turn_z @ turn_x)[:, ::-1]  # columns: normal, rows downward, columns to the right
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array([2.5, 0.9, 0.8])
    affine[:3, 3] = (-40.5, 12.25, 100.125)
    return Grid(shape, affine)


def two_boxes(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Two structures of different size in different corners; slices at both ends stay empty."""
    mask = np.zeros(shape, dtype=np.uint8)
    mask[2:7, 5:20, 3:17] = 1
    mask[5:9, 22:30, 19:24] = 2
    return mask


def segments() -> tuple[Segment, Segment]:
    return (
        Segment("Right lung", ANATOMY, LUNG, RIGHT, (230, 60, 60)),
        Segment("Left lung", ANATOMY, LUNG, LEFT),
    )


def measured(mask: NDArray[np.uint8], volume: Volume) -> list[Finding]:
    found: list[Finding] = [Segmentation(mask, segments())]
    for number, segment in enumerate(segments(), start=1):
        inside = mask == number
        ml = float(inside.sum()) * volume.grid.voxel_ml
        mean = float(volume.array[inside].mean())
        found.append(Measurement(VOLUME, ml, ML, segment.label))
        found.append(Measurement(MEAN, mean, HU, segment.label, doubt="a contrast agent was given"))
    found.append(Measurement(VOLUME, float((mask > 0).sum()) * volume.grid.voxel_ml, ML))
    return found


def context_of(
    headers: Sequence[Dataset], volume: Volume, title: str = "Lung volumes", **changes: object
) -> EncodeContext:
    algorithm = Algorithm("ct-lung", "1.2", parameters=(("threshold", "-500"),), source="A. Author, 2001")
    given: dict[str, object] = {"job_id": "job", "revision": 1, "created_at": CREATED, **changes}
    return EncodeContext({"image": headers}, {"image": volume}, algorithm, title, **given)  # type: ignore[arg-type]


def worked(folder: Path, shape: tuple[int, int, int] = (10, 36, 28), modality: str = "CT") -> Worked:
    """A small oblique series with two structures. 36 x 28 pixels don't fill whole bytes in a bit mask."""
    rng = np.random.default_rng(3)
    array = rng.integers(-1000, 400, size=shape).astype(np.int16)
    paths = write_series(array, oblique_grid(shape), folder, modality)  # type: ignore[arg-type]
    headers = [read_header(path) for path in paths]
    volume = read_volume(paths)
    return Worked(paths, headers, volume, measured(two_boxes(shape), volume), context_of(headers, volume))


def everything(case: Worked) -> list[Finding]:
    """Findings of every kind on a case: for forms that show more than masks and measurements."""
    heat = np.zeros(case.volume.array.shape, dtype=np.float32)
    heat[3:6, 8:16, 6:14] = np.linspace(0.2, 1.0, 8, dtype=np.float32)
    nodule = Code("27925004", "SCT", "Nodule")
    drawn = np.full((90, 120, 3), 60, dtype=np.uint8)
    return [
        *case.findings,
        Heatmap(heat, "Where the model looked"),
        Classification(Code("404684003", "SCT", "Finding"), nodule, 0.87, support="one slice of ten"),
        Detection(
            nodule, (2, 6, 4), (4, 12, 10), 0.62, (Measurement(VOLUME, 1.25, ML, digits=2),), "nodule-1"
        ),
        Text((("Both lungs are clear.", "volumes"), ("No effusion.", None))),
        Picture(drawn, "Curve"),
    ]
