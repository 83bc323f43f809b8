"""What senders, modalities and sources have said of a series: storage commitment, MPPS, counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from dicom_node.ledger.tables import (
    CommitmentRow,
    InstanceRow,
    PerformedSeriesRow,
    PerformedStepRow,
    SourceCountRow,
)
from dicom_node.records import PerformedStep, SourceCount, StorageCommitment

CLOCK_SLACK = timedelta(hours=1)
"""A request may seem to come before the images that it lists: the clock was set back in between."""
_CHUNK = 500
"""Keys in one IN (…): below SQLite's and PostgreSQL's limits on parameters."""


def chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    """Keys in lists that one IN (…) takes."""
    iterator = iter(keys)
    while some := list(islice(iterator, _CHUNK)):
        yield some


def upsert(conn: Connection, entity: type[Any], key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Updates the row with this key, or inserts it; one coordinator writes, so no race is to be won."""
    table: Table = entity.__table__
    where = [table.c[name] == value for name, value in key.items()]
    if conn.execute(update(table).where(*where).values(**values)).rowcount == 0:
        conn.execute(insert(table).values(**key, **values))


def note_commitment(conn: Connection, request: StorageCommitment) -> set[str]:
    """Notes a request; gives the series that may now be complete."""
    uids = list(request.sop_instance_uids)
    values = {"calling_ae_title": request.calling_ae_title, "at": request.at, "sop_instance_uids": uids}
    upsert(conn, CommitmentRow, {"transaction_uid": request.transaction_uid}, values)
    touched: set[str] = set()
    for some in chunks(uids):
        listed = InstanceRow.sop_instance_uid.in_(some)
        touched.update(
            conn.execute(select(InstanceRow.series_instance_uid).where(listed).distinct()).scalars()
        )
    return touched


def note_step(conn: Connection, step: PerformedStep) -> set[str]:
    """Notes how a procedure step stands; gives the series that it lists."""
    values = {"calling_ae_title": step.calling_ae_title, "at": step.at, "status": step.status}
    upsert(conn, PerformedStepRow, {"mpps_instance_uid": step.mpps_instance_uid}, values)
    conn.execute(
        delete(PerformedSeriesRow).where(PerformedSeriesRow.mpps_instance_uid == step.mpps_instance_uid)
    )
    rows = [
        {
            "mpps_instance_uid": step.mpps_instance_uid,
            "series_instance_uid": uid,
            "sop_instance_uids": list(images),
        }
        for uid, images in step.series.items()
    ]
    if rows:
        conn.execute(insert(PerformedSeriesRow), rows)
    return set(step.series)


def is_committed(conn: Connection, held: Collection[str], since: datetime) -> bool:
    """Whether one sender asked for commitment of every image held of a series, and all it listed is held.

    What is listed and not held may belong to the series.

    Args:
        conn: a transaction.
        held: SOP Instance UIDs of the series.
        since: its first image.
    """
    listed: dict[str, set[str]] = {}
    for row in conn.execute(
        select(CommitmentRow.calling_ae_title, CommitmentRow.sop_instance_uids).where(
            CommitmentRow.at >= since - CLOCK_SLACK
        )
    ):
        uids = set(row.sop_instance_uids)
        if not uids.isdisjoint(held):
            listed.setdefault(row.calling_ae_title, set()).update(uids)
    return any(uids.issuperset(held) and _all_held(conn, uids.difference(held)) for uids in listed.values())


def _all_held(conn: Connection, sop_instance_uids: Collection[str]) -> bool:
    for some in chunks(sop_instance_uids):
        these = InstanceRow.sop_instance_uid.in_(some)
        if len(set(conn.execute(select(InstanceRow.sop_instance_uid).where(these)).scalars())) < len(some):
            return False
    return True


def is_performed(conn: Connection, series_instance_uid: str, held: Collection[str]) -> bool:
    """Whether a completed procedure step references the series, and exactly what it references is held."""
    rows = conn.execute(
        select(PerformedSeriesRow.sop_instance_uids)
        .join(PerformedStepRow, PerformedStepRow.mpps_instance_uid == PerformedSeriesRow.mpps_instance_uid)
        .where(
            PerformedSeriesRow.series_instance_uid == series_instance_uid,
            PerformedStepRow.status == "COMPLETED",
        )
    )
    return any(set(uids) == set(held) for uids in rows.scalars())


def counts_of(conn: Connection, series_instance_uid: str) -> tuple[SourceCount, ...]:
    """What sources said of a series, oldest first."""
    rows = conn.execute(
        select(SourceCountRow.at, SourceCountRow.peer, SourceCountRow.instances)
        .where(SourceCountRow.series_instance_uid == series_instance_uid)
        .order_by(SourceCountRow.id)
    )
    return tuple(SourceCount(*row) for row in rows)


def committed_since(conn: Connection, calling_ae_titles: Collection[str], since: datetime) -> set[str]:
    """SOP Instance UIDs that these senders have asked for commitment of."""
    rows = conn.execute(
        select(CommitmentRow.sop_instance_uids).where(
            CommitmentRow.calling_ae_title.in_(calling_ae_titles), CommitmentRow.at >= since - CLOCK_SLACK
        )
    )
    return {uid for uids in rows.scalars() for uid in uids}


def performed_among(
    conn: Connection, calling_ae_titles: Collection[str], series_instance_uids: Sequence[str]
) -> set[str]:
    """Which of these series a completed procedure step of these senders lists."""
    rows = conn.execute(
        select(PerformedSeriesRow.series_instance_uid)
        .join(PerformedStepRow, PerformedStepRow.mpps_instance_uid == PerformedSeriesRow.mpps_instance_uid)
        .where(
            PerformedSeriesRow.series_instance_uid.in_(series_instance_uids),
            PerformedStepRow.calling_ae_title.in_(calling_ae_titles),
            PerformedStepRow.status == "COMPLETED",
        )
    )
    return set(rows.scalars())


def counted_among(conn: Connection, series_instance_uids: Sequence[str]) -> set[str]:
    """Which of these series a source has counted."""
    these = SourceCountRow.series_instance_uid.in_(series_instance_uids)
    return set(conn.execute(select(SourceCountRow.series_instance_uid).where(these)).scalars())
