"""Read-only views for people: what stands where, and what needs somebody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column, or_, select, true, union_all
from sqlalchemy.orm import InstrumentedAttribute

from dicom_node.ledger.database import Database
from dicom_node.ledger.evidence import verdict_of
from dicom_node.ledger.tables import (
    AssociationRow,
    ChangeRow,
    ConflictRow,
    DeliveryRow,
    InstanceRow,
    JobInputRow,
    JobRow,
    RefusalRow,
    ResultRow,
    SeriesRow,
)
from dicom_node.records import AssociationOutcome, Choice


class Views:
    """Queries of the status pages and commands; UIDs, counts and states, no patient data."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def _rows(self, statement: Any) -> list[dict[str, Any]]:
        """A query's rows as dicts."""
        with self._db.read() as conn:
            return [dict(row) for row in conn.execute(statement).mappings()]

    def counts(self) -> dict[str, dict[str, int]]:
        """Numbers of series, jobs and deliveries by state, of associations open, and of conflicts kept."""
        counts: dict[str, dict[str, int]] = {}
        with self._db.read() as conn:
            for name, column in (
                ("series", SeriesRow.state),
                ("jobs", JobRow.state),
                ("deliveries", DeliveryRow.state),
            ):
                rows = conn.execute(select(column, func.count()).group_by(column))
                counts[name] = {row[0]: row[1] for row in rows}
            still_open = select(func.count()).where(AssociationRow.outcome == AssociationOutcome.OPEN)
            counts["associations"] = {"open": conn.execute(still_open).scalar_one()}
            beside = select(func.count()).select_from(ConflictRow)
            counts["conflicts"] = {"kept": conn.execute(beside).scalar_one()}
        return counts

    def recent_series(self, limit: int = 50) -> list[dict[str, Any]]:
        """The series that changed last, with their number of images and verdict."""
        recent = (
            select(
                SeriesRow.series_instance_uid,
                SeriesRow.study_instance_uid,
                SeriesRow.modality,
                SeriesRow.state,
                SeriesRow.revision,
                SeriesRow.own,
                SeriesRow.doubtful,
                SeriesRow.last_image_at,
                SeriesRow.verdict,
                SeriesRow.explanations,
            )
            .order_by(SeriesRow.last_image_at.desc())
            .limit(limit)
            .subquery()
        )
        images = (
            select(func.count())
            .where(InstanceRow.series_instance_uid == recent.c.series_instance_uid)
            .scalar_subquery()
        )
        return self._rows(select(recent, images.label("images")).order_by(recent.c.last_image_at.desc()))

    def series_of(self, study_instance_uid: str) -> list[dict[str, Any]]:
        """The series of a study, in the order of their arrival, each with its last verdict."""
        rows = self._rows(
            select(SeriesRow.series_instance_uid, SeriesRow.state, SeriesRow.verdict, SeriesRow.explanations)
            .where(SeriesRow.study_instance_uid == study_instance_uid)
            .order_by(SeriesRow.first_image_at)
        )
        return [row | {"verdict": verdict_of(row["verdict"])} for row in rows]

    def recent_jobs(self, limit: int = 50, states: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """The newest jobs in these states; None: in any."""
        return self._rows(
            select(
                JobRow.id,
                JobRow.study_instance_uid,
                JobRow.series_instance_uid,
                JobRow.revision,
                JobRow.route,
                JobRow.pipeline,
                JobRow.state,
                JobRow.attempt,
                JobRow.progress,
                JobRow.created_at,
                JobRow.started_at,
                JobRow.finished_at,
                JobRow.reason,
                JobRow.priority,
                JobRow.explanation,
                JobRow.choices,
            )
            .where(_among(JobRow.id, JobRow.state, JobRow.created_at, states, limit))
            .order_by(JobRow.created_at.desc())
            .limit(limit)
        )

    def study_of(self, uid: str) -> str | None:
        """The study that has this UID, or that a series of this UID is of; None: neither is held."""
        this = or_(SeriesRow.study_instance_uid == uid, SeriesRow.series_instance_uid == uid)
        with self._db.read() as conn:
            return conn.execute(select(SeriesRow.study_instance_uid).where(this).limit(1)).scalar()

    def jobs_of(self, uid: str) -> list[dict[str, Any]]:
        """The jobs of a study, or of a series in any role, oldest first, and why results have their forms."""
        with_series = select(JobInputRow.job_id).where(JobInputRow.series_instance_uid == uid)
        rows = self._rows(
            select(
                JobRow.route, JobRow.pipeline, JobRow.revision, JobRow.state, JobRow.reason, JobRow.choices
            )
            .where(or_(JobRow.study_instance_uid == uid, JobRow.id.in_(with_series)))
            .order_by(JobRow.created_at)
        )
        return [row | {"choices": [Choice(**one) for one in row["choices"] or ()]} for row in rows]

    def deliveries(self, states: Sequence[str] | None = None, limit: int = 50) -> list[dict[str, Any]]:
        """The newest deliveries in these states, with what each is; None: in any."""
        return self._rows(
            select(
                DeliveryRow.id,
                DeliveryRow.destination,
                DeliveryRow.state,
                DeliveryRow.attempt,
                DeliveryRow.not_before,
                DeliveryRow.finished_at,
                DeliveryRow.error,
                ResultRow.sop_instance_uid,
                ResultRow.kind,
                ResultRow.description,
                ResultRow.path,
                ResultRow.job_id,
                JobRow.study_instance_uid,
            )
            .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
            .join(JobRow, JobRow.id == ResultRow.job_id)
            .where(_among(DeliveryRow.id, DeliveryRow.state, DeliveryRow.id, states, limit))
            .order_by(DeliveryRow.id.desc())
            .limit(limit)
        )

    def refusals(self, limit: int = 20) -> list[dict[str, Any]]:
        """What was turned away lately, with hints."""
        return self._rows(select(RefusalRow.__table__).order_by(RefusalRow.at.desc()).limit(limit))

    def turned_away(self, since: datetime) -> list[dict[str, Any]]:
        """What was turned away since a moment, by sender and reason: the most often first."""
        who = (RefusalRow.calling_ae_title, RefusalRow.address, RefusalRow.reason, RefusalRow.of_image)
        times = func.sum(RefusalRow.times).label("times")
        cure = func.max(RefusalRow.hint).label("hint")
        return self._rows(
            select(*who, cure, times).where(RefusalRow.at >= since).group_by(*who).order_by(times.desc())
        )

    def conflicting(self, since: datetime) -> list[dict[str, Any]]:
        """How many images came again with other bytes since a moment, by sender; "": not known."""
        unknown: ColumnElement[str] = literal_column("''")
        sender = func.coalesce(AssociationRow.calling_ae_title, unknown).label("calling_ae_title")
        return self._rows(
            select(sender, func.count().label("images"), func.max(ConflictRow.at).label("at"))
            .select_from(ConflictRow)
            .outerjoin(AssociationRow, AssociationRow.id == ConflictRow.association_id)
            .where(ConflictRow.at >= since)
            .group_by(sender)
            .order_by(func.count().desc())
        )

    def conflicts(self, limit: int = 20) -> list[dict[str, Any]]:
        """Same UID, other bytes."""
        return self._rows(select(ConflictRow.__table__).order_by(ConflictRow.at.desc()).limit(limit))

    def results(self, job_id: str) -> list[dict[str, Any]]:
        """The objects that a job made."""
        return self._rows(select(ResultRow.__table__).where(ResultRow.job_id == job_id))

    def history(self, entity: str, key: str) -> list[dict[str, Any]]:
        """Every change of one thing, oldest first."""
        return self._rows(
            select(ChangeRow.at, ChangeRow.before, ChangeRow.after, ChangeRow.cause)
            .where(ChangeRow.entity == entity, ChangeRow.key == key)
            .order_by(ChangeRow.id)
        )

    def idle(self) -> bool:
        """Nothing arrives, waits, runs or is owed."""
        counts = self.counts()
        busy = (
            counts["series"].get("arriving", 0),
            counts["jobs"].get("queued", 0),
            counts["jobs"].get("running", 0),
            counts["deliveries"].get("owed", 0),
            counts["deliveries"].get("sending", 0),
            counts["deliveries"].get("sent", 0),
        )
        return not any(busy)

    def last_change(self) -> datetime | None:
        """When anything last changed its state."""
        with self._db.read() as conn:
            return conn.execute(select(func.max(ChangeRow.at))).scalar()


def _among(
    key: InstrumentedAttribute[Any],
    state: InstrumentedAttribute[str],
    age: InstrumentedAttribute[Any],
    states: Sequence[str] | None,
    limit: int,
) -> ColumnElement[bool]:
    """A row is among the newest of each of these states; None: any row.

    An index gives the newest of one state in their order; of several states at once, a database would sort
    all that there ever were.
    """
    if states is None:
        return true()
    newest = (select(key).where(state == one).order_by(age.desc()).limit(limit) for one in states)
    return key.in_(union_all(*(select(one.subquery()) for one in newest)))
