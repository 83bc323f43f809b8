"""What the ledger holds of a series: the evidence for its completeness, and the facts for its routing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, func, insert, or_, select, update

from dicom_node.ledger.database import Database
from dicom_node.ledger.habits import past, pauses, promised
from dicom_node.ledger.tables import (
    AssociationRow,
    CommitmentRow,
    InstanceRow,
    PerformedStepRow,
    SeriesRow,
    SourceCountRow,
)
from dicom_node.records import (
    AssociationEvidence,
    AssociationOutcome,
    SeriesFacts,
    SeriesState,
    SourceCount,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Held:
    """What the ledger holds of one series, for the judgement of completeness.

    Attributes:
        fields: `headers.slice_fields` of each instance.
        associations: each that brought images of it, by start.
        sender_open: a sender of its images has an association open.
        committed, performed, counts, pauses, promised: see `records.Evidence`.
    """

    series_instance_uid: str
    revision: int
    first_image_at: datetime
    last_image_at: datetime
    fields: tuple[Mapping[str, Any], ...]
    associations: tuple[AssociationEvidence, ...]
    sender_open: bool
    committed: bool
    performed: bool
    counts: tuple[SourceCount, ...] = ()
    pauses: tuple[float, ...] = ()
    promised: str = ""


class Holdings:
    """Reads what judgements and rules need; notes verdicts that are not yet ones."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def due(self, now: datetime, limit: int = 200) -> list[str]:
        """Arriving series that are to be judged now."""
        with self._db.read() as conn:
            return list(
                conn.execute(
                    select(SeriesRow.series_instance_uid)
                    .where(
                        SeriesRow.state == SeriesState.ARRIVING,
                        or_(SeriesRow.look_again_at.is_(None), SeriesRow.look_again_at <= now),
                    )
                    .order_by(SeriesRow.look_again_at)
                    .limit(limit)
                ).scalars()
            )

    def held(self, series_instance_uid: str) -> Held | None:
        """All that the ledger knows of a series' arrival; None where it knows no such series."""
        with self._db.read() as conn:
            series = conn.execute(
                select(SeriesRow.__table__).where(SeriesRow.series_instance_uid == series_instance_uid)
            ).one_or_none()
            if series is None:
                return None
            images = conn.execute(
                select(InstanceRow.sop_instance_uid, InstanceRow.fields).where(
                    InstanceRow.series_instance_uid == series_instance_uid
                )
            ).all()
            uids = {row.sop_instance_uid for row in images}
            associations = _associations(conn, series_instance_uid)
            senders = {one.calling_ae_title for one in associations}
            before = past(conn, senders, series_instance_uid)
            return Held(
                series_instance_uid=series_instance_uid,
                revision=series.revision,
                first_image_at=series.first_image_at,
                last_image_at=series.last_image_at,
                fields=tuple(row.fields for row in images),
                associations=associations,
                sender_open=_sender_open(conn, senders),
                committed=_committed(conn, uids, series.first_image_at),
                performed=_performed(conn, series_instance_uid, uids),
                counts=_counts(conn, series_instance_uid),
                pauses=pauses(before),
                promised=promised(conn, senders, before),
            )

    def to_count(self, calling_ae_title: str, before: datetime, limit: int = 10) -> list[tuple[str, str]]:
        """Studies with a series that arrives from a sender and was not counted since `before`.

        Returns:
            Study Instance UID and Patient ID of each, the longest quiet first.
        """
        counted = exists().where(
            SourceCountRow.series_instance_uid == SeriesRow.series_instance_uid, SourceCountRow.at >= before
        )
        brought = exists().where(
            InstanceRow.series_instance_uid == SeriesRow.series_instance_uid,
            InstanceRow.association_id == AssociationRow.id,
            AssociationRow.calling_ae_title == calling_ae_title,
        )
        with self._db.read() as conn:
            rows = conn.execute(
                select(SeriesRow.study_instance_uid, SeriesRow.header)
                .where(SeriesRow.state == SeriesState.ARRIVING, ~counted, brought)
                .order_by(SeriesRow.last_image_at)
                .limit(limit)
            )
            return list({row[0]: (row[0], str(row[1].get("PatientID") or "")) for row in rows}.values())

    def facts(self, series_instance_uid: str) -> SeriesFacts:
        """What rules are given of a series. Raises KeyError where the ledger knows no such series."""
        with self._db.read() as conn:
            series = conn.execute(
                select(SeriesRow.__table__).where(SeriesRow.series_instance_uid == series_instance_uid)
            ).one_or_none()
            if series is None:
                raise KeyError(series_instance_uid)
            fields = (
                conn.execute(
                    select(InstanceRow.fields).where(InstanceRow.series_instance_uid == series_instance_uid)
                )
                .scalars()
                .all()
            )
            senders = conn.execute(
                select(AssociationRow.calling_ae_title)
                .join(InstanceRow, InstanceRow.association_id == AssociationRow.id)
                .where(InstanceRow.series_instance_uid == series_instance_uid)
                .distinct()
            ).scalars()
            return SeriesFacts(
                series_instance_uid=series_instance_uid,
                study_instance_uid=series.study_instance_uid,
                header=series.header,
                images=len(fields),
                frames=frames_in(fields),
                calling_ae_titles=tuple(sorted(senders)),
                own=series.own,
            )

    def note_counts(self, peer: str, counts: Mapping[str, int], at: datetime) -> None:
        """Notes what a source answered, by series; series that the ledger does not know are left out."""
        with self._db.write() as conn:
            this = SeriesRow.series_instance_uid.in_(list(counts))
            known = [
                str(uid) for uid in conn.execute(select(SeriesRow.series_instance_uid).where(this)).scalars()
            ]
            rows = [
                {"series_instance_uid": uid, "peer": peer, "at": at, "instances": counts[uid]}
                for uid in known
            ]
            if rows:
                conn.execute(insert(SourceCountRow), rows)
                conn.execute(
                    update(SeriesRow)
                    .where(SeriesRow.series_instance_uid.in_(known))
                    .values(look_again_at=None)
                )

    def fields(self, series_instance_uid: str) -> list[Mapping[str, Any]]:
        """`headers.slice_fields` of each instance of a series."""
        with self._db.read() as conn:
            query = select(InstanceRow.fields).where(InstanceRow.series_instance_uid == series_instance_uid)
            return list(conn.execute(query).scalars())

    def complete_in_study(self, study_instance_uid: str) -> list[tuple[str, datetime]]:
        """Series of a study that are complete, and since when; results of this node left out."""
        with self._db.read() as conn:
            rows = conn.execute(
                select(SeriesRow.series_instance_uid, SeriesRow.completed_at)
                .where(
                    SeriesRow.study_instance_uid == study_instance_uid,
                    SeriesRow.state == SeriesState.COMPLETE,
                    SeriesRow.own.is_(False),
                )
                .order_by(SeriesRow.completed_at)
            )
            return [(uid, at) for uid, at in rows if at is not None]

    def paths(self, series_instance_uid: str) -> list[str]:
        """Paths, relative to the spool, of a series' instances whose headers could be read."""
        with self._db.read() as conn:
            return list(
                conn.execute(
                    select(InstanceRow.path).where(
                        InstanceRow.series_instance_uid == series_instance_uid, InstanceRow.fault.is_(None)
                    )
                ).scalars()
            )

    def wait_until(self, series_instance_uid: str, verdict: Verdict) -> None:
        """Notes a verdict that is not yet one."""
        with self._db.write() as conn:
            conn.execute(
                update(SeriesRow)
                .where(SeriesRow.series_instance_uid == series_instance_uid)
                .values(verdict=plain_verdict(verdict), look_again_at=verdict.look_again_at)
            )


