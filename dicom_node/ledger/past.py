"""Past traffic: what was made of series that were complete, and jobs that new rules ask for on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from dicom_node.ledger.database import Database
from dicom_node.ledger.queueing import NewJob, identity_of, queue_job
from dicom_node.ledger.tables import DeliveryRow, JobRow, SeriesRow
from dicom_node.ledger.transitions import record
from dicom_node.records import DeliveryState, JobState, Result, SeriesState

_RUN = (JobState.QUEUED, JobState.RUNNING, JobState.DONE, JobState.NOT_APPLICABLE, JobState.FAILED)
"""Jobs that no late image has overtaken."""


@dataclass(frozen=True, slots=True)
class PastSeries:
    """A series that was complete, with what each route of one series made of it then."""

    series_instance_uid: str
    study_instance_uid: str
    completed_at: datetime
    explanations: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class PastJob:
    """A job of the last revision of its series.

    Attributes:
        study: whether its route asks for several series.
        reason: why its route fired.
    """

    id: str
    study_instance_uid: str
    series_instance_uid: str
    route: str
    pipeline: str
    destinations: tuple[str, ...]
    shadow: bool
    state: str
    study: bool
    reason: str


class Past:
    """Reads what happened; queues what new rules ask for."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def series(self, since: datetime, until: datetime) -> list[PastSeries]:
        """Series that became complete in a span of time and are, other than own results; oldest first."""
        with self._db.read() as conn:
            rows = conn.execute(
                select(
                    SeriesRow.series_instance_uid,
                    SeriesRow.study_instance_uid,
                    SeriesRow.completed_at,
                    SeriesRow.explanations,
                )
                .where(
                    SeriesRow.state == SeriesState.COMPLETE,
                    SeriesRow.own.is_(False),
                    SeriesRow.completed_at >= since,
                    SeriesRow.completed_at < until,
                )
                .order_by(SeriesRow.completed_at, SeriesRow.series_instance_uid)
            )
            return [PastSeries(row[0], row[1], row[2], tuple(row[3] or ())) for row in rows]

    def jobs(self, study_instance_uid: str) -> list[PastJob]:
        """Jobs of a study's series, oldest first; of each question the last."""
        with self._db.read() as conn:
            rows = conn.execute(
                select(JobRow.__table__)
                .where(JobRow.study_instance_uid == study_instance_uid, JobRow.state.in_(_RUN))
                .order_by(JobRow.created_at)
            ).all()
        return [
            PastJob(
                id=row.id,
                study_instance_uid=row.study_instance_uid,
                series_instance_uid=row.series_instance_uid,
                route=row.route,
                pipeline=row.pipeline,
                destinations=tuple(row.destinations),
                shadow=row.shadow,
                state=row.state,
                study="stands" in row.explanation,
                reason=str(row.explanation.get("reason", "")),
            )
            for row in rows
        ]

    def requeue(self, new: NewJob, now: datetime) -> tuple[str | None, bool]:
        """Queues a job on series that are complete, unless the same was asked before.

        Returns:
            Its id, and whether it was queued now; no id where one of its series is not complete any more.
        """
        uids = list(new.series.values())
        with self._db.write() as conn:
            this = SeriesRow.series_instance_uid.in_(uids) & (SeriesRow.state == SeriesState.COMPLETE)
            if len(conn.execute(select(SeriesRow.series_instance_uid).where(this)).all()) < len(set(uids)):
                return None, False
            queued = queue_job(conn, new, now)
            return (queued, True) if queued is not None else (identity_of(conn, new), False)

    def owe(self, job_id: str, results: Sequence[Result], destinations: Sequence[str], now: datetime) -> int:
        """Owes a job's results to destinations that it was not for, or that it was kept from in shadow.

        Args:
            job_id: of a job that ran.
            results: its own, each for the destinations that it names.
            destinations: that its route sends to.
            now: when.

        Returns:
            The number of deliveries owed; what a destination has, or was owed before, is left out.
        """
        owed = 0
        with self._db.write() as conn:
            job = conn.execute(select(JobRow.destinations).where(JobRow.id == job_id)).one()
            everyone = list(dict.fromkeys([*job.destinations, *destinations]))
            conn.execute(
                update(JobRow).where(JobRow.id == job_id).values(destinations=everyone, shadow=False)
            )
            for result in results:
                uid = result.sop_instance_uid
                held = select(DeliveryRow.destination).where(DeliveryRow.sop_instance_uid == uid)
                before = set(conn.execute(held).scalars())
                for destination in (one for one in result.destinations if one in destinations):
                    if destination in before:
                        continue
                    values = {"destination": destination, "state": DeliveryState.OWED, "not_before": now}
                    row = insert(DeliveryRow).values(sop_instance_uid=uid, **values)
                    key = conn.execute(row.returning(DeliveryRow.id)).scalar_one()
                    cause = f"{result.kind} to {destination}: new rules, replayed"
                    record(conn, "delivery", [key], None, DeliveryState.OWED, cause, now)
                    owed += 1
        return owed
