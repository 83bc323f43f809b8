"""Marks at known places in the patient are found there again, on the source's own frames.

Each mark is drawn on a series, read, segmented by a pipeline, brought back to the source's slices, and then
placed by the source files' own headers, without any of the code under test: within half a voxel.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from numpy.typing import NDArray
from pydicom.uid import generate_uid
from scipy import ndimage

from dicom_node.errors import GeometryError
from dicom_node.findings import Code, Finding, Segment, Segmentation
from dicom_node.geometry import Grid
from dicom_node.phantom import reoriented, write_series
from dicom_node.pipeline import Case, Input, Pipeline
from dicom_node.volume import read_straight, read_volume

MARKS = np.asarray([(22.0, -31.0, 12.0), (-25.0, 8.0, -22.0), (9.0, 27.0, 24.0)])
"""LPS mm; no symmetry maps one onto another."""
CODE = Code("91723000", "SCT", "Anatomical Structure")
RADII_MM = (5.0, 6.5, 8.0)
"""By which the marks are told apart."""
SHAPE, SPACING = (24, 44, 36), (3.5, 2.0, 2.4)


class Marker(Pipeline):
    """Segments what is bright, and numbers the marks by their size."""

    name, version, title, allow_resampling = "marker", "1", "Marks", True

    def run(self, case: Case) -> Iterable[Finding]:
        mask = marks_in(case.volume.array)
        yield Segmentation(mask, tuple(Segment(f"mark {n}", CODE, CODE) for n in (1, 2, 3)))


def marks_in(array: NDArray[Any]) -> NDArray[np.uint8]:
    labels, count = ndimage.label(array >= 500)
    assert count == 3
    order = np.argsort(np.bincount(labels.ravel())[1:]) + 1
    table = np.zeros(4, np.uint8)
    table[order] = (1, 2, 3)
    return table[labels]


def straight_grid() -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.diag(SPACING[::-1]))
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(SHAPE) - 1) / 2)
    return Grid(SHAPE, affine)


def turned(grid: Grid, degrees: tuple[float, float, float]) -> Grid:
    """The grid turned about the patient's axes."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = (n for n in range(3) if n != axis)
        step = np.eye(3)
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    affine = np.eye(4)
    affine[:3] = turn @ grid.affine[:3]
    return Grid(grid.shape, affine)


def tilted(grid: Grid, degrees: float) -> Grid:
    """The grid with its slices' origins moved along the columns, as a tilted gantry does."""
    affine = grid.affine.copy()
    affine[:3, 0] += np.tan(np.radians(degrees)) * grid.spacing[0] * grid.directions[:, 1]
    shift = affine[:3, :3] @ ((np.asarray(grid.shape) - 1) / 2)
    affine[:3, 3] = -shift
    return Grid(grid.shape, affine)


def drawn(grid: Grid) -> NDArray[np.int16]:
    points = grid.to_patient(np.stack(np.indices(grid.shape), axis=-1))
    array = np.zeros(grid.shape, np.int16)
    for mark, radius in zip(MARKS, RADII_MM, strict=True):
        array[np.linalg.norm(points - mark, axis=-1) <= radius] = 1000
    return array


def placed_by_headers(paths: list[Path], frames: Any, mask: NDArray[np.generic]) -> dict[int, list[float]]:
    """Mean place of each mark's voxels, weighted by the distance of slices, from IPP, IOP and spacing."""
    planes = dict(plane for path in paths for plane in file_planes(path))
    found: dict[int, list[Any]] = {}
    order = sorted(
        range(len(frames)), key=lambda k: float(planes[key(frames[k])][0] @ planes[key(frames[k])][3])
    )
    heights = np.asarray([planes[key(frames[k])][0] @ planes[key(frames[k])][3] for k in order])
    weights = dict(zip(order, np.gradient(heights) if len(heights) > 1 else [1.0], strict=True))
    for k, frame in enumerate(frames):
        position, down, right, _ = planes[key(frame)]
        for n in (1, 2, 3):
            for j, i in np.argwhere(mask[k] == n):
                found.setdefault(n, []).append((*(position + j * down + i * right), weights[k]))
    return {
        n: list(np.average(np.asarray(v)[:, :3], axis=0, weights=np.asarray(v)[:, 3]))
        for n, v in found.items()
    }


