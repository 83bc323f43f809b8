"""All that waits for a moment by the wall clock; when that is set, such moments mean nothing any more."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, update

from dicom_node.ledger.database import Database
from dicom_node.ledger.outbox import to_do
from dicom_node.ledger.tables import DeliveryRow, JobRow, SeriesRow, StudyWaitRow
from dicom_node.records import JobState, SeriesState


class Waits:
    """What is looked at, tried or begun at a certain moment."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def end(self, now: datetime) -> None:
        """Makes everything due: series and studies are judged anew, jobs and deliveries tried again.

        A job that waits for a window of its route still does: that is meant by the wall clock. So does a
        delivery whose commitment was asked for: how long it is awaited is its destination's to say.
        """
        series = update(SeriesRow).where(SeriesRow.state == SeriesState.ARRIVING).values(look_again_at=None)
        no_window = or_(JobRow.attempt > 0, JobRow.not_before <= JobRow.created_at)
        jobs = update(JobRow).where(JobRow.state == JobState.QUEUED, no_window).values(not_before=now)
        deliveries = update(DeliveryRow).where(to_do()).values(not_before=now)
        with self._db.write() as conn:
            for statement in (series, update(StudyWaitRow).values(look_again_at=now), jobs, deliveries):
                conn.execute(statement)
