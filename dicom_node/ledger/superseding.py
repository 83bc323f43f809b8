"""Earlier revisions: what they still owe is dropped, what they delivered is referred to, and taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, insert, or_, select
from sqlalchemy.orm import aliased

from dicom_node.ledger.database import Database
from dicom_node.ledger.tables import DeliveryRow, JobRow, ResultRow
from dicom_node.ledger.transitions import move, record
from dicom_node.records import DeliveryState, Job, JobState, Result

REJECTION = "rejection"
"""Kind of the results that are rejection notes."""
_HELD = (DeliveryState.SENDING, DeliveryState.SENT, DeliveryState.DELIVERED)
"""States in which the destination has the result, or may have it."""
_ENDED = (JobState.DONE, JobState.NOT_APPLICABLE, JobState.FAILED)
_UNSETTLED = (DeliveryState.OWED, DeliveryState.SENDING, DeliveryState.SENT, DeliveryState.REFUSED)
_OBJECT = (
    ResultRow.sop_instance_uid,
    ResultRow.sop_class_uid,
    ResultRow.series_instance_uid,
    ResultRow.kind,
    ResultRow.path,
    ResultRow.description,
)


@dataclass(frozen=True, slots=True)
class Replaced:
    """Results that a destination holds though a later run of the same question has put others beside them.

    Attributes:
        job_id: the later job. revision: its own. at: when it ended.
        results: the earlier ones, oldest first.
        reason: why the later job has no result; None where it has.
    """

    job_id: str
    revision: int
    at: datetime
    results: tuple[Result, ...]
    reason: str | None = None


class Superseding:
    """What later revisions mean for the results of earlier ones."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def predecessors(self, job: Job) -> list[Result]:
        """Results of earlier runs of the same question that a destination may hold, oldest first."""
        old, this = aliased(JobRow), aliased(JobRow)
        held = exists().where(DeliveryRow.sop_instance_uid == ResultRow.sop_instance_uid, may_be_held())
        with self._db.read() as conn:
            rows = conn.execute(
                select(*_OBJECT)
                .join(old, old.id == ResultRow.job_id)
                .join(this, _follows(this, old))
                .where(this.id == job.id, ResultRow.kind != REJECTION, held)
                .order_by(old.revision, old.created_at, ResultRow.sop_instance_uid)
            )
            return [Result(**row._mapping) for row in rows]

    def to_reject(self, destination: str, limit: int = 50) -> list[Replaced]:
        """What a destination is to be told that it no longer counts: all that replaces it is there.

        A job's note waits while any of its own results is not confirmed, or one of an earlier run's is on
        its way; there is one note for a job and a destination.
        """
        new = aliased(JobRow)
        with self._db.read() as conn:
            due = conn.execute(
                select(new.id, new.revision, new.finished_at, new.reason)
                .where(
                    new.state.in_(_ENDED),
                    _delivery(new, destination, (DeliveryState.DELIVERED,)),
                    ~_delivery(new, destination, _UNSETTLED),
                    ~_noted(new, destination),
                    ~followed(new),
                    _after_a_run(new, destination),
                )
                .limit(limit)
            ).all()
            found = (
                Replaced(row.id, row.revision, row.finished_at, _held(conn, row.id, destination), row.reason)
                for row in due
            )
            return [one for one in found if one.results]

    def owe_note(self, job_id: str, destination: str, note: Result, now: datetime) -> bool:
        """Owes a job's rejection note to a destination; False where it is owed, or was, before."""
        with self._db.write() as conn:
            uid = ResultRow.sop_instance_uid == note.sop_instance_uid
            if conn.execute(select(ResultRow.sop_instance_uid).where(uid)).first() is None:
                conn.execute(insert(ResultRow).values(job_id=job_id, **_columns(note)))
            this = (DeliveryRow.sop_instance_uid == note.sop_instance_uid) & (
                DeliveryRow.destination == destination
            )
            if conn.execute(select(DeliveryRow.id).where(this)).first() is not None:
                return False
            owed = {"state": DeliveryState.OWED, "not_before": now, "destination": destination}
            statement = insert(DeliveryRow).values(sop_instance_uid=note.sop_instance_uid, **owed)
            key = conn.execute(statement.returning(DeliveryRow.id)).scalar_one()
            cause = f"{note.kind} to {destination}: what it held is replaced"
            record(conn, "delivery", [key], None, DeliveryState.OWED, cause, now)
        return True


def supersede(conn: Connection, where: ColumnElement[bool], now: datetime) -> None:
    """Drops, of some deliveries, those that are not delivered and that a later run's results replace."""
    cause = "a later run's results are owed in its place"
    for state in (DeliveryState.OWED, DeliveryState.REFUSED):
        replaced = where & _replaced()
        move(conn, "delivery", state, DeliveryState.SUPERSEDED, replaced, cause, now, finished_at=now)


