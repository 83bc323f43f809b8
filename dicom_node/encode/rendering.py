"""One result, rendered for each destination: every form made once, and addressed to those who get it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dicom_node.encode.compression import compressed
from dicom_node.encode.context import EncodeContext, EncodedFile, EncodedObject, source_series
from dicom_node.encode.dispatch import encode_each, encode_no_result_each
from dicom_node.encode.embedding import embedding_files
from dicom_node.encode.groups import image_library
from dicom_node.encode.plan import NOBODY, Taker, forms, plan, plan_notice
from dicom_node.encode.planes import planes_of
from dicom_node.encode.sr import listed_sources
from dicom_node.findings import Finding, NotApplicable
from dicom_node.records import Choice

Made = Mapping[frozenset[str], Sequence[EncodedObject]]


@dataclass(frozen=True)
class Rendered:
    """What leaves a job, each object with its destinations; why it has these forms; and what stays here."""

    objects: tuple[EncodedObject, ...]
    choices: tuple[Choice, ...]
    files: tuple[EncodedFile, ...] = ()


def get_ahead(context: EncodeContext) -> None:
    """Makes what results need of their sources alone, so that it is there once something is found."""
    source_series(context)
    listed_sources(context)
    image_library(context)
    for role in context.volumes:
        _ = planes_of(context, role).references


def render(findings: Sequence[Finding], context: EncodeContext, takers: Sequence[Taker]) -> Rendered:
    """Makes what each destination is to have from what a pipeline found.

    Args:
        findings: all of one job; a single NotApplicable makes the notices that say so.
        context: the job.
        takers: its destinations; none: results are made in their usual forms, and kept only.

    Raises:
        GateRefused: an object isn't fit to leave.
    """
    refused = next((one for one in findings if isinstance(one, NotApplicable)), None)
    if refused is not None:
        return render_no_result(refused.reason, context, takers)
    chosen = {taker: plan(findings, taker) for taker in takers or [NOBODY]}
    rendered = _addressed(chosen, lambda wanted: encode_each(findings, context, wanted))
    return replace(rendered, files=embedding_files(findings, context))


def render_no_result(reason: str, context: EncodeContext, takers: Sequence[Taker]) -> Rendered:
    """Makes what tells each destination that there is no result, and why. Raises as `render` does."""
    chosen = {taker: plan_notice(taker) for taker in takers or [NOBODY]}
    return _addressed(chosen, lambda wanted: encode_no_result_each(reason, context, wanted))


def _addressed(
    chosen: Mapping[Taker, tuple[Choice, ...]], make: Callable[[Sequence[frozenset[str]]], Made]
) -> Rendered:
    """Every object once, with those who are to have it, as small as all of them take it."""
    wanted = {taker: forms(choices) for taker, choices in chosen.items()}
    made = make([each for each in dict.fromkeys(wanted.values()) if each])
    objects: dict[str, EncodedObject] = {}
    takers: dict[str, list[Taker]] = {}
    for taker, each in wanted.items():
        for one in made.get(each, ()):
            objects[one.sop_instance_uid] = one
            takers.setdefault(one.sop_instance_uid, []).append(taker)
    referred_to_first = sorted(objects.values(), key=lambda one: "SegmentSequence" not in one.ds)
    return Rendered(
        objects=tuple(_fitted(one, takers[one.sop_instance_uid]) for one in referred_to_first),
        choices=tuple(one for choices in chosen.values() for one in choices if one.destination),
    )


def _fitted(one: EncodedObject, takers: Sequence[Taker]) -> EncodedObject:
    """An object with its destinations, compressed in the best way that all of them take."""
    syntaxes = [taker.syntaxes(one.sop_class_uid) for taker in takers]
    destinations = tuple(taker.name for taker in takers if taker.name)
    return replace(compressed(one, frozenset.intersection(*syntaxes)), destinations=destinations)
