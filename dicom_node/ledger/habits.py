"""A sender's habits, from its recent past: how long it pauses in a series, and when it comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise

from sqlalchemy import Connection, select

from dicom_node.ledger.tables import AssociationRow, InstanceRow

ASSOCIATIONS = 50
"""How many of a sender's latest associations are its recent past."""
IMAGES = 2000
"""How many of their images are looked at."""


@dataclass(frozen=True, slots=True)
class Came:
    """One image of the past: of which series, in which association, when, and when that ended."""

    series_instance_uid: str
    received_at: datetime
    association_id: str
    ended_at: datetime | None


def past(conn: Connection, calling_ae_titles: set[str], but: str) -> list[Came]:
    """Images that these senders brought lately, by series and time; those of one series left out."""
    latest = (
        select(AssociationRow.id)
        .where(AssociationRow.calling_ae_title.in_(calling_ae_titles))
        .order_by(AssociationRow.started_at.desc())
        .limit(ASSOCIATIONS)
        .subquery()
    )
    rows = conn.execute(
        select(
            InstanceRow.series_instance_uid,
            InstanceRow.received_at,
            InstanceRow.association_id,
            AssociationRow.ended_at,
        )
        .join(latest, latest.c.id == InstanceRow.association_id)
        .join(AssociationRow, AssociationRow.id == InstanceRow.association_id)
        .where(InstanceRow.series_instance_uid != but)
        .limit(IMAGES)
    )
    return sorted((Came(*row) for row in rows), key=lambda one: (one.series_instance_uid, one.received_at))


def pauses(images: Sequence[Came]) -> tuple[float, ...]:
    """Seconds between one image of a series and the next."""
    return tuple(
        (later.received_at - earlier.received_at).total_seconds() for earlier, later in _neighbours(images)
    )


def returns(images: Sequence[Came]) -> tuple[float, ...]:
    """Seconds from the end of one association to the next image of the same series in another."""
    return tuple(
        (later.received_at - earlier.ended_at).total_seconds()
        for earlier, later in _neighbours(images)
        if earlier.ended_at is not None and earlier.ended_at < later.received_at
    )


def _neighbours(images: Sequence[Came]) -> Iterator[tuple[Came, Came]]:
    """Pairs of images that came one after the other in a series."""
    for _series, group in groupby(images, key=lambda one: one.series_instance_uid):
        yield from pairwise(group)
