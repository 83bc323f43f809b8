"""What an object refers to: that it exists, is of the stated class, and is listed where the standard asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pydicom import Dataset
from pydicom.tag import Tag

from dicom_node.encode.context import EncodeContext, EncodedObject, instances
from dicom_node.encode.gate.codes import Place
from dicom_node.encode.gate.frames import FrameGroups
from dicom_node.encode.predecessors import predecessors

_INSTANCE = Tag("ReferencedSOPInstanceUID")
_ELSEWHERE = ("ReferencedStudySequence", "RTReferencedStudySequence")
"""Sequences that refer to studies as such."""


def known_instances(objects: Sequence[EncodedObject], context: EncodeContext) -> dict[str, Dataset]:
    """Everything that a result may refer to, by UID: its sources, the job's results, and earlier ones."""
    results = (obj.ds for obj in objects)
    return {
        **instances(context),
        **{str(ds.SOPInstanceUID): ds for ds in (*predecessors(context), *results)},
    }


def reference_faults(
    ds: Dataset, places: Iterable[Place], frames: Sequence[FrameGroups], known: Mapping[str, Dataset]
) -> Iterator[str]:
    """References to what doesn't exist or is of another class, and those that no list of evidence holds."""
    series = _series(ds)
    listed = {uid for one in series for uid in one.instances}
    for path, item in places:
        if _INSTANCE not in item.keys() or any(part in path for part in _ELSEWHERE):  # noqa: SIM118 - `in item` parses
            continue
        uid = str(item[_INSTANCE].value)
        yield from _one(path, str(item.get("ReferencedSOPClassUID")), uid, known)
        if "ContentSequence" in path and uid not in listed:
            yield f"{path}: the referenced instance isn't in the document's evidence"
    for source in sorted({source[:2] for frame in frames for source in frame.sources}):
        yield from _one("SourceImageSequence", *source, known)
        if listed and source[1] not in listed:
            yield "SourceImageSequence: the referenced image isn't in ReferencedSeriesSequence"
    for one in series:
        if not one.instances:
            yield "a referenced series lists no instance"
        if any(str(known[uid].SeriesInstanceUID) != one.uid for uid in one.instances if uid in known):
            yield "an instance is listed under another series than its own"


def _one(path: str, sop_class_uid: str, sop_instance_uid: str, known: Mapping[str, Dataset]) -> Iterator[str]:
    target = known.get(sop_instance_uid)
    if target is None:
        yield f"{path}: refers to an instance that is neither a source nor a result of the job"
    elif str(target.SOPClassUID) != sop_class_uid:
        yield f"{path}: the referenced instance is of another SOP class"


class _Series(NamedTuple):
    """A series that an object lists, with the SOP Instance UIDs of what it lists of it."""

    uid: str
    instances: tuple[str, ...]


def _series(ds: Dataset) -> list[_Series]:
    studies = (
        *(ds.get("CurrentRequestedProcedureEvidenceSequence") or ()),
        *(ds.get("PertinentOtherEvidenceSequence") or ()),
    )
    found = []
    for series in (
        *(ds.get("ReferencedSeriesSequence") or ()),
        *(s for study in studies for s in study.get("ReferencedSeriesSequence") or ()),
    ):
        held = (
            series.get("ReferencedInstanceSequence")
            or series.get("ReferencedSOPSequence")
            or series.get("ReferencedImageSequence")
            or ()
        )
        uids = tuple(str(item.ReferencedSOPInstanceUID) for item in held)
        found.append(_Series(str(series.get("SeriesInstanceUID")), uids))
    return found
