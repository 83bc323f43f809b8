"""The ledger's schema: what arrived, what it was judged to be, what is owed, and every change of state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

UID = String(64)
AE = String(16)


class UTCDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes on every database; SQLite itself forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Takes aware datetimes only, and stores them in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes aware datetimes only")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Gives aware datetimes in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map = {datetime: UTCDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012 - SQLAlchemy's form


class JournalRow(Base):
    """How far a receiver's journal has been read; moves in the same transaction as what was read."""

    __tablename__ = "journals"
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger)


class AssociationRow(Base):
    """A sender's association."""

    __tablename__ = "associations"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    journal: Mapped[str] = mapped_column(String(255))
    calling_ae_title: Mapped[str] = mapped_column(AE)
    called_ae_title: Mapped[str] = mapped_column(AE)
    address: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(16), index=True)
    refused: Mapped[int] = mapped_column(Integer, default=0)
    """Images that it offered and this node refused for want of resources."""
    refused_uids: Mapped[list[Any] | None] = mapped_column(JSON)

    __table_args__ = (Index("ix_associations_sender", "calling_ae_title", "started_at"),)


Index(
    "ix_associations_refused",
    AssociationRow.calling_ae_title,
    AssociationRow.ended_at,
    sqlite_where=AssociationRow.refused > 0,
    postgresql_where=AssociationRow.refused > 0,
)


class SeriesRow(Base):
    """A series: its header, its revision and its state."""

    __tablename__ = "series"
    series_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    state: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int] = mapped_column(Integer, default=1)
    own: Mapped[bool] = mapped_column(default=False)
    modality: Mapped[str] = mapped_column(String(16), default="")
    header: Mapped[dict[str, Any]]
    header_number: Mapped[int] = mapped_column(Integer)
    """InstanceNumber of the image that `header` came from; the lowest seen."""
    first_image_at: Mapped[datetime]
    last_image_at: Mapped[datetime]
    look_again_at: Mapped[datetime | None]
    """When an arriving series must be judged again though nothing came; None: at once."""
    verdict: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    doubtful: Mapped[bool] = mapped_column(default=False)
    completed_at: Mapped[datetime | None]
    explanations: Mapped[list[Any] | None] = mapped_column(JSON)
    """What each route made of it when it was complete."""

    __table_args__ = (
        Index("ix_series_state_look", "state", "look_again_at"),
        Index("ix_series_last_image_at", "last_image_at"),
    )


class InstanceRow(Base):
    """One stored image, with the few header fields that geometry needs."""

    __tablename__ = "instances"
    series_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True, index=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    study_instance_uid: Mapped[str] = mapped_column(UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(UID)
    path: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(128))
    association_id: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime]
    duplicates: Mapped[int] = mapped_column(Integer, default=0)
    fault: Mapped[str | None] = mapped_column(Text)
    """Why its header could not be read; None where it could."""
    fields: Mapped[dict[str, Any]]


class PieceRow(Base):
    """What one association brought of one series: the images of both, counted."""

    __tablename__ = "pieces"
    series_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    association_id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    images: Mapped[int] = mapped_column(Integer)
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    sop_instance_uid: Mapped[str] = mapped_column(UID)
    """One of the images."""


class ConflictRow(Base):
    """The same SOP Instance UID with other bytes: kept beside, shown."""

    __tablename__ = "conflicts"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID)
    series_instance_uid: Mapped[str] = mapped_column(UID)
    path: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(String(128))
    association_id: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class RefusalRow(Base):
    """What was turned away, with a hint for the administrator."""

    __tablename__ = "refusals"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    calling_ae_title: Mapped[str] = mapped_column(AE)
    called_ae_title: Mapped[str] = mapped_column(AE)
    address: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    hint: Mapped[str] = mapped_column(Text)
    path: Mapped[str] = mapped_column(Text)
    times: Mapped[int] = mapped_column(Integer, default=1)
    of_image: Mapped[bool] = mapped_column(default=False)


class CommitmentRow(Base):
    """A storage commitment request."""

    __tablename__ = "commitments"
    transaction_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    calling_ae_title: Mapped[str] = mapped_column(AE)
    at: Mapped[datetime] = mapped_column(index=True)
    sop_instance_uids: Mapped[list[str]]

    __table_args__ = (Index("ix_commitments_sender", "calling_ae_title", "at"),)


