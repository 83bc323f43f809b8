"""Jobs that wait for a route or a pipeline that the site has no more: they are dropped, and say why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, or_, select

from dicom_node.ledger.tables import JobRow
from dicom_node.ledger.transitions import move
from dicom_node.records import JobState

_WAITS = JobRow.state == JobState.QUEUED


def waits_for_others(conn: Connection, routes: Sequence[str], pipelines: Sequence[str]) -> bool:
    """Whether a job waits whose route or pipeline is none of these."""
    others = or_(JobRow.route.not_in(routes), JobRow.pipeline.not_in(pipelines))
    return conn.execute(select(JobRow.id).where(_WAITS, others).limit(1)).first() is not None


def abandon(
    conn: Connection, routes: Sequence[str], pipelines: Sequence[str], now: datetime
) -> dict[str, int]:
    """Drops the jobs that wait for other routes and pipelines; gives how many, by cause."""
    dropped: dict[str, int] = {}
    for what, column, known in (("route", JobRow.route, routes), ("pipeline", JobRow.pipeline, pipelines)):
        others = select(column).where(_WAITS, column.not_in(known)).distinct()
        for name in list(conn.execute(others).scalars()):
            cause = f"conf.yaml has no {what} {name} any more"
            dropped[cause] = _dropped(conn, column == name, cause, now)
    return dropped


def _dropped(conn: Connection, where: ColumnElement[bool], cause: str, now: datetime) -> int:
    before, after = JobState.QUEUED, JobState.DROPPED
    return len(move(conn, "job", before, after, where, cause, now, reason=cause, finished_at=now))
