"""Segmentations: numbers of segments, counts of frames, dimension indices, and the pixels themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_node.encode.context import EncodeContext
from dicom_node.encode.gate.frames import FrameGroups
from dicom_node.encode.gate.geometry import slices_of, volume_of
from dicom_node.findings import Segmentation

_SEGMENT_NUMBER = 0x0062000B
_COMPARED = 400
"""Frames whose pixels are compared with the mask, spread evenly where there are more."""


def segmentation_faults(ds: Dataset, frames: Sequence[FrameGroups]) -> Iterator[str]:
    """Faults that no validator sees from the attributes alone."""
    numbers = [int(item.get("SegmentNumber") or 0) for item in ds.get("SegmentSequence") or ()]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "segment numbers aren't 1, 2, 3, …"
    labels = [str(item.get("SegmentLabel")) for item in ds.get("SegmentSequence") or ()]
    if len(set(labels)) != len(labels):
        yield "two segments have the same label"
    for item in ds.get("SegmentSequence") or ():
        if item.get("SegmentAlgorithmType") != "MANUAL" and not item.get("SegmentAlgorithmName"):
            yield "SegmentAlgorithmName is missing in a segment that no person drew"
        if ("TrackingID" in item) != ("TrackingUID" in item):
            yield "TrackingID and TrackingUID don't come together"
    if int(ds.get("NumberOfFrames") or 0) != len(frames):
        yield "NumberOfFrames isn't the number of per-frame items"
    if ds.get("SegmentationType") != "LABELMAP":
        unknown = {frame.segment for frame in frames} - set(numbers)
        if unknown:
            yield "frames refer to segments that aren't described"
    yield from dimension_faults(ds, frames)


def dimension_faults(ds: Dataset, frames: Sequence[FrameGroups]) -> Iterator[str]:
    """Dimension Index Values: one for each dimension, none twice, and ordered as what they index."""
    dimensions = [int(item.DimensionIndexPointer) for item in ds.get("DimensionIndexSequence") or ()]
    organizations = {
        str(item.DimensionOrganizationUID) for item in ds.get("DimensionOrganizationSequence") or ()
    }
    used = {str(item.get("DimensionOrganizationUID")) for item in ds.get("DimensionIndexSequence") or ()}
    if used - organizations:
        yield "a dimension belongs to an organization that isn't declared"
    if any(len(frame.indices) != len(dimensions) for frame in frames):
        yield "DimensionIndexValues don't have one value for each dimension"
        return
    if len({frame.indices for frame in frames}) != len(frames):
        yield "two frames have the same DimensionIndexValues"
    for place, pointer in enumerate(dimensions):
        meanings: dict[int, set[object]] = defaultdict(set)
        by_segment = pointer == _SEGMENT_NUMBER
        for frame in frames:
            meanings[frame.indices[place]].add(frame.segment if by_segment else frame.position)
        if any(len(found) > 1 for found in meanings.values()):
            yield "one dimension index stands for several segments or positions"
        if not by_segment and sorted(meanings) != list(range(1, len(meanings) + 1)):
            yield "dimension indices of positions aren't 1, 2, 3, …"


def pixel_faults(
    ds: Dataset, frames: Sequence[FrameGroups], finding: Segmentation, context: EncodeContext
) -> Iterator[str]:
    """Compares the frames' own pixels with what was found, at the positions that the frames state."""
    volume = volume_of(ds, context)
    if volume is None or ds.file_meta.TransferSyntaxUID.is_compressed:
        return
    if ds.get("SegmentationType") == "LABELMAP":
        yield from _label_faults(ds, frames, finding, slices_of(frames, volume))
    if ds.get("SegmentationType") != "BINARY":
        return
    size = int(ds.Rows) * int(ds.Columns)
    packed = np.frombuffer(ds.PixelData, dtype=np.uint8)
    if len(packed) * 8 < size * len(frames):
        yield "PixelData is shorter than its frames"
        return
    slices = slices_of(frames, volume)
    chosen = sorted({int(at) for at in np.linspace(0, len(frames) - 1, _COMPARED)}) if frames else []
    other = sum(
        not _same(packed, at, size, _expected(finding, frames[at].segment, slices[at])) for at in chosen
    )
    if other:
        yield f"{other} frames hold other pixels than were found at their positions"
    if int(np.bitwise_count(packed).sum(dtype=np.int64)) != _voxels(finding):
        yield "there are more or fewer voxels than were found"
    shown = {(frame.segment, k) for frame, k in zip(frames, slices, strict=True)}
    if len(shown) != len(frames):
        yield "a segment has two frames at one position"


def _voxels(finding: Segmentation) -> int:
    """How many voxels all segments have together, counted without regard to where they lie."""
    if finding.array.dtype.kind != "f":
        return int(np.count_nonzero(finding.array))
    return sum(int(np.count_nonzero(layer >= 0.5)) for layer in finding.array)


def _label_faults(
    ds: Dataset, frames: Sequence[FrameGroups], finding: Segmentation, slices: Sequence[int | None]
) -> Iterator[str]:
    kind = np.dtype("<u2" if ds.BitsAllocated == 16 else "u1")
    size = int(ds.Rows) * int(ds.Columns)
    values = np.frombuffer(ds.PixelData, dtype=kind)
    if len(values) < size * len(frames):
        yield "PixelData is shorter than its frames"
        return
    pixels = values[: size * len(frames)].reshape(len(frames), int(ds.Rows), int(ds.Columns))
    described = {int(item.SegmentNumber) for item in ds.get("SegmentSequence") or ()}
    if set(np.unique(pixels).tolist()) - described - {int(ds.get("PixelPaddingValue", 0))}:
        yield "pixels have a value that is no segment's"
    other = sum(
        k is None or any(not _equal(frame == n, _expected(finding, n, k)) for n in described)
        for frame, k in zip(pixels, slices, strict=True)
    )
    if other:
        yield f"{other} frames hold other pixels than were found at their positions"


def _equal(section: NDArray[np.bool_], expected: NDArray[np.bool_] | None) -> bool:
    return expected is not None and bool(np.array_equal(section, expected))


def _expected(finding: Segmentation, segment: int | None, k: int | None) -> NDArray[np.bool_] | None:
    if segment is None or k is None or not 1 <= segment <= len(finding.segments):
        return None
    return finding.section(segment, k)


def _same(packed: NDArray[np.uint8], at: int, size: int, expected: NDArray[np.bool_] | None) -> bool:
    if expected is None:
        return False
    first = at * size
    bits = np.unpackbits(packed[first // 8 : (first + size + 7) // 8], bitorder="little")
    return bool(np.array_equal(bits[first % 8 : first % 8 + size].view(bool), expected.ravel()))
