"""Outlines in reports against the masks that they outline: on the right slice, and along the edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydicom import Dataset

from dicom_node.encode.context import EncodeContext
from dicom_node.encode.segments import tracking_id_of
from dicom_node.encode.uids import tracking_uid
from dicom_node.findings import Finding, Segmentation

_ALONG = 0.95
"""Part of an outline's points that must lie within a pixel of the structure."""


def outline_faults(ds: Dataset, findings: Sequence[Finding], context: EncodeContext) -> Iterator[str]:
    """Outlines of segments that don't lie on their segment's mask."""
    segments = {
        tracking_uid(context, tracking_id_of(segment, context)): (mask, number)
        for mask in findings
        if isinstance(mask, Segmentation)
        for number, segment in enumerate(mask.segments, start=1)
        if mask.boxes[number - 1] is not None
    }
    for group in _containers(ds):
        content = group.get("ContentSequence") or ()
        tracked = next((str(item.UID) for item in content if item.get("ValueType") == "UIDREF"), "")
        if tracked in segments:
            mask, number = segments[tracked]
            for outline in _outlines(group):
                if not _along(outline, mask, number, context):
                    yield "an outline doesn't lie on the structure that it outlines"


def _containers(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence") or ():
        if item.get("ValueType") == "CONTAINER":
            yield item
            yield from _containers(item)


def _outlines(group: Dataset) -> Iterator[Dataset]:
    for number in group.get("ContentSequence") or ():
        for item in number.get("ContentSequence") or ():
            if item.get("ValueType") == "SCOORD" and item.get("GraphicType") == "POLYLINE":
                yield item


def _along(outline: Dataset, mask: Segmentation, number: int, context: EncodeContext) -> bool:
    image = (outline.get("ContentSequence") or [Dataset()])[0]
    referenced = (image.get("ReferencedSOPSequence") or [Dataset()])[0]
    frames = context.volumes[mask.role].frames
    same = [
        k
        for k, frame in enumerate(frames)
        if frame.sop_instance_uid == referenced.get("ReferencedSOPInstanceUID")
    ]
    wanted = referenced.get("ReferencedFrameNumber")
    k = next((k for k in same if wanted is None or frames[k].number == int(wanted)), None)
    points = np.array(outline.get("GraphicData") or [], dtype=np.float64)
    if k is None or len(points) % 2:
        return False
    section = np.pad(mask.section(number, k), 1)
    columns, rows = np.floor(points[0::2]).astype(int) + 1, np.floor(points[1::2]).astype(int) + 1
    near = np.zeros(len(columns), dtype=bool)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            j = np.clip(rows + down, 0, section.shape[0] - 1)
            near |= section[j, np.clip(columns + right, 0, section.shape[1] - 1)]
    return bool(near.mean() >= _ALONG) if len(near) else False
