"""From findings to objects: which encoder makes what, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.gate import check
from dicom_node.encode.sc import picture, picture_of_no_result
from dicom_node.encode.schemes import declare_schemes
from dicom_node.encode.seg import segmentation
from dicom_node.encode.sr import report, report_of_no_result
from dicom_node.findings import Finding, NotApplicable, Segmentation


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
    masks = [finding for finding in findings if isinstance(finding, Segmentation)]
    segmentations: dict[int, EncodedObject] = {}
    if "seg" in context.outputs:  # a mask without a voxel makes no object: an image has at least one frame
        segmentations = {
            index: segmentation(mask, context, index) for index, mask in enumerate(masks) if mask.array.any()
        }
    objects = list(segmentations.values())
    if "sr" in context.outputs:
        encoded = {index: obj.ds for index, obj in segmentations.items()}
        objects.append(report(findings, encoded, context))
    if "sc" in context.outputs:
        objects.append(picture(findings, context))
    return _passed(objects, context, findings)


def encode_no_result(reason: str, context: EncodeContext) -> list[EncodedObject]:
    """Makes the visible objects of a job without a result: a picture and a report that say why.

    Args:
        reason: in words for a radiologist, without patient data.
        context: as for `encode`; volumes may be empty.

    Raises:
        GateRefused: an object isn't fit to leave.
    """
    objects = []
    if "sr" in context.outputs:
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