def key(frame: Any) -> tuple[str, int]:
    return frame.sop_instance_uid, frame.number or 1


def file_planes(path: Path) -> Iterable[tuple[tuple[str, int], tuple[Any, ...]]]:
    ds = pydicom.dcmread(path)
    for number in range(1, int(ds.get("NumberOfFrames", 1)) + 1):
        sources = [ds]
        if "PerFrameFunctionalGroupsSequence" in ds:
            per, shared = (
                ds.PerFrameFunctionalGroupsSequence[number - 1],
                ds.SharedFunctionalGroupsSequence[0],
            )
            sources = [element.value[0] for group in (per, shared) for element in group if element.VR == "SQ"]

        def get(keyword: str, sources: list[Any] = sources) -> Any:
            return next(
                np.asarray(source[keyword].value, float)
                for source in sources
                if source.get(keyword) is not None
            )

        cosines, (between_rows, between_columns) = get("ImageOrientationPatient"), get("PixelSpacing")
        down, right = cosines[3:] * between_rows, cosines[:3] * between_columns
        yield (
            (ds.SOPInstanceUID, number),
            (
                get("ImagePositionPatient"),
                down,
                right,
                np.cross(cosines[:3], cosines[3:]),
            ),
        )


def assert_marks(paths: list[Path], voxel: tuple[float, ...]) -> None:
    """Every mark is found within half a voxel along each axis, whichever way the series is read."""
    shuffled = random.Random(5).sample(paths, len(paths))
    straight = read_straight(shuffled)
    given = Case({"image": Input(straight.volume, {})})
    (found,) = Marker().run(given)
    (finding,) = straight.back([found])
    assert isinstance(finding, Segmentation)
    assert finding.array.shape == straight.target.array.shape
    on_target = finding.array
    if straight.straightening and not straight.even:  # its results lie on the box, and also map back
        for n, mark in enumerate(MARKS, start=1):
            centre = straight.target.grid.to_patient(np.argwhere(finding.mask(n)).mean(0))
            assert np.linalg.norm(centre - mark) <= 0.5 * max(voxel)
        finding = replace(finding, array=straight.straightening.back(finding.array))
    assert finding.array.shape == straight.source.array.shape
    assert len(straight.source.frames) == straight.source.array.shape[0]
    places = placed_by_headers(paths, straight.source.frames, finding.array)
    to_voxels = np.linalg.inv(straight.source.grid.affine[:3, :3])
    for n, mark in enumerate(MARKS, start=1):
        off = to_voxels @ (np.asarray(places[n]) - mark)
        assert np.abs(off).max() <= 0.5, (n, places[n], mark)
    again = read_straight(shuffled[::-1])
    np.testing.assert_array_equal(again.volume.array, straight.volume.array)
    (another,) = again.back(Marker().run(Case({"image": Input(again.volume, {})})))
    assert isinstance(another, Segmentation)
    np.testing.assert_array_equal(another.array, on_target)
    assert again.source.frames == straight.source.frames


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
def test_in_48_orientations(tmp_path: Path, axes: tuple[int, int, int]) -> None:
    array, grid = drawn(straight_grid()), straight_grid()
    for number, flips in enumerate(itertools.product((False, True), repeat=3)):
        moved, its_grid = reoriented(array, grid, axes, flips)
        paths = write_series(moved, its_grid, tmp_path / str(number), "CT")
        assert_marks(paths, SPACING)
        volume = read_volume(paths)
        for n, mark in enumerate(MARKS, start=1):  # and by the volume's own grid
            centre = volume.grid.to_patient(np.argwhere(marks_in(volume.array) == n).mean(0))
            assert np.linalg.norm(centre - mark) < 0.5 * max(SPACING)


@pytest.mark.parametrize("degrees", [(10, -20, 30), (-45, 5, 80), (3, 2, 1), (90, 45, 0)])
def test_oblique(tmp_path: Path, degrees: tuple[float, float, float]) -> None:
    grid = turned(straight_grid(), degrees)
    paths = write_series(drawn(grid), grid, tmp_path, "MR")
    assert_marks(paths, SPACING)
    np.testing.assert_allclose(read_volume(paths).grid.affine, grid.affine, atol=1e-3)


