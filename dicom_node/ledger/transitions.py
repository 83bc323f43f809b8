"""The one table of allowed changes of state, and the one function that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, Table, insert, update

from dicom_node.ledger.tables import ChangeRow, DeliveryRow, JobRow, SeriesRow
from dicom_node.records import DeliveryState, JobState, SeriesState

Entity = Literal["series", "job", "delivery"]

TRANSITIONS: dict[Entity, dict[tuple[str | None, str], str]] = {
    "series": {
        (None, SeriesState.ARRIVING): "its first image was indexed",
        (SeriesState.ARRIVING, SeriesState.COMPLETE): "the evidence was judged complete",
        (SeriesState.COMPLETE, SeriesState.ARRIVING): "a late image came: a new revision",
    },
    "job": {
        (None, JobState.QUEUED): "a route matched a complete series",
        (JobState.QUEUED, JobState.RUNNING): "a worker claimed it",
        (
            JobState.QUEUED,
            JobState.DROPPED,
        ): "its series was reopened before it started, it was cancelled, or its route is gone",
        (
            JobState.RUNNING,
            JobState.STALE,
        ): "its series was reopened while it ran, or it was cancelled: its results are not wanted",
        (JobState.RUNNING, JobState.QUEUED): "given back: its worker ended, or the error may pass",
        (JobState.RUNNING, JobState.DONE): "results are durable and owed to their destinations",
        (JobState.RUNNING, JobState.NOT_APPLICABLE): "the pipeline does not apply, and the study says so",
        (JobState.RUNNING, JobState.FAILED): "an error that will not pass, and the study says so",
        (JobState.FAILED, JobState.QUEUED): "an administrator asked for another try",
        (JobState.DROPPED, JobState.QUEUED): "an administrator asked for it after all",
    },
    "delivery": {
        (None, DeliveryState.OWED): "a result was recorded for a destination that takes its kind",
        (DeliveryState.OWED, DeliveryState.SENDING): "an attempt began",
        (
            DeliveryState.OWED,
            DeliveryState.SUPERSEDED,
        ): "a later revision's results are owed in its place, or its route asks for it no more",
        (
            DeliveryState.SENDING,
            DeliveryState.OWED,
        ): "the attempt failed in a way that may pass, or was cut off",
        (DeliveryState.SENDING, DeliveryState.DELIVERED): "the peer acknowledged it",
        (DeliveryState.SENDING, DeliveryState.REFUSED): "the peer refused it for good",
        (
            DeliveryState.SENDING,
            DeliveryState.SENT,
        ): "the peer acknowledged it, and is asked to commit itself",
        (DeliveryState.SENT, DeliveryState.DELIVERED): "the peer takes responsibility for it, or lists it",
        (DeliveryState.SENT, DeliveryState.OWED): "the peer does not hold it: it is sent again",
        (DeliveryState.SENT, DeliveryState.REFUSED): "the peer will not take responsibility for it",
        (DeliveryState.REFUSED, DeliveryState.OWED): "an administrator asked for another try",
        (
            DeliveryState.REFUSED,
            DeliveryState.SUPERSEDED,
        ): "a later revision's results are owed in its place, or its route asks for it no more",
    },
}

_TABLES: dict[Entity, tuple[Table, str]] = {
    "series": (SeriesRow.metadata.tables["series"], "series_instance_uid"),
    "job": (JobRow.metadata.tables["jobs"], "id"),
    "delivery": (DeliveryRow.metadata.tables["deliveries"], "id"),
}


class ForbiddenTransitionError(AssertionError):
    """Code asked for a change of state that the table doesn't hold: a defect, not a condition."""


def record(
    conn: Connection,
    entity: Entity,
    keys: Sequence[str | int],
    before: str | None,
    after: str,
    cause: str,
    now: datetime,
) -> None:
    """Writes dated changes of several things that went the same way; raises ForbiddenTransitionError."""
    if (before, after) not in TRANSITIONS[entity]:
        raise ForbiddenTransitionError(f"{entity}: {before} -> {after}")
    rows = [
        {"at": now, "entity": entity, "key": str(key), "before": before, "after": after, "cause": cause}
        for key in keys
    ]
    if rows:
        conn.execute(insert(ChangeRow), rows)


def move(
    conn: Connection,
    entity: Entity,
    before: str,
    after: str,
    where: Any,
    cause: str,
    now: datetime,
    **values: Any,
) -> list[Row[Any]]:
    """Moves everything that matches `where` and stands in `before`, and records each change.

    Returns:
        The rows moved, whole, as they are now; empty where somebody else was quicker.
    """
    table, key = _TABLES[entity]
    statement = (
        update(table).where(table.c.state == before, where).values(state=after, **values).returning(*table.c)
    )
    rows = list(conn.execute(statement))
    record(conn, entity, [getattr(row, key) for row in rows], before, after, cause, now)
    return rows
