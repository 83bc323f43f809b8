"""What the receivers report, written in order; the only writer of associations, series and instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from dicom_node.ledger.database import Database
from dicom_node.ledger.embeddings import EMBEDDING
from dicom_node.ledger.pieces import arriving_from, brought, last_signs, recount, series_of
from dicom_node.ledger.proofs import chunks, note_commitment, note_step, upsert
from dicom_node.ledger.tables import (
    AssociationRow,
    ConflictRow,
    InstanceRow,
    JobInputRow,
    JobRow,
    JournalRow,
    RefusalRow,
    ResultRow,
    SeriesRow,
)
from dicom_node.ledger.transitions import move, record
from dicom_node.records import (
    Association,
    AssociationOutcome,
    Instance,
    JobState,
    ReceiverEvent,
    SeriesState,
)

TOGETHER = timedelta(minutes=10)
"""In this time, the same refusals are one line."""
LAST = 2**31 - 1
"""The number of an image that has none: past all others."""
LATE, CHANGED = "late", "changed"
"""What images are that reopen a series."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A stored instance with what its header says.

    Attributes:
        header: its keywords as plain values; needed for the first image by number of each series only.
        fields: the few fields that geometry needs (`headers.slice_fields`).
        own: it is a result that this node made.
        fault: why its header could not be read; None where it could.
    """

    instance: Instance
    header: Mapping[str, Any]
    fields: Mapping[str, Any]
    own: bool = False
    fault: str | None = None

    @property
    def number(self) -> int:
        """InstanceNumber (0020,0013), or a number past all others."""
        number = self.fields.get("InstanceNumber")
        return number if isinstance(number, int) else LAST


class Arrivals:
    """Writes what receivers report; reads what a judgement needs."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def offset(self, journal: str) -> int:
        """How far a journal has been read."""
        with self._db.read() as conn:
            return conn.execute(select(JournalRow.offset).where(JournalRow.name == journal)).scalar() or 0

    def known(self, instances: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which (series, SOP instance) pairs are in the ledger."""
        found: set[tuple[str, str]] = set()
        with self._db.read() as conn:
            for uids in chunks(sop for _series, sop in instances):
                rows = conn.execute(
                    select(InstanceRow.series_instance_uid, InstanceRow.sop_instance_uid).where(
                        InstanceRow.sop_instance_uid.in_(uids)
                    )
                )
                found.update((row[0], row[1]) for row in rows)
        return found.intersection(instances)

    def paths(self) -> set[str]:
        """Paths of all instances."""
        with self._db.read() as conn:
            return set(conn.execute(select(InstanceRow.path)).scalars())

    def paths_beside(self) -> set[str]:
        """Paths of what came with other bytes under a known UID."""
        with self._db.read() as conn:
            return set(conn.execute(select(ConflictRow.path)).scalars())

    def forget_journal(self, journal: str) -> None:
        """Forgets how far a journal was read, once it is gone."""
        with self._db.write() as conn:
            conn.execute(delete(JournalRow).where(JournalRow.name == journal))

    def apply(
        self,
        events: Sequence[ReceiverEvent],
        indexed: Mapping[str, Indexed],
        now: datetime,
        journal: tuple[str, int] | None = None,
    ) -> set[str]:
        """Writes a batch of happenings and the journal's new offset, all or nothing.

        Args:
            events: in the order in which they happened.
            indexed: by path, the header of each `stored` instance; and of each `conflict` that is to count
                in the place of the one that came before it.
            now: when the ledger learns of it.
            journal: name and new offset; None for instances found by walking the spool.

        Returns:
            Series Instance UIDs that must be judged again.
        """
        with self._db.write() as conn:
            touched = self._stored(conn, [e for e in events if e.happening == "stored"], indexed, now)
            replaced = self._conflicting(conn, [e for e in events if e.happening == "conflict"], indexed, now)
            touched |= replaced
            for event in events:
                touched |= _WRITERS.get(event.happening, _nothing)(conn, event, journal)
            recount(conn, _series_with(events, "duplicate") | replaced)
            _look_again(conn, touched)
            if journal is not None:
                upsert(conn, JournalRow, {"name": journal[0]}, {"offset": journal[1]})
        return touched

    def _stored(
        self, conn: Connection, events: Sequence[ReceiverEvent], indexed: Mapping[str, Indexed], now: datetime
    ) -> set[str]:
        """Inserts instances not yet known, by series; reopens a series that was complete."""
        arrived: dict[str, dict[str, Indexed]] = {}
        for event in events:
            if event.instance is not None and event.instance.path in indexed:
                one = indexed[event.instance.path]
                arrived.setdefault(one.instance.series_instance_uid, {})[one.instance.sop_instance_uid] = one
        touched = set()
        for series_instance_uid, images in arrived.items():
            held = _held(conn, series_instance_uid, list(images))
            new = [image for uid, image in images.items() if uid not in held]
            if new:
                conn.execute(insert(InstanceRow), [_instance_row(image) for image in new])
                brought(conn, series_instance_uid, [image.instance for image in new])
                _note_series(conn, series_instance_uid, new, now)
                touched.add(series_instance_uid)
        return touched

    def _conflicting(
        self, conn: Connection, events: Sequence[ReceiverEvent], indexed: Mapping[str, Indexed], now: datetime
    ) -> set[str]:
        """Notes what came with other bytes; gives the series in which it counts in another's place."""
        replaced: dict[str, list[Indexed]] = {}
        for event in events:
            if (image := event.instance) is None:
                continue
            aside = None
            if (one := indexed.get(image.path)) is not None and (aside := _replace(conn, one)) is not None:
                replaced.setdefault(image.series_instance_uid, []).append(one)
            path, digest = aside or (image.path, image.digest)
            conn.execute(
                insert(ConflictRow).values(
                    sop_instance_uid=image.sop_instance_uid,
                    series_instance_uid=image.series_instance_uid,
                    path=path,
                    digest=digest,
                    association_id=image.association_id,
                    at=image.received_at,
                )
            )
        for series_instance_uid, images in replaced.items():
            _note_series(conn, series_instance_uid, images, now, CHANGED)
        return set(replaced)

    def abort_orphans(self, journal: str) -> set[str]:
        """Marks associations that a dead receiver left open as aborted; gives their series.

        They ended with their last sign of life: what their senders sent since came later.
        """
        with self._db.write() as conn:
            ended = last_signs(conn, journal)
            for identity, at in ended.items():
                conn.execute(
                    update(AssociationRow)
                    .where(AssociationRow.id == identity)
                    .values(outcome=AssociationOutcome.ABORTED, ended_at=at)
                )
            touched = series_of(conn, list(ended))
            _look_again(conn, touched)
        return touched

    def open_journals(self) -> list[str]:
        """Journals with an association that is still open."""
        with self._db.read() as conn:
            return list(
                conn.execute(
                    select(AssociationRow.journal)
                    .where(AssociationRow.outcome == AssociationOutcome.OPEN)
                    .distinct()
                ).scalars()
            )


def _instance_row(image: Indexed) -> dict[str, Any]:
    """The row of an instance."""
    row = asdict(image.instance)
    return row | {"fields": dict(image.fields), "fault": image.fault, "duplicates": 0}


def _replace(conn: Connection, one: Indexed) -> tuple[str, str] | None:
    """An image counts in the place of the one that came before it under its UID.

    Returns:
        Path and digest of that one, which is kept; None where none came before it.
    """
    image = one.instance
    this = (InstanceRow.series_instance_uid == image.series_instance_uid) & (
        InstanceRow.sop_instance_uid == image.sop_instance_uid
    )
    held = conn.execute(
        select(InstanceRow.path, InstanceRow.digest, InstanceRow.received_at).where(this)
    ).one_or_none()
    if held is None or held.received_at > image.received_at:
        return None
    row = _instance_row(one)
    del row["duplicates"]
    conn.execute(update(InstanceRow).where(this).values(**row))
    return str(held.path), str(held.digest)


def _held(conn: Connection, series_instance_uid: str, sop_instance_uids: Sequence[str]) -> set[str]:
    """Which of these images the ledger has."""
    found: set[str] = set()
    for some in chunks(sop_instance_uids):
        found.update(
            conn.execute(
                select(InstanceRow.sop_instance_uid).where(
                    InstanceRow.series_instance_uid == series_instance_uid,
                    InstanceRow.sop_instance_uid.in_(some),
                )
            ).scalars()
        )
    return found


def _note_series(
    conn: Connection, series_instance_uid: str, new: Sequence[Indexed], now: datetime, how: str = LATE
) -> None:
    """Makes the series' row, or brings it up to date; new images, or new bytes, reopen a complete series."""
    first = min(new, key=lambda image: image.number)
    last_at = max(image.instance.received_at for image in new)
    row = conn.execute(
        select(SeriesRow.__table__).where(SeriesRow.series_instance_uid == series_instance_uid)
    ).one_or_none()
    if row is None:
        conn.execute(
            insert(SeriesRow).values(
                series_instance_uid=series_instance_uid,
                study_instance_uid=first.instance.study_instance_uid,
                state=SeriesState.ARRIVING,
                own=first.own or _is_result(conn, series_instance_uid),
                modality=str(first.header.get("Modality") or "")[:16],
                header=dict(first.header),
                header_number=first.number,
                first_image_at=min(image.instance.received_at for image in new),
                last_image_at=last_at,
            )
        )
        record(conn, "series", [series_instance_uid], None, SeriesState.ARRIVING, "first image", now)
        return
    values: dict[str, Any] = {"last_image_at": max(row.last_image_at, last_at)}
    if first.number < row.header_number or (how == CHANGED and first.number == row.header_number):
        values |= {"header": dict(first.header), "header_number": first.number}
    this = SeriesRow.series_instance_uid == series_instance_uid
    conn.execute(update(SeriesRow).where(this).values(**values))
    if row.state == SeriesState.COMPLETE:
        _reopen(conn, series_instance_uid, row.revision, f"{len(new)} {how} image(s)", now)


def _reopen(conn: Connection, series_instance_uid: str, revision: int, what: str, now: datetime) -> None:
    """A new revision; jobs of the old one are dropped if they wait, and stale if they run."""
    cause = f"{what} after revision {revision}"
    move(
        conn,
        "series",
        SeriesState.COMPLETE,
        SeriesState.ARRIVING,
        SeriesRow.series_instance_uid == series_instance_uid,
        cause,
        now,
        revision=revision + 1,
        doubtful=False,
    )
    ours = JobRow.id.in_(
        select(JobInputRow.job_id).where(JobInputRow.series_instance_uid == series_instance_uid)
    )
    for before, after in ((JobState.QUEUED, JobState.DROPPED), (JobState.RUNNING, JobState.STALE)):
        move(conn, "job", before, after, ours, cause, now, finished_at=now, reason=cause, worker=None)


def _is_result(conn: Connection, series_instance_uid: str) -> bool:
    """A result of this node has come back; an embedding is none: it goes by the series that it is of."""
    found = conn.execute(
        select(ResultRow.sop_instance_uid)
        .where(ResultRow.series_instance_uid == series_instance_uid, ResultRow.kind != EMBEDDING)
        .limit(1)
    )
    return found.first() is not None


def _series_with(events: Iterable[ReceiverEvent], happening: str) -> set[str]:
    """Series of the images to which this happened."""
    found = (one.instance for one in events if one.happening == happening)
    return {image.series_instance_uid for image in found if image is not None}


def _look_again(conn: Connection, series: Iterable[str]) -> None:
    """These series are due at once."""
    for uids in chunks(series):
        conn.execute(
            update(SeriesRow).where(SeriesRow.series_instance_uid.in_(uids)).values(look_again_at=None)
        )


def _opened(conn: Connection, event: ReceiverEvent, journal: tuple[str, int] | None) -> set[str]:
    """An association began."""
    return _association(conn, event.association, journal)


def _association(conn: Connection, assoc: Association | None, journal: tuple[str, int] | None) -> set[str]:
    """Writes an association as it stands now."""
    if assoc is None:
        return set()
    values = asdict(assoc)
    del values["instances"]
    key = {"id": values.pop("id")}
    upsert(conn, AssociationRow, key, values | {"journal": journal[0] if journal else ""})
    return set()


def _closed(conn: Connection, event: ReceiverEvent, journal: tuple[str, int] | None) -> set[str]:
    """An association ended: its series may now be complete, and others that waited for its sender."""
    _association(conn, event.association, journal)
    if event.association is None:
        return set()
    waiting = arriving_from(conn, event.association.calling_ae_title)
    return waiting | series_of(conn, [event.association.id])


def _duplicate(conn: Connection, event: ReceiverEvent, _journal: tuple[str, int] | None) -> set[str]:
    """The same bytes again: counted, and brought by the association that brought them last."""
    if event.instance is not None:
        conn.execute(
            update(InstanceRow)
            .where(
                InstanceRow.series_instance_uid == event.instance.series_instance_uid,
                InstanceRow.sop_instance_uid == event.instance.sop_instance_uid,
            )
            .values(duplicates=InstanceRow.duplicates + 1, association_id=event.instance.association_id)
        )
    return set()


def _refused(conn: Connection, event: ReceiverEvent, _journal: tuple[str, int] | None) -> set[str]:
    """A sender or an object was turned away; if the same was a short while ago, that is only counted."""
    if (refusal := event.refusal) is None:
        return set()
    same = [
        getattr(RefusalRow, name) == getattr(refusal, name)
        for name in ("calling_ae_title", "called_ae_title", "address", "reason", "hint", "of_image", "path")
    ]
    lately = RefusalRow.at.between(refusal.at - TOGETHER, refusal.at + TOGETHER)
    row = conn.execute(
        select(RefusalRow.id).where(lately, *same).order_by(RefusalRow.id.desc()).limit(1)
    ).scalar()
    if row is None or refusal.path:
        conn.execute(insert(RefusalRow).values(**asdict(refusal)))
    else:
        conn.execute(
            update(RefusalRow).where(RefusalRow.id == row).values(times=RefusalRow.times + refusal.times)
        )
    return set()


def _commitment(conn: Connection, event: ReceiverEvent, _journal: tuple[str, int] | None) -> set[str]:
    """A sender asked whether we hold these."""
    return note_commitment(conn, event.commitment) if event.commitment else set()


def _mpps(conn: Connection, event: ReceiverEvent, _journal: tuple[str, int] | None) -> set[str]:
    """A modality reported on its step."""
    return note_step(conn, event.step) if event.step else set()


def _nothing(_conn: Connection, _event: ReceiverEvent, _journal: tuple[str, int] | None) -> set[str]:
    """`stored` and `conflict` are written in bulk."""
    return set()


_WRITERS = {
    "opened": _opened,
    "closed": _closed,
    "duplicate": _duplicate,
    "refused": _refused,
    "commitment": _commitment,
    "mpps": _mpps,
}
