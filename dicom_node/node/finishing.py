"""The stage after a model: findings in, checked DICOM objects out, or objects that say why there are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dicom_node.config import Config
from dicom_node.encode import EncodedFile, EncodedObject, Rendered, measured, render, render_no_result
from dicom_node.findings import Finding, NotApplicable, Text
from dicom_node.node.orders import Order
from dicom_node.node.preparing import Prepared, context_of
from dicom_node.records import Choice, JobState, Measured


@dataclass(frozen=True)
class Ran:
    """How a run ended: its state, why, the findings, the objects to deliver, why these forms, what stays.

    `measured` is what later studies of the patient are compared with.
    """

    state: JobState
    reason: str | None
    findings: tuple[Finding, ...]
    objects: tuple[EncodedObject, ...]
    choices: tuple[Choice, ...] = ()
    files: tuple[EncodedFile, ...] = ()
    measured: tuple[Measured, ...] = ()


def finish(prepared: Prepared, findings: Sequence[Finding]) -> Ran:
    """Encodes what a pipeline found on a prepared order's volumes, for each destination.

    Raises:
        GateRefused: an object isn't fit to leave; the text lists every fault.
    """
    for role, one in prepared.read.items():
        findings = one.back(findings, role)
    refused = next((one for one in findings if isinstance(one, NotApplicable)), None)
    state = JobState.DONE if refused is None else JobState.NOT_APPLICABLE
    if refused is None:
        findings = [*findings, *_notes(prepared)]
    rendered = render(findings, prepared.context, prepared.order.takers)
    reason = refused.reason if refused is not None else None
    values = measured(findings, prepared.context)
    return Ran(state, reason, tuple(findings), rendered.objects, rendered.choices, rendered.files, values)


def _notes(prepared: Prepared) -> Iterator[Text]:
    """What was done to the images, or found out of order, before the pipeline saw them; what is not known."""
    if prepared.earlier.faults:
        yield Text(tuple((fault, "earlier studies") for fault in prepared.earlier.faults), kind="caution")
    for role, one in prepared.read.items():
        of_role = f" ({role})" if len(prepared.read) > 1 else ""
        if one.volume.notes:
            told = [f"{note[:1].upper()}{note[1:]}{of_role}." for note in one.volume.notes]
            yield Text(tuple((sentence, "geometry") for sentence in told), kind="caution")


def without_result(reason: str, order: Order, config: Config, state: JobState = JobState.FAILED) -> Ran:
    """A run that has no result, with the objects that say so in the study where its headers can be read."""
    context = context_of(order, config)
    told = render_no_result(reason, context, order.takers) if context else Rendered((), ())
    return Ran(state, reason, (), told.objects, told.choices)
