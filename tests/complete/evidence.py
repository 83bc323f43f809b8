"""Evidence for tests, written as seconds from the first image."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dicom_node.records import (
    AssociationEvidence,
    AssociationOutcome,
    Evidence,
    GeometryEvidence,
    SourceCount,
)

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
WHOLE = GeometryEvidence(True, "100 slices, 2.5 mm apart, make a whole stack")
UNSURE = GeometryEvidence(False, "a gap of 5.0 mm after slice 40")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def association(
    start: float = 0,
    last: float = 10,
    end: float | None = 10.5,
    outcome: str = "released",
    images: int = 100,
    sender: str = "CT1",
    refused: int = 0,
) -> AssociationEvidence:
    return AssociationEvidence(
        association_id=f"{sender} {start}",
        calling_ae_title=sender,
        started_at=at(start),
        ended_at=None if end is None else at(end),
        outcome=AssociationOutcome(outcome),
        images=images,
        last_image_at=at(last),
        refused=refused,
    )


def open_association(start: float = 0, last: float = 10, **others: Any) -> AssociationEvidence:
    return association(start, last, end=None, outcome="open", **others)


def aborted(start: float = 0, last: float = 10, end: float = 10.5, **others: Any) -> AssociationEvidence:
    return association(start, last, end, outcome="aborted", **others)


def count(instances: int, when: float = 12) -> SourceCount:
    return SourceCount(at(when), "PACS", instances)


def evidence(*associations: AssociationEvidence, **others: Any) -> Evidence:
    known: dict[str, Any] = {
        "series_instance_uid": "1.2",
        "instances": sum(one.images for one in associations) or 100,
        "first_image_at": START,
        "last_image_at": max((one.last_image_at for one in associations), default=at(10)),
        "associations": associations,
        "sender_open": any(one.outcome is AssociationOutcome.OPEN for one in associations),
        "geometry": WHOLE,
    }
    return Evidence(**(known | others))
