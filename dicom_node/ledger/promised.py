"""Deliveries that were sent, and of which a destination has still to say whether it takes responsibility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import select, update

from dicom_node.ledger.database import Database
from dicom_node.ledger.outbox import DELIVERIES, end
from dicom_node.ledger.tables import DeliveryRow
from dicom_node.ledger.transitions import move
from dicom_node.records import Delivery, DeliveryOutcome, DeliveryState


@dataclass(frozen=True, slots=True)
class Unpromised:
    """Deliveries that stand alike.

    Attributes:
        transaction_uid: of the storage commitment that was asked for; None: none was yet.
        due: when it is to be asked for; once it was, until when it is awaited.
    """

    transaction_uid: str | None
    due: datetime
    deliveries: tuple[Delivery, ...]


class Promised:
    """What stands as sent."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def sent(self, deliveries: Sequence[int], now: datetime) -> None:
        """Notes that these were answered with success, and that their commitment is to be asked for."""
        sending, sent, these = DeliveryState.SENDING, DeliveryState.SENT, DeliveryRow.id.in_(deliveries)
        cause = "acknowledged; whether it takes responsibility is asked"
        with self._db.write() as conn:
            move(conn, "delivery", sending, sent, these, cause, now, not_before=now, transaction_uid=None)

    def of(self, destination: str) -> list[Unpromised]:
        """All that stands as sent to a destination, by transaction."""
        keys = DeliveryRow.transaction_uid, DeliveryRow.not_before
        here = DeliveryRow.destination == destination, DeliveryRow.state == DeliveryState.SENT
        with self._db.read() as conn:
            if conn.execute(select(DeliveryRow.id).where(*here).limit(1)).first() is None:
                return []
            statement = (
                DELIVERIES.add_columns(*keys).where(*here).order_by(None).order_by(*keys, DeliveryRow.id)
            )
            rows = [dict(row._mapping) for row in conn.execute(statement)]
        alike = groupby(rows, lambda row: (row.pop("transaction_uid"), row.pop("not_before")))
        return [Unpromised(*key, tuple(Delivery(**row) for row in some)) for key, some in alike]

    def awaited(self) -> set[str]:
        """Transaction UIDs of the commitments that were asked for and are awaited."""
        asked = DeliveryRow.state == DeliveryState.SENT, DeliveryRow.transaction_uid.is_not(None)
        with self._db.read() as conn:
            found = conn.execute(select(DeliveryRow.transaction_uid).where(*asked).distinct()).scalars()
            return {uid for uid in found if uid is not None}

    def asks(self, deliveries: Sequence[Delivery], transaction_uid: str | None, due: datetime) -> None:
        """Notes under which transaction a commitment is asked for; None: it could not be, and is again."""
        these = DeliveryRow.id.in_([one.id for one in deliveries])
        values = {"transaction_uid": transaction_uid, "not_before": due}
        with self._db.write() as conn:
            conn.execute(
                update(DeliveryRow).where(these, DeliveryRow.state == DeliveryState.SENT).values(**values)
            )

    def settle(
        self, outcomes: Sequence[tuple[DeliveryOutcome, timedelta | None]], cause: str, now: datetime
    ) -> None:
        """Records whether a destination has what it was sent.

        Args:
            outcomes: each with the delay before it is sent again; None where it isn't to be.
            cause: on what a success rests.
            now: when.
        """
        with self._db.write() as conn:
            for outcome, delay in outcomes:
                end(conn, DeliveryState.SENT, outcome, delay, cause, now)
