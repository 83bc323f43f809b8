"""Putting a job on the queue: its identity, its inputs, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from dicom_node.ledger.tables import JobInputRow, JobRow, SeriesRow
from dicom_node.ledger.transitions import record
from dicom_node.records import JobState


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a matched route asks for.

    Attributes:
        series: Series Instance UID by role; the first is the one whose study and patient the results are of.
        explanation: why the route fired, as JSON.
        not_before: when it may start; None: at once.
        missing: why there is nothing to run, such as a series that it waited for in vain; it only says so.
    """

    route: str
    pipeline: str
    series: Mapping[str, str]
    destinations: tuple[str, ...]
    priority: int
    explanation: Mapping[str, Any]
    shadow: bool = False
    not_before: datetime | None = None
    missing: str | None = None


def job_id(route: str, pipeline: str, inputs: Mapping[str, tuple[str, int]]) -> str:
    """The identity of a job: the same question asked twice is one job.

    Args:
        route: its name.
        pipeline: its name.
        inputs: Series Instance UID and revision by role.
    """
    parts = [
        route,
        pipeline,
        *(f"{role} {uid} {revision}" for role, (uid, revision) in sorted(inputs.items())),
    ]
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def queue_job(conn: Connection, new: NewJob, now: datetime) -> str | None:
    """Inserts a job on complete series; None where it is there already."""
    rows, inputs = _inputs(conn, new)
    identity = job_id(new.route, new.pipeline, inputs)
    if conn.execute(select(JobRow.id).where(JobRow.id == identity)).first() is not None:
        return None
    first = next(iter(new.series.values()))
    conn.execute(
        insert(JobRow).values(
            id=identity,
            study_instance_uid=rows[first].study_instance_uid,
            series_instance_uid=first,
            revision=1 + sum(revision - 1 for _uid, revision in inputs.values()),
            route=new.route,
            pipeline=new.pipeline,
            destinations=list(new.destinations),
            explanation=dict(new.explanation),
            missing=new.missing,
            state=JobState.QUEUED,
            priority=new.priority,
            shadow=new.shadow,
            doubtful=any(row.doubtful for row in rows.values()),
            created_at=now,
            not_before=new.not_before or now,
        )
    )
    conn.execute(
        insert(JobInputRow),
        [
            {"job_id": identity, "position": position, "role": role, "series_instance_uid": uid}
            for position, (role, uid) in enumerate(new.series.items())
        ],
    )
    record(conn, "job", [identity], None, JobState.QUEUED, f"route {new.route}", now)
    return identity


def identity_of(conn: Connection, new: NewJob) -> str:
    """The id that a job has, or would have, on its series as they stand."""
    return job_id(new.route, new.pipeline, _inputs(conn, new)[1])


def _inputs(conn: Connection, new: NewJob) -> tuple[dict[str, Row[Any]], dict[str, tuple[str, int]]]:
    """The rows of a job's series by UID, and UID and revision by role."""
    uids = SeriesRow.series_instance_uid.in_(list(new.series.values()))
    rows = {row.series_instance_uid: row for row in conn.execute(select(SeriesRow.__table__).where(uids))}
    return rows, {role: (uid, rows[uid].revision) for role, uid in new.series.items()}
