"""The stage after a model: findings in, checked DICOM objects out, or objects that say why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dicom_node.config import Config
from dicom_node.encode import EncodeContext, EncodedObject, encode, encode_no_result
from dicom_node.findings import Finding, NotApplicable
from dicom_node.node.orders import Order
from dicom_node.node.preparing import Prepared, context_of
from dicom_node.records import JobState


@dataclass(frozen=True)
class Ran:
    """How a run ended: the state to record, why, the findings, and the objects to deliver."""

    state: JobState
    reason: str | None
    findings: tuple[Finding, ...]
    objects: tuple[EncodedObject, ...]


def finish(prepared: Prepared, findings: Sequence[Finding]) -> Ran:
    """Encodes what a pipeline found on a prepared order's volumes.

    Raises:
        GateRefused: an object isn't fit to leave; the text lists every fault.
    """
    for role, one in prepared.read.items():
        findings = one.back(findings, role)
    if isinstance(findings[0], NotApplicable):
        reason = findings[0].reason
        objects = _no_result(reason, prepared.context)
        return Ran(JobState.NOT_APPLICABLE, reason, tuple(findings), objects)
    return Ran(JobState.DONE, None, tuple(findings), tuple(encode(findings, prepared.context)))


def without_result(reason: str, order: Order, config: Config, state: JobState = JobState.FAILED) -> Ran:
    """A run that has no result, with the objects that say so in the study where its headers can be read."""
    context = context_of(order, config)
    return Ran(state, reason, (), _no_result(reason, context) if context else ())


def _no_result(reason: str, context: EncodeContext) -> tuple[EncodedObject, ...]:
    """The objects that stand in the study for a result that there isn't."""
    return tuple(encode_no_result(reason, context))
