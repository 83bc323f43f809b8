"""Measurement groups of a TID 1500 report: TID 1411 for segments, TID 1501 for the whole image.

A viewer that shows only what has coordinates (OHIF) gets, for each segment, a second group under the
same tracking UID: the section's area on the slice that shows the structure best, with its outline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydicom import Dataset

from dicom_node.encode.content import (
    ACQUISITION_CONTEXT,
    CONCEPT_MODIFIER,
    INFERRED_FROM,
    SELECTED_FROM,
    coded,
    container,
    coordinates,
    dcm,
    image,
    number,
    uid_reference,
)
from dicom_node.encode.context import EncodeContext, instances, once
from dicom_node.encode.outlines import key_slice, outlines, simplified
from dicom_node.encode.provenance import GROUP, algorithm_items, number_items, tracking_items, whole_image
from dicom_node.encode.segments import tracking_id_of
from dicom_node.findings import Code, Finding, Measurement, Segment, Segmentation

_SOURCE = Code("260753009", "SCT", "Source")
_AREA = Code("42798000", "SCT", "Area")
_SQUARE_MM = Code("mm2", "UCUM", "mm2")
_SITE = Code("363698007", "SCT", "Finding Site")
_LATERALITY = Code("272741003", "SCT", "Laterality")


def measurement_groups(
    findings: Sequence[Finding], segmentations: Mapping[int, Dataset], context: EncodeContext
) -> list[Dataset]:
    """The containers below "Imaging Measurements": segments in their order, then the whole image."""
    measurements = [finding for finding in findings if isinstance(finding, Measurement)]
    masks = [finding for finding in findings if isinstance(finding, Segmentation)]
    groups: list[Dataset] = []
    grouped: set[str] = set()
    for index, mask in enumerate(masks):
        encoded = segmentations.get(index)
        for segment_number, segment in enumerate(mask.segments, start=1):
            own = [each for each in measurements if each.segment == segment.label]
            grouped.add(segment.label)
            groups += _segment_groups(mask, segment_number, own, encoded, context)
    rest = [each for each in measurements if each.segment is None or each.segment not in grouped]
    if rest:
        groups.append(_image_group(rest, context))
    return groups


def _segment_groups(
    mask: Segmentation,
    segment_number: int,
    measurements: Sequence[Measurement],
    encoded: Dataset | None,
    context: EncodeContext,
) -> list[Dataset]:
    segment = mask.segments[segment_number - 1]
    head = [*tracking_items(tracking_id_of(segment, context), context), *_finding(segment)]
    site = [*_site(segment), *algorithm_items(context)]
    groups = []
    if encoded is not None:
        series = str(context.sources[mask.role][0].SeriesInstanceUID)
        head_with_segment = [
            *head,
            image(dcm("121191", "Referenced Segment"), encoded, segments=[segment_number]),
            uid_reference(dcm("121232", "Source series for segmentation"), series),
        ]
        groups.append(container(GROUP, [*head_with_segment, *site, *number_items(measurements)], "1411"))
    section = _section(mask, segment_number, context)
    if encoded is None and measurements:
        region = whole_image(mask.role, context) if section is None else ()
        groups.append(container(GROUP, [*head, *site, *number_items(measurements, region)], "1501"))
    if section is not None:
        groups.append(container(GROUP, [*head, *site, section], "1501"))
    return groups


def _image_group(measurements: Sequence[Measurement], context: EncodeContext) -> Dataset:
    """Measurements of the whole image: a group by TID 1501, its region the image's border."""
    tracking = tracking_items(f"{context.algorithm.name}: whole image", context)
    role = measurements[0].role
    headers = context.sources[role]
    source = image(dcm("121112", "Source of Measurement"), headers[len(headers) // 2])
    numbers = number_items(measurements, whole_image(role, context))
    return container(GROUP, [*tracking, *algorithm_items(context), source, *numbers], "1501")


def _finding(segment: Segment) -> list[Dataset]:
    return [
        coded(Code("276214006", "SCT", "Finding category"), segment.category),
        coded(dcm("121071", "Finding"), segment.type),
    ]


def _site(segment: Segment) -> list[Dataset]:
    if segment.laterality is None:
        return []
    side = coded(_LATERALITY, segment.laterality, CONCEPT_MODIFIER)
    return [coded(_SITE, segment.type, CONCEPT_MODIFIER, [side])]


def _section(mask: Segmentation, segment_number: int, context: EncodeContext) -> Dataset | None:
    """The area of the structure's largest section, with its outline on the source image."""
    volume = context.volumes[mask.role]
    k = key_slice(mask, segment_number)
    if k is None or not volume.frames:
        return None
    section = mask.section(segment_number, k)
    lines = outlines(section)
    frame = volume.frames[k]
    source = instances(context)[frame.sop_instance_uid]
    _, spacing_j, spacing_i = volume.grid.spacing
    area = float(section.sum()) * spacing_j * spacing_i
    drawn = coordinates(
        _SOURCE,
        "POLYLINE",
        [(float(x), float(y)) for x, y in simplified(lines[0])],
        image(_SOURCE, source, SELECTED_FROM, frames=[frame.number] if frame.number else ()),
        INFERRED_FROM,
    )
    return number(_AREA, area, _SQUARE_MM, 0, children=[drawn])


@once
def image_library(context: EncodeContext) -> Dataset:
    """TID 1600 "Image Library": the images that were analysed, a group for each series."""
    groups = []
    for headers in context.sources.values():
        first = headers[0]
        modality = str(first.get("Modality", "OT"))
        shared = [
            coded(
                dcm("121139", "Modality"),
                dcm(modality, _MODALITIES.get(modality, modality)),
                ACQUISITION_CONTEXT,
            )
        ]
        if first.get("FrameOfReferenceUID"):
            name = dcm("112227", "Frame of Reference UID")
            shared.append(uid_reference(name, str(first.FrameOfReferenceUID), ACQUISITION_CONTEXT))
        groups.append(
            container(
                dcm("126200", "Image Library Group"), [*shared, *(image(_SOURCE, ds) for ds in headers)]
            )
        )
    return container(dcm("111028", "Image Library"), groups)


_MODALITIES = {
    "CT": "Computed Tomography",
    "MR": "Magnetic Resonance",
    "PT": "Positron emission tomography",
    "NM": "Nuclear Medicine",
    "CR": "Computed Radiography",
    "DX": "Digital Radiography",
    "US": "Ultrasound",
    "OT": "Other Modality",
}
"""Code meanings of CID 29."""
