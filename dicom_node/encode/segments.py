"""The items of a Segment Sequence (PS3.3 C.8.20.4): codes, colours, algorithm identification, tracking."""

from __future__ import annotations

from highdicom.color import CIELabColor
from pydicom import Dataset

from dicom_node.encode.common import code_sequence
from dicom_node.encode.context import EncodeContext
from dicom_node.encode.uids import tracking_uid
from dicom_node.findings import Algorithm, Segment, Segmentation

_PALETTE = (
    (230, 80, 70),
    (70, 150, 240),
    (90, 200, 110),
    (245, 190, 60),
    (180, 110, 230),
    (60, 205, 205),
    (240, 130, 190),
    (170, 200, 70),
    (250, 140, 60),
    (130, 140, 250),
    (110, 220, 170),
    (215, 165, 130),
)
"""Colours that differ from one another and from grey images; a segment without one takes the next."""


def color_of(segment: Segment, number: int) -> tuple[int, int, int]:
    """SRGB colour that a segment is shown in, the same in every form of the result."""
    return segment.color or _PALETTE[(number - 1) % len(_PALETTE)]


def cielab_of(segment: Segment, number: int) -> list[int]:
    """The same colour as DICOM writes it: CIELab in 16 bits (PS3.3 C.10.7.1.1)."""
    return list(CIELabColor.from_rgb(*color_of(segment, number)).value)


def tracking_id_of(segment: Segment, context: EncodeContext) -> str:
    """Tracking ID (0062,0020): the pipeline's own, or one derived from algorithm and label."""
    return segment.tracking_id or f"{context.algorithm.name}: {segment.label}"


def algorithm_item(algorithm: Algorithm) -> Dataset:
    """An item of the Algorithm Identification Macro (PS3.3 10.16)."""
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = code_sequence(algorithm.family)
    item.AlgorithmName = algorithm.name[:64]
    item.AlgorithmVersion = algorithm.version[:64]
    if algorithm.parameters:
        item.AlgorithmParameters = "; ".join(f"{name}={value}" for name, value in algorithm.parameters)
    if algorithm.source:
        item.AlgorithmSource = algorithm.source[:64]
    return item


def segment_items(segmentation: Segmentation, context: EncodeContext) -> list[Dataset]:
    """One item for each segment, in the order of their numbers, from 1."""
    return [_item(segment, number, context) for number, segment in enumerate(segmentation.segments, start=1)]


def _item(segment: Segment, number: int, context: EncodeContext) -> Dataset:
    item = Dataset()
    item.SegmentNumber = number
    item.SegmentLabel = segment.label[:64]
    item.SegmentAlgorithmType = "AUTOMATIC"
    item.SegmentAlgorithmName = context.algorithm.name[:64]
    item.SegmentationAlgorithmIdentificationSequence = [algorithm_item(context.algorithm)]
    item.SegmentedPropertyCategoryCodeSequence = code_sequence(segment.category)
    item.SegmentedPropertyTypeCodeSequence = code_sequence(segment.type)
    if segment.laterality:
        item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = code_sequence(
            segment.laterality
        )
    item.RecommendedDisplayCIELabValue = cielab_of(segment, number)
    tracking_id = tracking_id_of(segment, context)
    item.TrackingID = tracking_id
    item.TrackingUID = tracking_uid(context, tracking_id)
    return item