@pytest.mark.parametrize("degrees", [-25, -8, 8, 18.5, 25])
def test_tilted(tmp_path: Path, degrees: float) -> None:
    grid = tilted(straight_grid(), degrees)
    paths = write_series(drawn(grid), grid, tmp_path, "CT")
    assert_marks(paths, SPACING)
    straight = read_straight(paths).volume
    assert straight.frames == ()
    assert any("tilt" in note for note in straight.notes)
    directions = straight.grid.directions
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-6)
    oblique = read_volume(paths)  # without resampling: every voxel untouched, on an oblique grid
    np.testing.assert_array_equal(oblique.array, drawn(oblique.grid))
    as_it_is = read_straight(paths, resample=False)
    np.testing.assert_array_equal(as_it_is.volume.array, oblique.array)
    assert as_it_is.volume is as_it_is.source
    for n, mark in enumerate(MARKS, start=1):
        centre = straight.grid.to_patient(np.argwhere(marks_in(straight.array) == n).mean(0))
        assert np.linalg.norm(centre - mark) < 0.5 * max(SPACING)


def test_tilted_and_turned(tmp_path: Path) -> None:
    grid = turned(tilted(straight_grid(), 15), (4, -6, 170))
    assert_marks(write_series(drawn(grid), grid, tmp_path, "CT"), SPACING)


@pytest.mark.parametrize("position", ["HFDR", "HFDL", "FFP", "FFDR"])
def test_lying_on_the_side_or_feet_first(tmp_path: Path, position: str) -> None:
    turns = {"HFDR": (0, 0, 90), "HFDL": (0, 0, -90), "FFP": (180, 0, 0), "FFDR": (180, 0, 90)}
    grid = turned(straight_grid(), turns[position])
    paths = write_series(drawn(grid), grid, tmp_path, "CT", {"PatientPosition": position})
    assert_marks(paths, SPACING)


def test_multi_frame(tmp_path: Path) -> None:
    grid = turned(straight_grid(), (5, 10, -40))
    singles = [pydicom.dcmread(path) for path in write_series(drawn(grid), grid, tmp_path / "single", "CT")]
    shuffled = random.Random(1).sample(singles, len(singles))
    enhanced = LegacyConvertedEnhancedCTImage(shuffled, generate_uid(), 2, generate_uid(), 1)
    enhanced.save_as(tmp_path / "enhanced.dcm")
    assert_marks([tmp_path / "enhanced.dcm"], SPACING)
    single = read_volume(sorted((tmp_path / "single").iterdir()))
    multi = read_volume([tmp_path / "enhanced.dcm"])
    np.testing.assert_array_equal(multi.array, single.array)
    np.testing.assert_allclose(multi.grid.affine, single.grid.affine, atol=1e-4)


@pytest.mark.parametrize("tilt", [0.0, 12.0])
def test_unevenly_spaced(tmp_path: Path, tilt: float) -> None:
    """Slices of a dense series, left out so that the distances become 3.5, 7 and 3.5 mm, slightly uneven."""
    grid = tilted(straight_grid(), tilt)
    paths = write_series(drawn(grid), grid, tmp_path, "CT")
    kept = [path for k, path in enumerate(paths) if not (6 < k < 18 and k % 2)]
    with pytest.raises(GeometryError, match="slices missing"):
        read_volume(kept)
    assert_marks(kept, (7.0,))


def test_gaps_too_wide_to_bridge_are_refused(tmp_path: Path) -> None:
    grid = straight_grid()
    paths = write_series(drawn(grid), grid, tmp_path, "CT")
    with pytest.raises(GeometryError, match="missing"):
        read_straight(paths[:8] + paths[16:])


def test_a_real_tilted_and_uneven_head(shared_data: Path) -> None:
    paths = sorted((shared_data / "ct_head_ge_tilt_varspacing").iterdir())
    with pytest.raises(GeometryError, match="2 stacks"):
        read_volume(paths)
    straight = read_straight(paths)
    assert len(straight.source.frames) == 28
    mask = straight.volume.array > 300  # bone
    back = straight.straightening.back(mask) if straight.straightening else mask
    bone = straight.source.array > 300
    assert 2 * (back & bone).sum() / (back.sum() + bone.sum()) > 0.9
