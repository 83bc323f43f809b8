"""From findings to objects: which encoder makes which form, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

from pydicom import Dataset

from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.earlier import with_earlier
from dicom_node.encode.gate import check
from dicom_node.encode.keys import key_objects
from dicom_node.encode.maps import parametric_map
from dicom_node.encode.paper import paper, paper_of_no_result
from dicom_node.encode.predecessors import name_predecessors
from dicom_node.encode.presentation import presentation_state
from dicom_node.encode.rtstruct import structure_set
from dicom_node.encode.sc import own_pictures, picture, picture_of_no_result, trend
from dicom_node.encode.schemes import declare_schemes
from dicom_node.encode.seg import fractional, label_map, segmentation
from dicom_node.encode.slides import heat_pictures, key_pictures
from dicom_node.encode.sr import (
    comprehensive_report,
    comprehensive_report_of_no_result,
    report,
    report_of_no_result,
)
from dicom_node.findings import Finding, Heatmap, NotApplicable, Segmentation
from dicom_node.told import without_folders

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
_NOTICES: Mapping[str, Callable[[str, EncodeContext], EncodedObject]] = {
    "sr": report_of_no_result,
    "sr-comprehensive": comprehensive_report_of_no_result,
    "sc": picture_of_no_result,
    "pdf": paper_of_no_result,
}
"""Forms that can say that there is no result, and why."""
FORMS = frozenset({*_OF_MASKS, "pm", *_REPORTS, *_OF_ALL})
"""All that `EncodeContext.outputs` may name."""


def encode(findings: Sequence[Finding], context: EncodeContext) -> list[EncodedObject]:
    """Makes the objects that the context's outputs name from what a pipeline found; see `encode_each`."""
    return encode_each(findings, context, [context.outputs])[context.outputs]


def encode_each(
    findings: Sequence[Finding], context: EncodeContext, wanted: Collection[frozenset[str]]
) -> dict[frozenset[str], list[EncodedObject]]:
    """Makes the objects of several sets of forms from what a pipeline found, each object once.

    A report refers to the segmentation that comes with it, so two sets with other segmentations have two
    reports, of different UIDs.

    Args:
        findings: all of one job. A single NotApplicable makes the objects that say so.
        context: the job, its sources and the configuration; its own outputs are not looked at.
        wanted: sets of forms.

    Returns:
        The objects of each set: segmentations first, since reports reference them.

    Raises:
        GateRefused: an object isn't fit to leave; the text lists every fault.
    """
    refused = [finding for finding in findings if isinstance(finding, NotApplicable)]
    if refused:
        return encode_no_result_each(refused[0].reason, context, wanted)
    findings = with_earlier(findings, context)
    maker = _Maker(findings, context)
    made = {forms: maker.make(forms) for forms in wanted}
    _pass(made, context, findings)
    return made


def encode_no_result(reason: str, context: EncodeContext) -> list[EncodedObject]:
    """Makes the visible objects of a job without a result; see `encode_no_result_each`."""
    return encode_no_result_each(reason, context, [context.outputs])[context.outputs]


def encode_no_result_each(
    reason: str, context: EncodeContext, wanted: Collection[frozenset[str]]
) -> dict[frozenset[str], list[EncodedObject]]:
    """Makes the visible objects of a job without a result: a report, a picture, a page that say why.

    Args:
        reason: in words for a radiologist, without patient data.
        context: as for `encode`; volumes may be empty.
        wanted: sets of forms; a set that can't say it, such as of segmentations alone, makes a picture.

    Raises:
        GateRefused: an object isn't fit to leave.
    """
    made: dict[frozenset[str], list[EncodedObject]] = {}
    reason = without_folders(reason)  # whoever reads it is at another machine
    notices = {form: make(reason, context) for form, make in _NOTICES.items() if _asked(form, wanted)}
    for forms in wanted:
        made[forms] = [notices[form] for form in _NOTICES if form in forms] or [notices["sc"]]
    _pass(made, context)
    return made


class _Maker:
    """Makes each object of a job once, however many ask for it."""

    def __init__(self, findings: Sequence[Finding], context: EncodeContext) -> None:
        self._findings = findings
        self._context = context
        self._made: dict[Hashable, list[EncodedObject]] = {}

    def make(self, forms: frozenset[str]) -> list[EncodedObject]:
        """The objects of a set of forms."""
        masks = [one for form in _OF_MASKS if form in forms for one in self._once(form, self._masks)]
        maps = self._once("pm", self._maps) if "pm" in forms else []
        referable = _referable(masks)
        uids = tuple(str(ds.SOPInstanceUID) for ds in referable.values())
        reports = [
            one
            for form in _REPORTS
            if form in forms
            for one in self._once(form, lambda form: [self._report(form, referable)], uids)
        ]
        others = [one for form in _OF_ALL if form in forms for one in self._once(form, self._others)]
        return [*masks, *maps, *reports, *others]

    def _once(
        self, form: str, make: Callable[[str], list[EncodedObject]], variant: Hashable = None
    ) -> list[EncodedObject]:
        if (form, variant) not in self._made:
            self._made[form, variant] = make(form)
        return self._made[form, variant]

    def _masks(self, form: str) -> list[EncodedObject]:
        """A mask without a voxel makes no object: an image has at least one frame."""
        masks = [finding for finding in self._findings if isinstance(finding, Segmentation)]
        make = _OF_MASKS[form]
        return [make(mask, self._context, at) for at, mask in enumerate(masks) if mask.filled]

    def _maps(self, _form: str) -> list[EncodedObject]:
        heats = [finding for finding in self._findings if isinstance(finding, Heatmap)]
        made = (parametric_map(heat, self._context, at) for at, heat in enumerate(heats))
        return [obj for obj in made if obj is not None]

    def _report(self, form: str, referable: Mapping[int, Dataset]) -> EncodedObject:
        return _REPORTS[form](self._findings, referable, self._context)

    def _others(self, form: str) -> list[EncodedObject]:
        made = [_OF_ALL[form](self._findings, self._context)]
        if form == "sc":
            made += [*own_pictures(self._findings, self._context), trend(self._findings, self._context)]
        return [one for one in made if one is not None]


def _referable(objects: Sequence[EncodedObject]) -> dict[int, Dataset]:
    """The segmentation that a report refers to, for each mask."""
    found: dict[int, Dataset] = {}
    for obj in objects:
        if "SegmentSequence" in obj.ds:
            found.setdefault(obj.index, obj.ds)
    return found


def _asked(notice: str, wanted: Collection[frozenset[str]]) -> bool:
    """Whether any set of forms has a notice; a picture also stands in where a set has none."""
    return any(notice in forms or (notice == "sc" and forms.isdisjoint(_NOTICES)) for forms in wanted)


def _pass(
    made: Mapping[frozenset[str], Sequence[EncodedObject]],
    context: EncodeContext,
    findings: Sequence[Finding] = (),
) -> None:
    """Gives every object what all of them need, and takes them past the gate together."""
    objects = list({one.sop_instance_uid: one for each in made.values() for one in each}.values())
    for one in objects:
        name_predecessors(one, context)
        declare_schemes(one.ds)
    check(objects, context, findings)
