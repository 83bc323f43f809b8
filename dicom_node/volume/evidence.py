"""Whether the slices held make a whole stack, judged from headers alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from dicom_node.counted import counted
from dicom_node.records import GeometryEvidence
from dicom_node.volume.stacks import Slice, fit, geometry_key, stacks_of

MIN_SLICES = 5
"""Fewer slices at even distances prove nothing."""
_OF_IMAGES = ("Rows", "ImagePositionPatient")
_SPLIT = (
    "StackID",
    "EchoNumbers",
    "EchoTime",
    "ImageType",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
)


def stack_evidence(fields: Sequence[Mapping[str, Any]]) -> GeometryEvidence:
    """Judges whether instances make a whole stack, without reading a pixel.

    Whole are: as many images as Images in Acquisition (0020,1002) promises; all parts of a concatenation;
    multi-frame objects; or at least five slices at even distances with no gap, in every stack, echo and time
    point, whose instance numbers run from 1 without a hole.

    Args:
        fields: `headers.slice_fields` of every instance held, in any order.
    """
    if not fields:
        return GeometryEvidence(False, "no images")
    known = _promised(fields) or _multi_frame(fields)
    if known is None and not any(keyword in item for item in fields for keyword in _OF_IMAGES):
        return GeometryEvidence(False, "its objects are no images")
    return known or _stacked([_slice(item) for item in fields])


def _promised(fields: Sequence[Mapping[str, Any]]) -> GeometryEvidence | None:
    promised = {_int(item.get("ImagesInAcquisition")) for item in fields}
    acquisitions = {item.get("AcquisitionNumber") for item in fields}
    if len(promised) != 1 or len(acquisitions) != 1 or 0 in promised:
        return None
    count = promised.pop()
    if len(fields) < count:
        return GeometryEvidence(False, f"{len(fields)} of {count} images in the acquisition")
    return GeometryEvidence(True, f"{_all(count)} in the acquisition")


def _multi_frame(fields: Sequence[Mapping[str, Any]]) -> GeometryEvidence | None:
    if not all(_int(item.get("NumberOfFrames")) > 1 for item in fields):
        return None
    parts = {_int(item.get("InConcatenationTotalNumber")) for item in fields}
    if max(parts) > len(fields):
        return GeometryEvidence(False, f"{len(fields)} of {max(parts)} parts of a concatenation")
    frames = sum(_int(item.get("NumberOfFrames")) for item in fields)
    return GeometryEvidence(True, f"{frames} frames in {counted(len(fields), 'multi-frame object')}")


def _stacked(slices: Sequence[Slice]) -> GeometryEvidence:
    placed = [item for item in slices if item.position is not None and item.orientation is not None]
    if len(placed) < len(slices):
        missing = len(slices) - len(placed)
        who = f"{missing} of {len(slices)} images state" if len(slices) > 1 else "its only image states"
        return GeometryEvidence(False, f"{who} no position")
    numbers = sorted(item.instance_number for item in slices)
    if numbers != list(range(1, len(numbers) + 1)):
        what = "instance number of its only image is not 1"
        if len(numbers) > 1:
            what = f"instance numbers of {len(numbers)} images don't run from 1"
        return GeometryEvidence(False, f"the {what}")
    stacks = stacks_of(placed, _SPLIT)
    for stack in stacks:
        fault = fit(stack).fault
        if fault is not None:
            return GeometryEvidence(False, fault)
    sizes: dict[Hashable, set[int]] = defaultdict(set)
    for stack in stacks:
        sizes[geometry_key(stack[0])].add(len(stack))
    if any(len(different) > 1 for different in sizes.values()):
        counts = ", ".join(str(len(stack)) for stack in stacks)
        return GeometryEvidence(False, f"parallel stacks have {counts} slices")
    smallest = min(map(len, stacks))
    if smallest < MIN_SLICES:
        return GeometryEvidence(False, f"only {counted(smallest, 'slice')}, too few to tell")
    return GeometryEvidence(
        True, f"{len(slices)} slices at even distances in {counted(len(stacks), 'stack')}"
    )


def _all(images: int) -> str:
    return "the only image" if images == 1 else f"all {images} images"


def _slice(fields: Mapping[str, Any]) -> Slice:
    rows, columns = _floats(fields.get("PixelSpacing"), 2) or (1.0, 1.0)
    return Slice(
        instance_number=_int(fields.get("InstanceNumber")),
        frame_of_reference_uid=str(fields.get("FrameOfReferenceUID", "")),
        shape=(_int(fields.get("Rows")), _int(fields.get("Columns"))),
        orientation=_floats(fields.get("ImageOrientationPatient"), 6),
        position=_floats(fields.get("ImagePositionPatient"), 3),
        spacing=(rows, columns),
        thickness=(_floats([fields.get("SliceThickness")], 1) or (0.0,))[0],
        split=fields,
    )


def _int(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _floats(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    return tuple(float(v) for v in value) if all(isinstance(v, int | float) for v in value) else None