def of_the_same_question(series_instance_uid: str, route: str, pipeline: str) -> ColumnElement[bool]:
    """Deliveries of results of the same first series by the same route and pipeline."""
    results = (
        select(ResultRow.sop_instance_uid)
        .join(JobRow, JobRow.id == ResultRow.job_id)
        .where(
            JobRow.series_instance_uid == series_instance_uid,
            JobRow.route == route,
            JobRow.pipeline == pipeline,
        )
    )
    return DeliveryRow.sop_instance_uid.in_(results)


def _replaced() -> ColumnElement[bool]:
    """Of a delivery: a later run of the same question has ended; one in shadow replaces nothing."""
    old, new = aliased(JobRow), aliased(JobRow)
    return exists().where(
        ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid,
        old.id == ResultRow.job_id,
        _follows(new, old),
        new.state.in_(_ENDED),
    )


def _follows(new: Any, old: Any) -> ColumnElement[bool]:
    """A job asks the same as another, later: of a later revision, or of more series of the study."""
    return and_(
        new.series_instance_uid == old.series_instance_uid,
        new.route == old.route,
        new.pipeline == old.pipeline,
        new.shadow.is_(False),
        or_(
            new.revision > old.revision,
            and_(new.revision == old.revision, new.created_at > old.created_at),
        ),
    )


def followed(job: Any) -> ColumnElement[bool]:
    """A later run of the same question as a job's has ended."""
    later = aliased(JobRow)
    return exists().where(_follows(later, job), later.state.in_(_ENDED))


def _after_a_run(job: Any, destination: str) -> ColumnElement[bool]:
    """A destination holds results of an earlier run, and none of them is still on its way."""
    old, other = aliased(JobRow), aliased(JobRow)
    on_the_way = (DeliveryState.OWED, DeliveryState.SENDING, DeliveryState.SENT)
    held = exists().where(_follows(job, old), _delivery(old, destination, (DeliveryState.DELIVERED,)))
    moving = exists().where(_follows(job, other), _delivery(other, destination, on_the_way))
    return held & ~moving


def _delivery(job: Any, destination: str, states: tuple[DeliveryState, ...]) -> ColumnElement[bool]:
    """A result of a job, other than a note, stands so at a destination."""
    result, delivery = aliased(ResultRow), aliased(DeliveryRow)
    return exists().where(
        result.job_id == job.id,
        result.kind != REJECTION,
        delivery.sop_instance_uid == result.sop_instance_uid,
        delivery.destination == destination,
        stands(delivery, states),
    )


def stands(delivery: Any, states: Sequence[str]) -> ColumnElement[bool]:
    """A delivery is in one of these states.

    The expression hides the column from the index of what is due: SQLite would look through everything that
    was ever delivered, for each job, where the few deliveries of one result are meant.
    """
    return func.coalesce(delivery.state, "").in_(states)


def may_be_held() -> ColumnElement[bool]:
    """Of a delivery: the destination has the result or may have it, be it dropped since."""
    return or_(stands(DeliveryRow, _HELD), DeliveryRow.may_hold)


def _noted(job: Any, destination: str) -> ColumnElement[bool]:
    """A destination has, or is owed, a job's rejection note."""
    result, delivery = aliased(ResultRow), aliased(DeliveryRow)
    return exists().where(
        result.job_id == job.id,
        result.kind == REJECTION,
        delivery.sop_instance_uid == result.sop_instance_uid,
        delivery.destination == destination,
        ~stands(delivery, (DeliveryState.SUPERSEDED,)),
    )


def _held(conn: Connection, job_id: str, destination: str) -> tuple[Result, ...]:
    """Results of runs before a job that a destination holds, and that no note between has named."""
    old, new, between = aliased(JobRow), aliased(JobRow), aliased(JobRow)
    named = exists().where(_follows(between, old), _follows(new, between), _noted(between, destination))
    rows = conn.execute(
        select(*_OBJECT)
        .join(old, old.id == ResultRow.job_id)
        .join(new, _follows(new, old))
        .join(DeliveryRow, DeliveryRow.sop_instance_uid == ResultRow.sop_instance_uid)
        .where(
            new.id == job_id,
            ResultRow.kind != REJECTION,
            DeliveryRow.destination == destination,
            stands(DeliveryRow, (DeliveryState.DELIVERED,)),
            ~named,
        )
        .order_by(old.revision, old.created_at, ResultRow.sop_instance_uid)
    )
    return tuple(Result(**row._mapping) for row in rows)


def _columns(result: Result) -> Mapping[str, Any]:
    """A result's row, less whom it is for: the deliveries say it."""
    row = asdict(result)
    del row["destinations"]
    return row
