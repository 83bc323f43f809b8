"""Key Object Selection (PS3.3 A.35.4): the source images that show what was found best."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from dicom_node.encode.common import mark, new_object
from dicom_node.encode.content import container, dcm, image, text
from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.outlines import key_slice
from dicom_node.encode.panels import source_of
from dicom_node.encode.sr import evidence, listed, observer_items
from dicom_node.findings import Detection, Finding, Segmentation


def key_slices(findings: Sequence[Finding]) -> list[tuple[str, int]]:
    """Role and slice of each structure's largest section and of each detection's middle, once, in order."""
    places: list[tuple[str, int]] = []
    for finding in findings:
        if isinstance(finding, Segmentation):
            numbers = range(1, len(finding.segments) + 1)
            best = (key_slice(finding, number) for number in numbers)
            places += [(finding.role, k) for k in best if k is not None]
        elif isinstance(finding, Detection):
            places.append((finding.role, round((finding.lower[0] + finding.upper[0]) / 2)))
    return sorted(set(places))


def key_objects(findings: Sequence[Finding], context: EncodeContext) -> EncodedObject | None:
    """Makes the selection; None where nothing was found on a source image."""
    places = [place for place in key_slices(findings) if context.volumes[place[0]].frames]
    if not places:
        return None
    sources = [source_of(k, role, context) for role, k in places]
    ds = new_object(
        context, KeyObjectSelectionDocumentStorage, "ko", "KO", f"{context.title} (AI key images)"
    )
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.CurrentRequestedProcedureEvidenceSequence = evidence(listed(source.ds for source in sources))
    chosen = [
        image(None, source.ds, frames=[source.frame] if source.frame is not None else ())
        for source in sources
    ]
    words = text(dcm("113012", "Key Object Description"), f"{context.title}: {mark(context)}")
    content: list[Dataset] = [*observer_items(context), words, *chosen]
    root = container(dcm("113000", "Of Interest"), content, template="2010")
    del root.RelationshipType
    ds.update(root)
    return EncodedObject("ko", ds, str(ds.SeriesDescription))
