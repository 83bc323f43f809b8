"""What may be forgotten: series that are through, and never one of which a result is still owed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, exists, or_, select

from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import (
    AssociationRow,
    ChangeRow,
    CommitmentRow,
    ConflictRow,
    DeliveryRow,
    InstanceRow,
    JobInputRow,
    JobRow,
    PerformedSeriesRow,
    PerformedStepRow,
    PieceRow,
    RefusalRow,
    ResultRow,
    SeriesRow,
    SourceCountRow,
)
from dicom_node.records import AssociationOutcome, DeliveryState, JobState, SeriesState

_CHUNK = 500
"""Values in one IN clause; databases have a limit."""


@dataclass(frozen=True, slots=True)
class Expired:
    """A series that may go: the paths of all its files, relative to the spool, and the ids of its jobs."""

    series_instance_uid: str
    paths: tuple[str, ...]
    jobs: tuple[str, ...] = ()


class Retention:
    """Finds and forgets what is old enough."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def expired(self, before: datetime, limit: int = 100) -> list[Expired]:
        """Series whose last image came before a moment, and that nothing waits for, oldest first."""
        with self._db.read() as conn:
            uids = list(
                conn.execute(
                    select(SeriesRow.series_instance_uid)
                    .where(
                        SeriesRow.last_image_at < before,
                        or_(SeriesRow.state == SeriesState.COMPLETE, SeriesRow.series_instance_uid == ""),
                        ~_still_wanted(),
                    )
                    .order_by(SeriesRow.last_image_at)
                    .limit(limit)
                ).scalars()
            )
            return [Expired(uid, tuple(_paths(conn, uid)), tuple(_jobs(conn, uid))) for uid in uids]

    def forget(self, series: Sequence[Expired]) -> None:
        """Removes series, their jobs, results and deliveries; their files have to be gone by then.

        A series to which an image came meanwhile stays with that image.
        """
        with self._db.write() as conn:
            for one in series:
                _forget_images(conn, one)
            uids = [one.series_instance_uid for one in series]
            held = select(InstanceRow.series_instance_uid).where(InstanceRow.series_instance_uid.in_(uids))
            uids = sorted(set(uids) - set(conn.execute(held).scalars()))
            theirs = select(JobInputRow.job_id).where(JobInputRow.series_instance_uid.in_(uids)).distinct()
            jobs = list(conn.execute(theirs).scalars())
            results = select(ResultRow.sop_instance_uid).where(ResultRow.job_id.in_(jobs))
            conn.execute(delete(DeliveryRow).where(DeliveryRow.sop_instance_uid.in_(results)))
            conn.execute(delete(ResultRow).where(ResultRow.job_id.in_(jobs)))
            conn.execute(delete(JobInputRow).where(JobInputRow.job_id.in_(jobs)))
            conn.execute(delete(JobRow).where(JobRow.id.in_(jobs)))
            for table in (ConflictRow, PieceRow, SourceCountRow, SeriesRow):
                conn.execute(delete(table).where(table.series_instance_uid.in_(uids)))

    def forget_history(self, before: datetime) -> list[str]:
        """Removes what happened before a moment: changes, refusals, requests, associations without images.

        Returns:
            Paths of the refused objects that were kept aside, for their files to be removed.
        """
        with self._db.write() as conn:
            conn.execute(delete(ChangeRow).where(ChangeRow.at < before))
            conn.execute(
                delete(AssociationRow).where(
                    AssociationRow.ended_at < before,
                    AssociationRow.outcome != AssociationOutcome.OPEN,
                    ~exists().where(PieceRow.association_id == AssociationRow.id),
                )
            )
            old = select(PerformedStepRow.mpps_instance_uid).where(PerformedStepRow.at < before)
            conn.execute(delete(PerformedSeriesRow).where(PerformedSeriesRow.mpps_instance_uid.in_(old)))
            conn.execute(delete(PerformedStepRow).where(PerformedStepRow.at < before))
            conn.execute(delete(CommitmentRow).where(CommitmentRow.at < before))
            gone = delete(RefusalRow).where(RefusalRow.at < before).returning(RefusalRow.path)
            return [path for path in conn.execute(gone).scalars() if path]


def _forget_images(conn: Connection, one: Expired) -> None:
    """Removes the rows of the images whose files are gone."""
    for start in range(0, len(one.paths), _CHUNK):
        gone = InstanceRow.path.in_(one.paths[start : start + _CHUNK])
        series = InstanceRow.series_instance_uid == one.series_instance_uid
        conn.execute(delete(InstanceRow).where(series, gone))


def _still_wanted() -> ColumnElement[bool]:
    """A job of the series, or a delivery of one, has not ended well: it may still be tried."""
    unfinished_job = exists().where(
        JobInputRow.series_instance_uid == SeriesRow.series_instance_uid,
        JobRow.id == JobInputRow.job_id,
        JobRow.state.in_((JobState.QUEUED, JobState.RUNNING)),
    )
    undelivered = exists().where(
        DeliveryRow.sop_instance_uid == ResultRow.sop_instance_uid,
        ResultRow.job_id == JobInputRow.job_id,
        JobInputRow.series_instance_uid == SeriesRow.series_instance_uid,
        DeliveryRow.state.not_in((DeliveryState.DELIVERED, DeliveryState.SUPERSEDED)),
    )
    return or_(unfinished_job, undelivered)


def _paths(conn: Connection, series_instance_uid: str) -> list[str]:
    """Paths of a series' images, of copies kept beside them, and of its results."""
    images = select(InstanceRow.path).where(InstanceRow.series_instance_uid == series_instance_uid)
    beside = select(ConflictRow.path).where(ConflictRow.series_instance_uid == series_instance_uid)
    results = (
        select(ResultRow.path)
        .join(JobInputRow, JobInputRow.job_id == ResultRow.job_id)
        .where(JobInputRow.series_instance_uid == series_instance_uid)
    )
    return [path for query in (images, beside, results) for path in conn.execute(query).scalars()]


def _jobs(conn: Connection, series_instance_uid: str) -> list[str]:
    """Ids of the jobs on a series: what a run said lies by its job, also where it made no result."""
    theirs = JobInputRow.series_instance_uid == series_instance_uid
    return list(conn.execute(select(JobInputRow.job_id).where(theirs).distinct()).scalars())