def frames_in(fields: Iterable[Mapping[str, Any]]) -> int:
    """Frames in instances, by their `headers.slice_fields`; one that states none, or nonsense, has one."""
    numbers = (one.get("NumberOfFrames") for one in fields)
    return sum(number if isinstance(number, int) and number > 0 else 1 for number in numbers)


def plain_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON."""
    return asdict(verdict) | {
        "look_again_at": verdict.look_again_at.isoformat() if verdict.look_again_at else None
    }


def verdict_of(plain: Mapping[str, Any] | None) -> Verdict | None:
    """The verdict that `plain_verdict` gave."""
    if plain is None:
        return None
    at = plain["look_again_at"]
    return Verdict(**{**plain, "look_again_at": datetime.fromisoformat(at) if at else None})


def _counts(conn: Connection, series_instance_uid: str) -> tuple[SourceCount, ...]:
    """What sources said of the series, oldest first."""
    rows = conn.execute(
        select(SourceCountRow.at, SourceCountRow.peer, SourceCountRow.instances)
        .where(SourceCountRow.series_instance_uid == series_instance_uid)
        .order_by(SourceCountRow.id)
    )
    return tuple(SourceCount(*row) for row in rows)


def _associations(conn: Connection, series_instance_uid: str) -> tuple[AssociationEvidence, ...]:
    """Each association that brought images of the series, by its start."""
    rows = conn.execute(
        select(
            AssociationRow.id,
            AssociationRow.calling_ae_title,
            AssociationRow.started_at,
            AssociationRow.ended_at,
            AssociationRow.outcome,
            func.count().label("images"),
            func.max(InstanceRow.received_at).label("last_image_at"),
        )
        .join(InstanceRow, InstanceRow.association_id == AssociationRow.id)
        .where(InstanceRow.series_instance_uid == series_instance_uid)
        .group_by(AssociationRow.id)
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
            last_image_at=row.last_image_at,
        )
        for row in rows
    )


def _sender_open(conn: Connection, calling_ae_titles: set[str]) -> bool:
    """Any of these senders has an association open."""
    found = conn.execute(
        select(AssociationRow.id)
        .where(
            AssociationRow.outcome == AssociationOutcome.OPEN,
            AssociationRow.calling_ae_title.in_(calling_ae_titles),
        )
        .limit(1)
    )
    return found.first() is not None


def _committed(conn: Connection, held: set[str], since: datetime) -> bool:
    """One sender's commitment requests since the first image list every image that is held of the series."""
    listed: dict[str, set[str]] = {}
    rows = conn.execute(
        select(CommitmentRow.calling_ae_title, CommitmentRow.sop_instance_uids).where(
            CommitmentRow.at >= since
        )
    )
    for row in rows:
        listed.setdefault(row.calling_ae_title, set()).update(row.sop_instance_uids)
    return any(held <= uids for uids in listed.values())


def _performed(conn: Connection, series_instance_uid: str, held: set[str]) -> bool:
    """A completed procedure step references the series, and exactly what it references is held."""
    rows = conn.execute(select(PerformedStepRow.series).where(PerformedStepRow.status == "COMPLETED"))
    return any(
        set(row.series[series_instance_uid]) == held for row in rows if series_instance_uid in row.series
    )
