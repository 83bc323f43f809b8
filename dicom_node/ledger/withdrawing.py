"""Results of an earlier revision that their route asks for no more: none is left to stand silently.

What is still owed is dropped. For what a destination holds or may hold, a job is queued that runs nothing and
only says, in the study, that the earlier result no longer counts: so it names the earlier results, supersedes
them, and is followed by a rejection note, as any later run's results are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from dicom_node.ledger.queueing import NewJob, queue_job
from dicom_node.ledger.superseding import REJECTION, followed, may_be_held, of_the_same_question
from dicom_node.ledger.tables import DeliveryRow, JobInputRow, JobRow, ResultRow, SeriesRow
from dicom_node.ledger.transitions import move
from dicom_node.records import DeliveryState, JobState, SeriesState


@dataclass(frozen=True, slots=True)
class NoMore:
    """A route that does not fire on series as they are now.

    Attributes:
        route: its name.
        series: Series Instance UIDs; what was said of one of them, as a run's first, no longer counts.
        reason: why, in words for a radiologist and a status page, without patient data.
        explanation: what the route made of it, as JSON.
    """

    route: str
    series: tuple[str, ...]
    reason: str
    explanation: Mapping[str, Any]


def withdraw(conn: Connection, no_more: NoMore, now: datetime) -> list[str]:
    """Takes back what earlier revisions' runs of a route said, once for each revision.

    Returns:
        Ids of the jobs queued, each of which tells the destinations that hold results.
    """
    standing = conn.execute(
        select(JobRow.__table__).where(
            JobRow.series_instance_uid.in_(no_more.series),
            JobRow.route == no_more.route,
            JobRow.state == JobState.DONE,
            JobRow.shadow.is_(False),
            ~followed(JobRow),
        )
    ).all()
    made = (_withdrawn(conn, job, no_more, now) for job in standing)
    return [identity for identity in made if identity is not None]


def _withdrawn(conn: Connection, job: Row[Any], no_more: NoMore, now: datetime) -> str | None:
    """Takes back what a run said; None where it still counts, or nobody has heard of it."""
    inputs = conn.execute(
        select(JobInputRow.role, JobInputRow.series_instance_uid, SeriesRow.revision, SeriesRow.state)
        .outerjoin(SeriesRow, SeriesRow.series_instance_uid == JobInputRow.series_instance_uid)
        .where(JobInputRow.job_id == job.id)
        .order_by(JobInputRow.position)
    ).all()
    if any(one.state != SeriesState.COMPLETE for one in inputs):
        return None  # it is looked at again once they are, unless they are forgotten
    if 1 + sum(one.revision - 1 for one in inputs) <= job.revision:
        return None  # the series are those that it was run on: rules that change take nothing back
    theirs = of_the_same_question(job.series_instance_uid, job.route, job.pipeline)
    for state in (DeliveryState.OWED, DeliveryState.REFUSED):
        cause = f"route {job.route} asks for it no more"
        move(conn, "delivery", state, DeliveryState.SUPERSEDED, theirs, cause, now, finished_at=now)
    holders = tuple(conn.execute(_holders(theirs)).scalars())
    if not holders:
        return None
    says = NewJob(
        route=job.route,
        pipeline=job.pipeline,
        series={one.role: one.series_instance_uid for one in inputs},
        destinations=holders,
        priority=job.priority,
        explanation=no_more.explanation,
        missing=no_more.reason,
    )
    return queue_job(conn, says, now)


def _holders(theirs: ColumnElement[bool]) -> Select[Any]:
    """Destinations that hold, or may hold, results other than rejection notes."""
    return (
        select(DeliveryRow.destination)
        .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
        .where(theirs, ResultRow.kind != REJECTION, may_be_held())
        .distinct()
        .order_by(DeliveryRow.destination)
    )
