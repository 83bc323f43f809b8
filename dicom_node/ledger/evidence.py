"""What the ledger holds of a series: the evidence for its completeness, and the facts for its routing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, insert, or_, select, update

from dicom_node.headers import instance_number
from dicom_node.ledger.database import Database
from dicom_node.ledger.habits import past, pauses, promised
from dicom_node.ledger.pieces import arriving_from, associations_of, refused_beside, sender_open
from dicom_node.ledger.proofs import counts_of, is_committed, is_performed
from dicom_node.ledger.tables import (
    AssociationRow,
    InstanceRow,
    PieceRow,
    SeriesRow,
    SourceCountRow,
    StudyWaitRow,
)
from dicom_node.records import (
    AssociationEvidence,
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
        committed, performed, counts, pauses, promised, refused_beside: see `records.Evidence`.
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
    refused_beside: tuple[AssociationEvidence, ...] = ()


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
                    .order_by(SeriesRow.look_again_at.nulls_first())
                    .limit(limit)
                ).scalars()
            )

    def next_due(self) -> datetime | None:
        """When an arriving series, or a study, is to be looked at though nothing comes; None: never."""
        series = select(func.min(SeriesRow.look_again_at)).where(SeriesRow.state == SeriesState.ARRIVING)
        study = select(func.min(StudyWaitRow.look_again_at))
        with self._db.read() as conn:
            moments = [conn.execute(query).scalar() for query in (series, study)]
        return min((moment for moment in moments if moment is not None), default=None)

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
            associations = associations_of(conn, series_instance_uid)
            senders = {one.calling_ae_title for one in associations}
            before = past(conn, senders, series_instance_uid)
            return Held(
                series_instance_uid=series_instance_uid,
                revision=series.revision,
                first_image_at=series.first_image_at,
                last_image_at=series.last_image_at,
                fields=tuple(row.fields for row in images),
                associations=associations,
                sender_open=sender_open(conn, senders),
                committed=is_committed(conn, uids, series.first_image_at),
                performed=is_performed(conn, series_instance_uid, uids),
                counts=counts_of(conn, series_instance_uid),
                pauses=pauses(before),
                promised=promised(conn, senders, before),
                refused_beside=refused_beside(conn, series_instance_uid, senders, series.first_image_at),
            )

    def to_count(
        self, calling_ae_title: str, since: datetime, now: datetime, limit: int = 10
    ) -> list[tuple[str, str]]:
        """Studies with a series that arrives from a sender and was not counted between `since` and `now`.

        A count that lies ahead is one of before the clock was set back.

        Returns:
            Study Instance UID and Patient ID of each, the longest quiet first.
        """
        counted = exists().where(
            SourceCountRow.series_instance_uid == SeriesRow.series_instance_uid,
            SourceCountRow.at.between(since, now),
        )
        brought = exists().where(
            PieceRow.series_instance_uid == SeriesRow.series_instance_uid,
            PieceRow.association_id == AssociationRow.id,
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
                .join(PieceRow, PieceRow.association_id == AssociationRow.id)
                .where(PieceRow.series_instance_uid == series_instance_uid)
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

    def look_again(self, calling_ae_title: str) -> None:
        """Series that arrive from a sender are to be judged at once."""
        with self._db.write() as conn:
            theirs = SeriesRow.series_instance_uid.in_(arriving_from(conn, calling_ae_title))
            conn.execute(update(SeriesRow).where(theirs).values(look_again_at=None))

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
        """Paths, relative to the spool, of instances whose headers could be read, by InstanceNumber."""
        readable = (InstanceRow.series_instance_uid == series_instance_uid) & InstanceRow.fault.is_(None)
        with self._db.read() as conn:
            rows = conn.execute(select(InstanceRow.path, InstanceRow.fields).where(readable)).all()
            return [path for path, fields in sorted(rows, key=lambda row: instance_number(row.fields))]

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
