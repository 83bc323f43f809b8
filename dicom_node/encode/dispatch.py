"""From findings to objects: which encoder makes which form, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from pydicom import Dataset

from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.gate import check
from dicom_node.encode.keys import key_objects
from dicom_node.encode.maps import parametric_map
from dicom_node.encode.paper import paper
from dicom_node.encode.presentation import presentation_state
from dicom_node.encode.rtstruct import structure_set
from dicom_node.encode.sc import own_pictures, picture, picture_of_no_result
from dicom_node.encode.schemes import declare_schemes
from dicom_node.encode.seg import fractional, label_map, segmentation
from dicom_node.encode.slides import heat_pictures, key_pictures
from dicom_node.encode.sr import comprehensive_report, report, report_of_no_result
from dicom_node.findings import Finding, Heatmap, NotApplicable, Segmentation

_OF_MASKS: Mapping[str, Callable[[Segmentation, EncodeContext, int], EncodedObject]] = {
    "seg": segmentation,
    "labelmap": label_map,
    "fractional": fractional,
    "rtstruct": structure_set,
}
"""Forms of a single segmentation; a report refers to the first one that is made."""
_OF_ALL: Mapping[str, Callable[[Sequence[Finding], EncodeContext], EncodedObject | None]] = {
    "sc": picture,
    "key": key_pictures,
    "heat": heat_pictures,
    "pr": presentation_state,
    "ko": key_objects,
    "pdf": paper,
}
"""Forms of all findings of a job together; None where there is nothing to show in that form."""
_REPORTS: Mapping[str, Callable[[Sequence[Finding], Mapping[int, Dataset], EncodeContext], EncodedObject]] = {
    "sr": report,
    "sr-comprehensive": comprehensive_report,
}
FORMS = frozenset({*_OF_MASKS, "pm", *_REPORTS, *_OF_ALL})
"""All that `EncodeContext.outputs` may name."""


def encode(findings: Sequence[Finding], context: EncodeContext) -> list[EncodedObject]:
    """Makes the objects that the context's outputs name from what a pipeline found.

    Args:
        findings: all of one job. A single NotApplicable makes the objects of `encode_no_result`.
        context: the job, its sources and the configuration.

    Returns:
        Segmentations first, since reports reference them.

    Raises:
        GateRefused: an object isn't fit to leave; the text lists every fault.
    """
    refused = [finding for finding in findings if isinstance(finding, NotApplicable)]
    if refused:
        return encode_no_result(refused[0].reason, context)
    objects = [*_masks(findings, context), *_maps(findings, context)]
    reports = (make for form, make in _REPORTS.items() if form in context.outputs)
    objects += [make(findings, _referable(objects), context) for make in reports]
    made = (make(findings, context) for form, make in _OF_ALL.items() if form in context.outputs)
    objects += [obj for obj in made if obj is not None]
    if "sc" in context.outputs:
        objects += own_pictures(findings, context)
    return _passed(objects, context, findings)


def _masks(findings: Sequence[Finding], context: EncodeContext) -> Iterator[EncodedObject]:
    """A mask without a voxel makes no object: an image has at least one frame."""
    masks = [finding for finding in findings if isinstance(finding, Segmentation)]
    for form, make in _OF_MASKS.items():
        if form in context.outputs:
            yield from (make(mask, context, at) for at, mask in enumerate(masks) if mask.array.any())


def _maps(findings: Sequence[Finding], context: EncodeContext) -> Iterator[EncodedObject]:
    heats = [finding for finding in findings if isinstance(finding, Heatmap)]
    made = (parametric_map(heat, context, at) for at, heat in enumerate(heats) if "pm" in context.outputs)
    yield from (obj for obj in made if obj is not None)


def _referable(objects: Sequence[EncodedObject]) -> dict[int, Dataset]:
    """The segmentation that a report refers to, for each mask."""
    found: dict[int, Dataset] = {}
    for obj in objects:
        if "SegmentSequence" in obj.ds:
            found.setdefault(obj.index, obj.ds)
    return found


def encode_no_result(reason: str, context: EncodeContext) -> list[EncodedObject]:
    """Makes the visible objects of a job without a result: a picture and a report that say why.

    Args:
        reason: in words for a radiologist, without patient data.
        context: as for `encode`; volumes may be empty.

    Raises:
        GateRefused: an object isn't fit to leave.
    """
    objects = []
    if context.outputs & set(_REPORTS):
        objects.append(report_of_no_result(reason, context))
    if "sc" in context.outputs or not objects:
        objects.append(picture_of_no_result(reason, context))
    return _passed(objects, context)


def _passed(
    objects: list[EncodedObject], context: EncodeContext, findings: Sequence[Finding] = ()
) -> list[EncodedObject]:
    """The objects, with what all of them need, past the gate."""
    for one in objects:
        declare_schemes(one.ds)
    check(objects, context, findings)
    return objects
