"""Asks every question about a series, and turns the answers into facts for rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from dicom_node.config.values import comparable
from dicom_node.understanding.anatomy import body_part_clues
from dicom_node.understanding.belief import Answer, Value, decide, decide_each
from dicom_node.understanding.contrast import contrast_clues
from dicom_node.understanding.ct import kernel_clues, phase_clues
from dicom_node.understanding.header import Header
from dicom_node.understanding.mr import kind_clues
from dicom_node.understanding.objects import (
    derived_clues,
    dose_report_clues,
    localizer_clues,
    modality_clues,
    secondary_clues,
)
from dicom_node.understanding.stack import stack_answers


def understand(header: Mapping[str, Any], fields: Sequence[Mapping[str, Any]] = ()) -> tuple[Answer, ...]:
    """Works out what a series is.

    Args:
        header: of its first image, as `headers.plain` gives it.
        fields: `headers.slice_fields` of every image, for the geometry; without them it is the first's.

    Returns:
        One answer a fact, save `body_part`, which has one for each part; the unlikely ones too.
    """
    read = Header(header)
    asked = [
        decide("modality", modality_clues(read)),
        decide("localizer", localizer_clues(read)),
        decide("derived", derived_clues(read)),
        decide("secondary", secondary_clues(read)),
        decide("dose_report", dose_report_clues(read)),
        decide("contrast", contrast_clues(read)),
    ]
    modality = asked[0].value if asked[0] else ""
    if modality == "MR":
        asked.append(decide("kind", kind_clues(read)))
    if modality == "CT":
        asked += [decide("kernel", kernel_clues(read)), decide("phase", phase_clues(read))]
    answers = [answer for answer in asked if answer is not None]
    answers += decide_each("body_part", body_part_clues(read))
    answers += _age(read)
    return (*answers, *stack_answers(read, fields))


def facts_of(answers: Sequence[Answer]) -> dict[str, Value | tuple[Value, ...]]:
    """The likely answers by the names that rules use; a fact with several answers has several values."""
    facts: dict[str, Value | tuple[Value, ...]] = {}
    for answer in answers:
        if answer.likely:
            before = facts.get(answer.fact)
            so_far = before if isinstance(before, tuple) else () if before is None else (before,)
            facts[answer.fact] = (*so_far, answer.value) if so_far else answer.value
    return facts


def _age(header: Header) -> list[Answer]:
    """The age in years, also where only two days say it; none is what anonymisers leave: 000Y, equal days."""
    stated = comparable(header.text("PatientAge"), "age") if header.text("PatientAge") else None
    if isinstance(stated, float) and stated > 0:
        return [Answer("age", round(stated, 2), 0.98, ("PatientAge",))]
    born, seen = (comparable(header.text(day), "date") for day in ("PatientBirthDate", "StudyDate"))
    if not isinstance(born, date) or not isinstance(seen, date):
        return []
    years = (seen - born).days / 365.25
    because = "PatientBirthDate and StudyDate"
    return [Answer("age", round(years, 2), 0.9, (because,))] if 0 < years < 130 else []
