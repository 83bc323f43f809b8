"""What was measured, by patient and algorithm: kept when images, jobs and results are long gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, insert, select

from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import MeasuredRow, SeriesRow
from dicom_node.records import Job, Measured

MOST = 5000
"""Values of one Patient ID that are read, the newest: one such as ANON may gather any number."""
_ADAPTER = TypeAdapter(Measured)


class Values:
    """Reads and forgets; `note_measured` writes."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of_patient(self, series_instance_uid: str, algorithm: str) -> list[Measured]:
        """What an algorithm measured under the Patient ID of a series, oldest first; it may be of several."""
        with self._db.read() as conn:
            this = select(SeriesRow.header).where(SeriesRow.series_instance_uid == series_instance_uid)
            patient_id = str((conn.execute(this).scalar() or {}).get("PatientID") or "").strip()
            if not patient_id:
                return []
            theirs = MeasuredRow.patient_id == patient_id, MeasuredRow.algorithm == algorithm
            newest = select(MeasuredRow.value).where(*theirs).order_by(MeasuredRow.id.desc()).limit(MOST)
            values = conn.execute(newest).scalars().all()
            return [_ADAPTER.validate_python(value) for value in reversed(values)]

    def forget(self, before: datetime) -> None:
        """Removes what was measured before a moment."""
        with self._db.write() as conn:
            conn.execute(delete(MeasuredRow).where(MeasuredRow.at < before))


def note_measured(conn: Connection, job: Job, values: Sequence[Measured], now: datetime) -> None:
    """Writes what a job measured, in the place of what the same question gave on an earlier revision."""
    question = {
        "series_instance_uid": next(iter(job.series.values())),
        "route": job.route,
        "pipeline": job.pipeline,
    }
    conn.execute(
        delete(MeasuredRow).where(*(getattr(MeasuredRow, name) == value for name, value in question.items()))
    )
    rows = [
        {
            **question,
            "patient_id": one.person.patient_id[:64],
            "algorithm": one.algorithm,
            "at": now,
            "value": asdict(one),
        }
        for one in values
    ]
    if rows:
        conn.execute(insert(MeasuredRow), rows)
