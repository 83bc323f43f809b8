"""Segmentations (PS3.3 A.51): one bit a voxel and segment, one number a voxel, or a fraction a voxel.

Binary is what every archive and viewer with segmentations takes; a label map (Supplement 243) is smaller and
faster to open where it is known; fractions keep a probability, for those who compute further.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydicom import Dataset
from pydicom.uid import SegmentationStorage

from dicom_node.encode.common import mark, new_object, set_lossy
from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.masks import fractions, label_frames, pack, patches
from dicom_node.encode.multiframe import FrameKey, set_dimensions, set_frames, set_spatial
from dicom_node.encode.planes import planes_of
from dicom_node.encode.segments import segment_items
from dicom_node.encode.uids import result_uid
from dicom_node.findings import Segmentation

LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
"""Label Map Segmentation Storage (Supplement 243), which pydicom doesn't name yet."""


class _Pixels(NamedTuple):
    """Frames in their order, their pixels one after the other, and bits for each pixel."""

    frames: Sequence[FrameKey]
    content: bytes
    bits: int


def segmentation(finding: Segmentation, context: EncodeContext, index: int = 0) -> EncodedObject:
    """Makes a binary segmentation on the source's own planes, empty frames left out.

    Args:
        finding: masks on the grid of the volume of its role.
        context: the job.
        index: which segmentation of the job, from 0.
    """
    found = patches(finding)
    rows, columns = finding.array.shape[-2:]
    pixels = _Pixels([(patch.number, patch.k) for patch in found], pack(found, rows, columns), 1)
    ds = _build(finding, context, index, "seg", pixels)
    ds.SegmentationType = "BINARY"
    return EncodedObject("seg", ds, str(ds.SeriesDescription), index)


def label_map(finding: Segmentation, context: EncodeContext, index: int = 0) -> EncodedObject:
    """Makes a label map, without an item for the background, which would shift the colours in viewers.

    Args:
        finding: masks that don't overlap.
        context: the job.
        index: which segmentation of the job, from 0.

    Raises:
        ModelFailed: the masks overlap, so that a voxel would need two numbers.
    """
    slices, frames = label_frames(finding)
    pixels = _Pixels([(None, k) for k in slices], _even(frames.tobytes()), frames.dtype.itemsize * 8)
    ds = _build(finding, context, index, "labelmap", pixels)
    ds.SegmentationType = "LABELMAP"
    ds.SegmentsOverlap = "NO"
    ds.PixelPaddingValue = 0
    ds["PixelPaddingValue"].VR = "US"
    return EncodedObject("labelmap", ds, str(ds.SeriesDescription), index)


def fractional(finding: Segmentation, context: EncodeContext, index: int = 0) -> EncodedObject:
    """Makes a segmentation of probabilities, in steps of 1/255.

    Args:
        finding: (s, k, j, i) of fractions; masks count as 0 and 1.
        context: the job.
        index: which segmentation of the job, from 0.
    """
    frames, content = fractions(finding)
    ds = _build(finding, context, index, "fractional", _Pixels(frames, _even(content), 8))
    ds.SegmentationType = "FRACTIONAL"
    ds.SegmentationFractionalType = "PROBABILITY"
    ds.MaximumFractionalValue = 255
    return EncodedObject("fractional", ds, str(ds.SeriesDescription), index)


def may_be_label_map(finding: Segmentation) -> bool:
    """Whether no voxel belongs to two segments, and none only in part."""
    if finding.array.ndim == 3:
        return True
    counts = np.count_nonzero(finding.array, axis=0)
    return finding.array.dtype.kind != "f" and bool(counts.max(initial=0) <= 1)


def _build(finding: Segmentation, context: EncodeContext, index: int, form: str, pixels: _Pixels) -> Dataset:
    """Everything but what the type of the segmentation adds."""
    volume, headers = context.volumes[finding.role], context.sources[finding.role]
    planes = planes_of(context, finding.role)
    sop_class = LABEL_MAP_STORAGE if form == "labelmap" else SegmentationStorage
    plain = finding.title in ("Segmentation", context.title)
    description = context.title if plain else f"{context.title}: {finding.title}"
    ds = new_object(context, sop_class, form, "SEG", f"{description} (AI SEG)", index)
    _set_image(ds, finding, context, pixels.bits)
    set_lossy(ds, headers)
    set_spatial(ds, planes, headers[0], volume.frame_of_reference_uid)
    by_segment = form != "labelmap"
    set_dimensions(ds, result_uid(context, form, index, "dimensions"), by_segment=by_segment)
    ds.SegmentSequence = segment_items(finding, context)
    set_frames(ds, pixels.frames, planes, headers)
    ds.PixelData = pixels.content
    ds["PixelData"].VR = "OW" if pixels.bits == 16 else "OB"
    return ds


def _set_image(ds: Dataset, finding: Segmentation, context: EncodeContext, bits: int) -> None:
    """Image pixel and segmentation image modules (PS3.3 C.7.6.3, C.8.20.2)."""
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.Rows, ds.Columns = finding.array.shape[-2:]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelRepresentation = 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.SegmentsOverlap = "NO" if finding.array.ndim == 3 else "UNDEFINED"
    ds.ContentLabel = "AI_SEG"
    ds.ContentDescription = mark(context)
    ds.ContentCreatorName = None


def _even(content: bytes) -> bytes:
    return content + b"\0" * (len(content) % 2)
