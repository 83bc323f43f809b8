"""What a report says beside measurements: classifications, detections, and drafts with their support."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset

from dicom_node.encode.content import (
    SELECTED_FROM,
    coded,
    container,
    coordinates,
    dcm,
    image,
    number,
    text,
)
from dicom_node.encode.context import EncodeContext
from dicom_node.encode.panels import source_of
from dicom_node.encode.provenance import GROUP, algorithm_items, number_items, tracking_items, whole_image
from dicom_node.findings import Classification, Code, Detection, Finding, Text

_COMMENT = dcm("121106", "Comment")
_CERTAINTY = dcm("111012", "Certainty of Finding")
_PERCENT = Code("%", "UCUM", "percent")
_SOURCE = Code("260753009", "SCT", "Source")
_PROPERTIES = "HAS PROPERTIES"
_KINDS = {
    "findings": dcm("121071", "Finding"),
    "impression": dcm("121073", "Impression"),
    "note": _COMMENT,
    "caution": _COMMENT,
}


def evaluation_groups(findings: Sequence[Finding], context: EncodeContext) -> list[Dataset]:
    """A measurement group (TID 1501) for each classification and each detection."""
    groups = [_classified(one, context) for one in findings if isinstance(one, Classification)]
    detections = [one for one in findings if isinstance(one, Detection)]
    groups += [_detected(one, at, context) for at, one in enumerate(detections, start=1)]
    return groups


def draft_items(findings: Sequence[Finding]) -> list[Dataset]:
    """A TEXT for each sentence, said to be a draft or a caution, with what supports it."""
    return [
        text(
            _KINDS[one.kind],
            f"{'Caution' if one.kind == 'caution' else 'DRAFT, not verified'}: {sentence}",
            children=[text(_COMMENT, f"Support: {support or 'none'}", _PROPERTIES)],
        )
        for one in findings
        if isinstance(one, Text)
        for sentence, support in one.sentences
    ]


def _certainty(fraction: float, children: Sequence[Dataset] = ()) -> Dataset:
    return number(_CERTAINTY, fraction * 100, _PERCENT, 1, children=children)


def _classified(one: Classification, context: EncodeContext) -> Dataset:
    about = f"{one.segment}, {one.name.meaning}" if one.segment else one.name.meaning
    items = [*tracking_items(f"{context.algorithm.name}: {about}", context), *algorithm_items(context)]
    region = whole_image(one.role, context)
    sure = one.probability is not None
    items.append(coded(one.name, one.value, children=() if sure else region))
    if one.probability is not None:
        items.append(_certainty(one.probability, region))
    if one.support:
        items.append(text(_COMMENT, f"{one.name.meaning}: {one.support}"))
    return container(GROUP, items, "1501")


def _detected(one: Detection, ordinal: int, context: EncodeContext) -> Dataset:
    tracking_id = one.tracking_id or f"{context.algorithm.name}: {one.name.meaning} {ordinal}"
    items = [
        *tracking_items(tracking_id, context),
        coded(dcm("121071", "Finding"), one.name),
        *algorithm_items(context),
        _certainty(one.score, _box(one, context)),
        *number_items(one.measurements),
    ]
    return container(GROUP, items, "1501")


def _box(one: Detection, context: EncodeContext) -> list[Dataset]:
    """The box's section on its middle slice; none where the slices aren't source images."""
    volume = context.volumes[one.role]
    if not volume.frames:
        return []
    k = min(max(round((one.lower[0] + one.upper[0]) / 2), 0), volume.grid.shape[0] - 1)
    source = source_of(k, one.role, context)
    _, rows, columns = volume.grid.shape
    top, bottom = max(one.lower[1], 0.0), min(one.upper[1] + 1, float(rows))
    left, right = max(one.lower[2], 0.0), min(one.upper[2] + 1, float(columns))
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    where = image(
        _SOURCE, source.ds, SELECTED_FROM, frames=[source.frame] if source.frame is not None else ()
    )
    return [coordinates(_SOURCE, "POLYLINE", corners, where)]
