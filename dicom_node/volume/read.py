"""From files to volumes: leaves out what is no slice, tells stacks apart, says why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dicom_node.counted import counted
from dicom_node.errors import GeometryError, NoSlices
from dicom_node.geometry import Grid, Volume
from dicom_node.headers import plain, read_header
from dicom_node.volume.pixels import AIR_HU, ALONE, Reading, inverted, read_pixels, without_copies
from dicom_node.volume.planes import SPLIT_KEYWORDS, Plane, planes_of
from dicom_node.volume.resample import Straight, straightening_of
from dicom_node.volume.stacks import fit, grid_of, stacks_of, tilt_degrees
from dicom_node.volume.suv import SUV, suv_factor

NO_SLICES = frozenset(
    {"LOCALIZER", "SCOUT", "SURVEY", "REF_SURVIEW", "SCREEN SAVE", "PATIENT_INFO", "DOSE_INFO"}
)
"""Values of Image Type that no slice has."""
VIEWS = frozenset({"PROJECTION IMAGE", "MPR"})
"""Values of Image Type of what was computed from slices: left out beside them, a stack where it is alone."""
STRAY_SHARE = 0.2
"""Stacks with fewer slices than this share of the largest one are strays, and left out with a note."""


def read_volume(paths: Sequence[Path]) -> Volume:
    """Reads the one volume that a series' files hold.

    Args:
        paths: in any order; single-frame or multi-frame, in any transfer syntax that can be decoded.

    Returns:
        Array (k, j, i) in the modality's units, with k along the slices' normal. Of a tilted stack the grid
        is oblique: every index maps to its place in the patient, and no pixel is resampled.

    Raises:
        GeometryError: no regular volume, or more than one; the text says why. NoSlices: nothing of one.
        BadInput: a file can't be understood, or its pixels can't be decoded.
    """
    stack, notes = _only_stack(*_stacks(paths))
    return _volume(stack, notes)


def read_volumes(paths: Sequence[Path]) -> list[Volume]:
    """Reads every volume that a series' files hold (stacks, echoes, time points), the largest first.

    Raises:
        GeometryError: one of them isn't regular; the text says why.
        BadInput: a file can't be understood, or its pixels can't be decoded.
    """
    stacks, notes = _stacks(paths)
    return [_volume(stack, notes) for stack in stacks]


def read_straight(paths: Sequence[Path], *, resample: bool = True, how: Reading = ALONE) -> Straight:
    """Reads one volume for a pipeline that allows resampling: tilted or uneven slices are straightened.

    Slices of one orientation that `read_volumes` would tell apart by their spacing alone are one stack here.
    Without `resample` it is `read_volume`, in the same form. What is straightened has an array of its own.

    Raises:
        GeometryError: no volume even so, or more than one; the text says why.
        BadInput: a file can't be understood, or its pixels can't be decoded.
    """
    stack, notes = _only_stack(*_stacks(paths, uneven=resample))
    if not resample or stack[0].position is None or len(stack) == 1:
        volume = _volume(stack, notes, how)
        return Straight(volume, volume)
    regular = fit(stack)
    tilt = tilt_degrees(grid_of(stack, regular.step))
    if regular.fault is None and not tilt:
        volume = _volume(stack, notes, how)
        return Straight(volume, volume)
    straightening = straightening_of(stack)
    source = _made(stack, grid_of(stack, regular.step), notes, Reading(how.threads))
    done = [regular.fault] if regular.fault else []
    done += [f"a tilt of {tilt:.1f} degrees was sheared away"] if tilt else []
    straight = replace(
        source,
        array=straightening.forward(source.array, AIR_HU if stack[0].modality == "CT" else 0.0),
        grid=straightening.grid,
        frames=(),
        notes=(*notes, f"resampled to {straightening.grid.spacing[0]:.2f} mm: {'; '.join(done)}"),
    )
    return Straight(straight, source, straightening, even=regular.fault is None)


def _only_stack(stacks: list[list[Plane]], notes: tuple[str, ...]) -> tuple[list[Plane], tuple[str, ...]]:
    if len(stacks) > 1:
        sizes = ", ".join(str(len(stack)) for stack in stacks)
        raise GeometryError(f"the series holds {len(stacks)} stacks (of {sizes} slices), and one is needed")
    return stacks[0], notes


def _stacks(paths: Sequence[Path], *, uneven: bool = False) -> tuple[list[list[Plane]], tuple[str, ...]]:
    """Returns the stacks of a series and notes on what was left out; each stack along its normal."""
    planes = list({plane.frame: plane for path in paths for plane in planes_of(path)}.values())
    if not planes:
        raise NoSlices("no file of the series holds an image")
    if any("MOSAIC" in plane.image_type for plane in planes):
        raise GeometryError("the slices stand side by side in mosaic images, which are not taken apart")
    kept = [plane for plane in planes if not NO_SLICES & {value.upper() for value in plane.image_type}]
    if not kept:
        raise NoSlices("there are only localizers or pictures of the screen, no slices")
    kept = [plane for plane in kept if not VIEWS & {value.upper() for value in plane.image_type}] or kept
    if len(kept) == 1 and kept[0].position is None:
        return [kept], ()
    placed = [plane for plane in kept if plane.position is not None and plane.orientation is not None]
    if not placed:
        raise GeometryError(f"none of the {len(kept)} images says where it lies in the patient")
    stacks = [without_copies(stack) for stack in stacks_of(placed, SPLIT_KEYWORDS, uneven=uneven)]
    main = [stack for stack in stacks if len(stack) > STRAY_SHARE * len(stacks[0])]
    left_out = len(planes) - sum(map(len, main))
    return main, (f"left out: {counted(left_out, 'image')} outside every stack",) if left_out else ()


def _volume(stack: Sequence[Plane], notes: tuple[str, ...], how: Reading = ALONE) -> Volume:
    if stack[0].position is None:
        return _flat(stack[0])
    regular = fit(stack)
    if regular.fault is not None:
        raise GeometryError(regular.fault)
    grid = grid_of(stack, regular.step)
    tilt = tilt_degrees(grid)
    if tilt:
        notes += (f"the slices are tilted by {tilt:.1f} degrees against the line through their origins",)
    return _made(stack, grid, notes, how)


def _made(stack: Sequence[Plane], grid: Grid, notes: tuple[str, ...], how: Reading) -> Volume:
    volume = Volume(
        array=read_pixels(stack, how),
        grid=grid,
        frame_of_reference_uid=stack[0].frame_of_reference_uid,
        frames=tuple(plane.frame for plane in stack),
        unit=stack[0].unit,
        notes=notes,
    )
    return _as_suv(volume, stack[0].path) if (stack[0].modality, volume.unit) == ("PT", "Bq/ml") else volume


def _as_suv(volume: Volume, path: Path) -> Volume:
    """PET in standardized uptake values, or as it is with a note where the header lacks what they need."""
    factor, how = suv_factor(plain(read_header(path)))
    if factor is None:
        return replace(volume, notes=(*volume.notes, f"no SUV: {how}"))
    array = volume.array.astype(np.float32, copy=False)
    array *= np.float32(factor)
    return replace(volume, array=array, unit=SUV, notes=(*volume.notes, f"SUV by body weight, {how}"))


def _flat(plane: Plane) -> Volume:
    """One image without a place in the patient, such as a radiograph: a grid of its own."""
    affine = np.diag([1.0, 1.0, 1.0, 1.0])[:, [2, 1, 0, 3]] @ np.diag([1.0, *plane.spacing, 1.0])
    array = read_pixels([plane])
    notes = ["the image doesn't say where it lies in the patient; its grid is in the image's own plane"]
    if plane.encoding.photometric == "MONOCHROME1":
        array = inverted(array, plane)
        notes.append("values are inverted, so that brighter is more")
    return Volume(array, Grid((1, *plane.shape), affine), "", (plane.frame,), plane.unit, tuple(notes))
