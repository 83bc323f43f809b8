"""Deliveries: results owed to destinations until each is acknowledged or refused for good."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from dicom_node.ledger.database import Database
from dicom_node.ledger.superseding import supersede
from dicom_node.ledger.tables import DeliveryRow, JobRow, ResultRow
from dicom_node.ledger.transitions import move
from dicom_node.records import Delivery, DeliveryOutcome, DeliveryState

DELIVERIES = (
    select(
        DeliveryRow.id,
        DeliveryRow.attempt,
        DeliveryRow.destination,
        ResultRow.sop_instance_uid,
        ResultRow.sop_class_uid,
        ResultRow.path,
        JobRow.study_instance_uid,
    )
    .join(ResultRow, ResultRow.sop_instance_uid == DeliveryRow.sop_instance_uid)
    .join(JobRow, JobRow.id == ResultRow.job_id)
    .order_by(DeliveryRow.id)
)
"""The columns of `Delivery`."""


class Outbox:
    """What is owed to whom."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def begin(self, destination: str, now: datetime, limit: int = 100) -> list[Delivery]:
        """Takes deliveries that are due at a destination, oldest first, and marks them as being sent.

        What a later run's results have replaced meanwhile, such as after an attempt that failed, is dropped.
        """
        due = (
            select(DeliveryRow.id)
            .where(
                DeliveryRow.state == DeliveryState.OWED,
                DeliveryRow.destination == destination,
                DeliveryRow.not_before <= now,
            )
            .order_by(DeliveryRow.not_before, DeliveryRow.id)
            .limit(limit)
        )
        with self._db.read() as conn:
            ids = list(conn.execute(due).scalars())
        if not ids:
            return []
        with self._db.write() as conn:
            supersede(conn, DeliveryRow.id.in_(ids), now)
            move(
                conn,
                "delivery",
                DeliveryState.OWED,
                DeliveryState.SENDING,
                DeliveryRow.id.in_(ids),
                "an attempt began",
                now,
                attempt=DeliveryRow.attempt + 1,
            )
            sending = DeliveryRow.id.in_(ids), DeliveryRow.state == DeliveryState.SENDING
            return [Delivery(**row._mapping) for row in conn.execute(DELIVERIES.where(*sending))]

    def settle(self, outcomes: Sequence[tuple[DeliveryOutcome, timedelta | None]], now: datetime) -> None:
        """Records how attempts ended.

        Args:
            outcomes: each with the delay before another try; None where there is none to be.
            now: when.
        """
        with self._db.write() as conn:
            for outcome, delay in outcomes:
                end(conn, DeliveryState.SENDING, outcome, delay, "acknowledged", now)

    def recover(self, destination: str, now: datetime) -> int:
        """Owes again what an attempt that was cut off left unsettled; a peer may get the same bytes twice."""
        sending, owed, ours = (
            DeliveryState.SENDING,
            DeliveryState.OWED,
            DeliveryRow.destination == destination,
        )
        cause = "the attempt was cut off"
        with self._db.read() as conn:
            if (
                conn.execute(
                    select(DeliveryRow.id).where(DeliveryRow.state == sending, ours).limit(1)
                ).first()
                is None
            ):
                return 0
        with self._db.write() as conn:
            return len(move(conn, "delivery", sending, owed, ours, cause, now, may_hold=True))

    def hurry(self, destination: str, now: datetime) -> int:
        """Makes everything due now that is owed to a destination, or to be committed; gives their number."""
        with self._db.write() as conn:
            here = DeliveryRow.destination == destination
            return conn.execute(update(DeliveryRow).where(here, to_do()).values(not_before=now)).rowcount

    def retry(self, destination: str, now: datetime) -> int:
        """Owes again what a destination refused, because an administrator asked; gives their number."""
        with self._db.write() as conn:
            return len(
                move(
                    conn,
                    "delivery",
                    DeliveryState.REFUSED,
                    DeliveryState.OWED,
                    DeliveryRow.destination == destination,
                    "an administrator asked",
                    now,
                    not_before=now,
                    finished_at=None,
                )
            )


def to_do() -> ColumnElement[bool]:
    """Of a delivery: it is to be sent at its moment, or its commitment is to be asked for then."""
    unasked = and_(DeliveryRow.state == DeliveryState.SENT, DeliveryRow.transaction_uid.is_(None))
    return or_(DeliveryRow.state == DeliveryState.OWED, unasked)


def end(
    conn: Connection,
    before: DeliveryState,
    outcome: DeliveryOutcome,
    delay: timedelta | None,
    cause: str,
    now: datetime,
) -> None:
    """Moves a delivery to where an outcome brings it: delivered for a cause, owed after a delay, refused."""
    values: dict[str, Any]
    if outcome.error is None:
        after, values = DeliveryState.DELIVERED, {"finished_at": now}
    elif delay is None:
        after, cause, values = DeliveryState.REFUSED, outcome.error, {"finished_at": now}
    else:
        after, cause, values = DeliveryState.OWED, outcome.error, {"not_before": now + delay}
    if outcome.error is not None and not outcome.absent:
        values["may_hold"] = True
    this = DeliveryRow.id == outcome.delivery_id
    move(conn, "delivery", before, after, this, cause, now, error=outcome.error, **values)
