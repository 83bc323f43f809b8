"""Where a result's frames lie: on the grid of the volume that was analysed, and on the images they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pydicom import Dataset

from dicom_node.encode.context import EncodeContext, instances
from dicom_node.encode.gate.frames import FrameGroups
from dicom_node.encode.planes import functional_group
from dicom_node.geometry import Volume

_TOLERANCE = 0.02
"""Pixels, or slices, by which a position may miss the grid: sources round their positions."""


def volume_of(ds: Dataset, context: EncodeContext) -> Volume | None:
    """The volume that a multi-frame result lies on: of its frame of reference, and of its size."""
    uid, size = str(ds.get("FrameOfReferenceUID")), (ds.get("Rows"), ds.get("Columns"))
    same = [volume for volume in context.volumes.values() if str(volume.frame_of_reference_uid) == uid]
    return next((volume for volume in same if volume.grid.shape[1:] == size), None)


def slices_of(frames: Sequence[FrameGroups], volume: Volume) -> list[int | None]:
    """The slice k that each frame lies on; None for one that lies on none."""
    if not frames:
        return []
    nowhere = (np.nan, np.nan, np.nan)
    positions = np.array(
        [frame.position if frame.position else nowhere for frame in frames], dtype=np.float64
    )
    index = volume.grid.to_index(positions)
    near = np.abs(index - np.rint(index)).max(axis=1) <= _TOLERANCE
    inside = near & (np.abs(index[:, 1:]).max(axis=1) <= _TOLERANCE)
    inside &= (np.rint(index[:, 0]) >= 0) & (np.rint(index[:, 0]) < volume.grid.shape[0])
    return [int(k) if ok else None for k, ok in zip(np.rint(np.nan_to_num(index[:, 0])), inside, strict=True)]


def geometry_faults(ds: Dataset, frames: Sequence[FrameGroups], context: EncodeContext) -> Iterator[str]:
    """Faults of orientation, spacing and positions."""
    volume = volume_of(ds, context)
    if volume is None:
        yield "Rows, Columns or FrameOfReferenceUID are of no volume that was analysed"
        return
    yield from _shared_faults(ds, volume)
    missing = sum(frame.position is None for frame in frames)
    if missing:
        yield f"{missing} frames have no plane position"
    off = sum(k is None for k in slices_of(frames, volume)) - missing
    if off:
        yield f"{off} frames don't lie on the grid of the source"
    yield from _source_faults(frames, context, bool(volume.frames))


def _shared_faults(ds: Dataset, volume: Volume) -> Iterator[str]:
    groups = (ds.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    orientation = (groups.get("PlaneOrientationSequence") or [Dataset()])[0].get("ImageOrientationPatient")
    measures = (groups.get("PixelMeasuresSequence") or [Dataset()])[0]
    directions = volume.grid.directions
    expected = np.concatenate([directions[:, 2], directions[:, 1]])
    if not orientation or np.abs(np.array(orientation, dtype=float) - expected).max() > 1e-3:
        yield "ImageOrientationPatient isn't that of the source"
    spacing = measures.get("PixelSpacing")
    if not spacing or np.abs(np.array(spacing, dtype=float) / volume.grid.spacing[1:] - 1).max() > 1e-3:
        yield "PixelSpacing isn't that of the source"


def _source_faults(frames: Sequence[FrameGroups], context: EncodeContext, expected: bool) -> Iterator[str]:
    """A frame lies where the image lies that it says it was made from."""
    headers = instances(context)
    seen = {(frame.position, source) for frame in frames for source in frame.sources}
    elsewhere = sum(not _same_place(position, source, headers) for position, source in seen if position)
    if elsewhere:
        yield f"{elsewhere} frames lie elsewhere than the source images that they name"
    if expected and any(not frame.sources for frame in frames):
        yield "frames don't say which source images they were made from"


def _same_place(
    position: tuple[float, ...], source: tuple[str, str, int | None], headers: Mapping[str, Dataset]
) -> bool:
    header = headers.get(source[1])
    if header is None:
        return True  # an unknown reference, which is another fault
    number = int(source[2]) if source[2] else None
    theirs = functional_group(header, "PlanePositionSequence", number).get("ImagePositionPatient")
    return theirs is not None and float(np.abs(np.array(theirs, dtype=float) - position).max()) <= 0.01
