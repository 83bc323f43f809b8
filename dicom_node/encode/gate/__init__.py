"""The gate before the outbox: what an object must be to leave."""

from __future__ import annotations

from collections.abc import Sequence

from dicom_node.encode.context import EncodeContext, EncodedObject
from dicom_node.encode.gate.identity import identity_faults
from dicom_node.errors import GateRefused


def check(objects: Sequence[EncodedObject], context: EncodeContext) -> None:
    """Checks every object of a job against its sources and the standard.

    Raises:
        GateRefused: with every fault found.
    """
    faults = [fault for obj in objects for fault in identity_faults(obj.ds, context)]
    if faults:
        raise GateRefused("; ".join(faults))
