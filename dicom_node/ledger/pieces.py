"""Pieces: what one association brought of one series, kept so that no judgement counts images."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection, delete, exists, func, insert, literal_column, select, update

from dicom_node.ledger.proofs import chunks
from dicom_node.ledger.tables import AssociationRow, InstanceRow, PieceRow, SeriesRow
from dicom_node.records import (
    AssociationEvidence,
    AssociationOutcome,
    Instance,
    SeriesState,
)


def brought(conn: Connection, series_instance_uid: str, images: Iterable[Instance]) -> None:
    """Adds new images of one series to what their associations had brought of it."""
    ordered = sorted(images, key=lambda one: one.association_id)
    for association_id, group in groupby(ordered, key=lambda one: one.association_id):
        new = sorted(group, key=lambda one: one.received_at)
        this = (PieceRow.series_instance_uid == series_instance_uid) & (
            PieceRow.association_id == association_id
        )
        before = conn.execute(select(PieceRow.first_at, PieceRow.last_at).where(this)).one_or_none()
        if before is None:
            row = {
                "series_instance_uid": series_instance_uid,
                "association_id": association_id,
                "images": len(new),
                "first_at": new[0].received_at,
                "last_at": new[-1].received_at,
                "sop_instance_uid": new[0].sop_instance_uid,
            }
            conn.execute(insert(PieceRow).values(row))
            continue
        conn.execute(
            update(PieceRow)
            .where(this)
            .values(
                images=PieceRow.images + len(new),
                first_at=min(before.first_at, new[0].received_at),
                last_at=max(before.last_at, new[-1].received_at),
            )
        )


def recount(conn: Connection, series_instance_uids: Iterable[str]) -> None:
    """Makes the pieces of series anew from their images: some were brought again by other associations."""
    for uid in series_instance_uids:
        conn.execute(delete(PieceRow).where(PieceRow.series_instance_uid == uid))
        counted = (
            select(
                InstanceRow.series_instance_uid,
                InstanceRow.association_id,
                func.count(),
                func.min(InstanceRow.received_at),
                func.max(InstanceRow.received_at),
                func.min(InstanceRow.sop_instance_uid),
            )
            .where(InstanceRow.series_instance_uid == uid)
            .group_by(InstanceRow.series_instance_uid, InstanceRow.association_id)
        )
        columns = [
            "series_instance_uid",
            "association_id",
            "images",
            "first_at",
            "last_at",
            "sop_instance_uid",
        ]
        conn.execute(insert(PieceRow).from_select(columns, counted))


def series_of(conn: Connection, association_ids: Sequence[str]) -> set[str]:
    """Series that these associations brought images of."""
    of_these = PieceRow.association_id.in_(association_ids)
    return set(conn.execute(select(PieceRow.series_instance_uid).where(of_these).distinct()).scalars())


def arriving_from(conn: Connection, calling_ae_title: str) -> set[str]:
    """Series that still arrive, and of which this sender brought some."""
    rows = conn.execute(
        select(PieceRow.series_instance_uid)
        .join(AssociationRow, AssociationRow.id == PieceRow.association_id)
        .join(SeriesRow, SeriesRow.series_instance_uid == PieceRow.series_instance_uid)
        .where(SeriesRow.state == SeriesState.ARRIVING, AssociationRow.calling_ae_title == calling_ae_title)
        .distinct()
    )
    return set(rows.scalars())


def last_signs(conn: Connection, journal: str) -> dict[str, datetime]:
    """When each open association of a journal last brought an image, or when it began.

    An image that it brought again keeps the time at which it first came, before the association began.
    """
    rows = conn.execute(
        select(AssociationRow.id, AssociationRow.started_at, func.max(PieceRow.last_at).label("last_at"))
        .outerjoin(PieceRow, PieceRow.association_id == AssociationRow.id)
        .where(AssociationRow.journal == journal, AssociationRow.outcome == AssociationOutcome.OPEN)
        .group_by(AssociationRow.id, AssociationRow.started_at)
    )
    return {row.id: max(row.last_at or row.started_at, row.started_at) for row in rows}


def associations_of(conn: Connection, series_instance_uid: str) -> tuple[AssociationEvidence, ...]:
    """Each association that brought images of a series, by its start."""
    rows = conn.execute(
        select(
            AssociationRow.id,
            AssociationRow.calling_ae_title,
            AssociationRow.started_at,
            AssociationRow.ended_at,
            AssociationRow.outcome,
            AssociationRow.refused,
            AssociationRow.refused_uids,
            PieceRow.images,
            PieceRow.last_at,
        )
        .join(PieceRow, PieceRow.association_id == AssociationRow.id)
        .where(PieceRow.series_instance_uid == series_instance_uid)
        .order_by(AssociationRow.started_at)
    )
    return tuple(
        AssociationEvidence(
            association_id=row.id,
            calling_ae_title=row.calling_ae_title,
            started_at=row.started_at,
            ended_at=row.ended_at,
            outcome=AssociationOutcome(row.outcome),
            images=row.images,
            last_image_at=row.last_at,
            refused=_still_refused(conn, row.refused, row.refused_uids),
        )
        for row in rows
    )


def refused_beside(
    conn: Connection, series_instance_uid: str, calling_ae_titles: Collection[str], since: datetime
) -> tuple[AssociationEvidence, ...]:
    """Associations of these senders that ended since a moment, brought none of a series, and lack images.

    This node refused those for want of resources, and doesn't hold them yet: some may be the series'.
    """
    rows = conn.execute(
        select(AssociationRow.__table__)
        .where(
            AssociationRow.refused > literal_column("0"),  # as the partial index has it
            AssociationRow.calling_ae_title.in_(calling_ae_titles),
            AssociationRow.ended_at >= since,
            ~exists().where(
                PieceRow.association_id == AssociationRow.id,
                PieceRow.series_instance_uid == series_instance_uid,
            ),
        )
        .order_by(AssociationRow.started_at)
    )
    found = (
        AssociationEvidence(
            association_id=row.id,
            calling_ae_title=row.calling_ae_title,
            started_at=row.started_at,
            ended_at=row.ended_at,
            outcome=AssociationOutcome(row.outcome),
            images=0,
            last_image_at=row.ended_at,
            refused=_still_refused(conn, row.refused, row.refused_uids),
        )
        for row in rows
    )
    return tuple(one for one in found if one.refused)


def _still_refused(conn: Connection, refused: int, sop_instance_uids: Sequence[str] | None) -> int:
    """How many of the images that were refused have not come since, from whomever."""
    for some in chunks(sop_instance_uids or ()):
        held = select(func.count(InstanceRow.sop_instance_uid.distinct())).where(
            InstanceRow.sop_instance_uid.in_(some)
        )
        refused -= conn.execute(held).scalar_one()
    return refused


def sender_open(conn: Connection, calling_ae_titles: Collection[str]) -> bool:
    """Whether any of these senders has an association open."""
    found = conn.execute(
        select(AssociationRow.id)
        .where(
            AssociationRow.outcome == AssociationOutcome.OPEN,
            AssociationRow.calling_ae_title.in_(calling_ae_titles),
        )
        .limit(1)
    )
    return found.first() is not None
