"""A sender's habits, from its recent past: how its series come in pieces, and how it proves them complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, pairwise

from sqlalchemy import Connection, select

from dicom_node.ledger.proofs import committed_since, counted_among, performed_among
from dicom_node.ledger.tables import AssociationRow, PieceRow, SeriesRow
from dicom_node.records import AssociationOutcome, SeriesState

ASSOCIATIONS = 200
"""How many of a sender's latest associations are its recent past."""
RELIABLE = 5
"""A sender that proved each of at least this many past series complete is relied upon to do so again."""
LATEST = 20
"""How many of its latest series are looked at for that."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one association brought of one past series.

    Attributes:
        ended_at: when the association ended; None: it is open.
        sop_instance_uid: one of its images.
    """

    series_instance_uid: str
    first_at: datetime
    ended_at: datetime | None
    outcome: str
    sop_instance_uid: str


def past(conn: Connection, calling_ae_titles: set[str], but: str) -> list[list[Piece]]:
    """Past complete series of these senders, each as its pieces in order; one series left out."""
    latest = (
        select(AssociationRow.id, AssociationRow.ended_at, AssociationRow.outcome)
        .where(AssociationRow.calling_ae_title.in_(calling_ae_titles))
        .order_by(AssociationRow.started_at.desc())
        .limit(ASSOCIATIONS)
        .subquery()
    )
    rows = conn.execute(
        select(
            PieceRow.series_instance_uid,
            PieceRow.first_at,
            latest.c.ended_at,
            latest.c.outcome,
            PieceRow.sop_instance_uid,
        )
        .join(latest, latest.c.id == PieceRow.association_id)
        .join(SeriesRow, SeriesRow.series_instance_uid == PieceRow.series_instance_uid)
        .where(SeriesRow.state == SeriesState.COMPLETE, PieceRow.series_instance_uid != but)
        .order_by(PieceRow.series_instance_uid, PieceRow.first_at)
    )
    pieces = [Piece(*row) for row in rows]
    return [list(group) for _series, group in groupby(pieces, key=lambda one: one.series_instance_uid)]


def pauses(series: Sequence[Sequence[Piece]]) -> tuple[float, ...]:
    """For each past series, the longest time in seconds without it, though more was to come; 0: none."""
    return tuple(max(_gaps(pieces), default=0.0) for pieces in series)


def _gaps(pieces: Sequence[Piece]) -> Iterator[float]:
    """Seconds from the release of all associations that had brought some to the next one's first image."""
    ended: datetime | None = None
    for earlier, later in pairwise(pieces):
        if earlier.ended_at is None or earlier.outcome != AssociationOutcome.RELEASED:
            return
        ended = earlier.ended_at if ended is None else max(ended, earlier.ended_at)
        if later.first_at > ended:
            yield (later.first_at - ended).total_seconds()


def promised(conn: Connection, calling_ae_titles: set[str], series: Sequence[Sequence[Piece]]) -> str:
    """The proof that these senders gave for each of their latest series; empty: none, or too little past."""
    if len(series) < RELIABLE:
        return ""
    latest = sorted(series, key=lambda pieces: pieces[-1].first_at)[-LATEST:]
    since = min(pieces[0].first_at for pieces in latest)
    committed = committed_since(conn, calling_ae_titles, since)
    if all(any(piece.sop_instance_uid in committed for piece in pieces) for pieces in latest):
        return "commitment"
    uids = [pieces[0].series_instance_uid for pieces in latest]
    if performed_among(conn, calling_ae_titles, uids).issuperset(uids):
        return "mpps"
    return "count" if counted_among(conn, uids).issuperset(uids) else ""