class PerformedStepRow(Base):
    """A modality performed procedure step, as last reported."""

    __tablename__ = "performed_steps"
    mpps_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    calling_ae_title: Mapped[str] = mapped_column(AE)
    at: Mapped[datetime] = mapped_column(index=True)
    status: Mapped[str] = mapped_column(String(16))


class PerformedSeriesRow(Base):
    """One series that a procedure step lists, with its images."""

    __tablename__ = "performed_series"
    mpps_instance_uid: Mapped[str] = mapped_column(
        ForeignKey("performed_steps.mpps_instance_uid"), primary_key=True
    )
    series_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True, index=True)
    sop_instance_uids: Mapped[list[str]]


class SourceCountRow(Base):
    """How many images a source said that it holds of a series."""

    __tablename__ = "source_counts"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    series_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    peer: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime]
    instances: Mapped[int] = mapped_column(Integer)


class JobRow(Base):
    """One run of one pipeline on one revision."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID)
    series_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    """Its first input: whose study and patient the results are of."""
    revision: Mapped[int] = mapped_column(Integer)
    """Grows with every revision of any of its inputs."""
    route: Mapped[str] = mapped_column(String(255))
    pipeline: Mapped[str] = mapped_column(String(255))
    destinations: Mapped[list[str]]
    explanation: Mapped[dict[str, Any]]
    """Why the route fired: each condition with its actual value."""
    missing: Mapped[str | None] = mapped_column(Text)
    """Why there is nothing to run, such as a series that it waited for in vain: it only says so."""
    state: Mapped[str] = mapped_column(String(16))
    priority: Mapped[int] = mapped_column(Integer, default=0)
    shadow: Mapped[bool] = mapped_column(default=False)
    doubtful: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    not_before: Mapped[datetime]
    worker: Mapped[str | None] = mapped_column(String(255))
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    """The last error's text, or why the pipeline did not apply."""
    choices: Mapped[list[Any] | None] = mapped_column(JSON)
    """In which form each destination gets each output, and why."""

    __table_args__ = (
        Index("ix_jobs_claim", "state", "not_before", "priority", "created_at"),
        Index("ix_jobs_created_at", "created_at"),
        Index("ix_jobs_newest", "state", "created_at"),
    )


class JobInputRow(Base):
    """One series that a job works on, in its role."""

    __tablename__ = "job_inputs"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    role: Mapped[str] = mapped_column(String(64))
    series_instance_uid: Mapped[str] = mapped_column(UID, index=True)


class StudyWaitRow(Base):
    """A route of several series that waits for the rest of a study."""

    __tablename__ = "study_waits"
    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    route: Mapped[str] = mapped_column(String(255), primary_key=True)
    look_again_at: Mapped[datetime] = mapped_column(index=True)


class ResultRow(Base):
    """One encoded object of a job, durable in the spool."""

    __tablename__ = "results"
    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    series_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    kind: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)


class DeliveryRow(Base):
    """One result owed to one destination."""

    __tablename__ = "deliveries"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(ForeignKey("results.sop_instance_uid"), index=True)
    destination: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    not_before: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    transaction_uid: Mapped[str | None] = mapped_column(UID)
    """Of the storage commitment that is awaited for it."""
    may_hold: Mapped[bool] = mapped_column(default=False)
    """An attempt failed of which it is not known that it left nothing there, whatever came of it since."""

    __table_args__ = (
        Index("ix_deliveries_due", "state", "destination", "not_before"),
        Index("ix_deliveries_newest", "state", "id"),
    )


class MeasuredRow(Base):
    """A value that a job measured; outlives the job, for trends over a patient's studies."""

    __tablename__ = "measured"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    patient_id: Mapped[str] = mapped_column(String(64), index=True)
    algorithm: Mapped[str] = mapped_column(Text)
    series_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    route: Mapped[str] = mapped_column(String(255))
    pipeline: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(index=True)
    value: Mapped[dict[str, Any]]
    """The whole record."""


class ChangeRow(Base):
    """One change of state, dated, with its cause."""

    __tablename__ = "changes"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    entity: Mapped[str] = mapped_column(String(16))
    key: Mapped[str] = mapped_column(String(64))
    before: Mapped[str | None] = mapped_column(String(16))
    after: Mapped[str] = mapped_column(String(16))
    cause: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("ix_changes_entity_key", "entity", "key"),)
