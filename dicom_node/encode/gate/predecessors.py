"""That a result of a later revision names the earlier ones whose place it takes."""

from __future__ import annotations

from collections.abc import Iterator

from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.gate.codes import walk
from dicom_node.encode.predecessors import predecessors_of


def predecessor_faults(one: EncodedObject, context: EncodeContext) -> Iterator[str]:
    """An earlier result of the object's kind that it doesn't refer to."""
    older = {str(ds.SOPInstanceUID) for ds in predecessors_of(one.kind, context)}
    named = {str(item.get("ReferencedSOPInstanceUID")) for _path, item in walk(one.ds)} if older else set()
    if not older <= named:
        yield "an earlier revision's result that it replaces isn't referred to"
