"""Jobs as workers take them from the queue: one at a time, or further ones that may share its pass."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from dicom_node.ledger.tables import InstanceRow, JobInputRow, JobRow
from dicom_node.ledger.transitions import move
from dicom_node.records import Job, JobState

_BYTES = (
    select(func.coalesce(func.sum(InstanceRow.size), 0))
    .join(JobInputRow, JobInputRow.series_instance_uid == InstanceRow.series_instance_uid)
    .where(JobInputRow.job_id == JobRow.id)
    .correlate(JobRow)
    .scalar_subquery()
)
"""What the images of a job's series take on the disk."""


def company(
    conn: Connection, first: Job, most: int, most_bytes: int, now: datetime, routes: Sequence[str] | None
) -> list[str]:
    """Ids of jobs that are due, of the same pipeline and urgency, and that nobody tried before.

    Args:
        conn: a transaction.
        first: the claimed job.
        most: at most so many, the oldest first.
        most_bytes: what the images of all, the first one's too, may take together.
        now: when.
        routes: only jobs of these; None: of any.
    """
    left = most_bytes - int(conn.execute(select(_BYTES).where(JobRow.id == first.id)).scalar_one())
    alike = (
        select(JobRow.id, _BYTES.label("bytes"))
        .where(JobRow.state == JobState.QUEUED, JobRow.not_before <= now)
        .where(JobRow.pipeline == first.pipeline, JobRow.priority == first.priority)
        .where(JobRow.attempt == 0, JobRow.missing.is_(None))
        .where(*([] if routes is None else [JobRow.route.in_(routes)]))
        .order_by(JobRow.created_at, JobRow.id)
        .limit(most)
    )
    taken = []
    for row in conn.execute(alike):
        if row.bytes <= left:
            left -= row.bytes
            taken.append(str(row.id))
    return taken


def claimed(conn: Connection, worker: str, which: Any, now: datetime) -> list[Job]:
    """Gives queued jobs to a worker; those that it got."""
    rows = move(
        conn,
        "job",
        JobState.QUEUED,
        JobState.RUNNING,
        which,
        f"claimed by {worker}",
        now,
        worker=worker,
        started_at=now,
        attempt=JobRow.attempt + 1,
        progress=0.0,
    )
    return [job_of(conn, row) for row in rows]


def job_of(conn: Connection, row: Row[Any]) -> Job:
    """The record of a job's row, with its inputs."""
    inputs = conn.execute(
        select(JobInputRow.role, JobInputRow.series_instance_uid)
        .where(JobInputRow.job_id == row.id)
        .order_by(JobInputRow.position)
    )
    return Job(
        id=row.id,
        study_instance_uid=row.study_instance_uid,
        series={row.role: row.series_instance_uid for row in inputs},
        revision=row.revision,
        route=row.route,
        pipeline=row.pipeline,
        destinations=tuple(row.destinations),
        created_at=row.created_at,
        priority=row.priority,
        attempt=row.attempt,
        doubtful=row.doubtful,
        shadow=row.shadow,
        missing=row.missing,
    )
