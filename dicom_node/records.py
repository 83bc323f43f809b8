"""Frozen records that pass through the doors between rooms. Times are aware and in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from dicom_node.evidence import (
    AssociationEvidence,
    AssociationOutcome,
    Evidence,
    GeometryEvidence,
    SourceCount,
    Verdict,
)

__all__ = [
    "Association",
    "AssociationEvidence",
    "AssociationOutcome",
    "Choice",
    "CommitmentOutcome",
    "Delivery",
    "DeliveryOutcome",
    "DeliveryState",
    "Evidence",
    "GeometryEvidence",
    "Happening",
    "Instance",
    "Job",
    "JobState",
    "Measured",
    "PerformedStep",
    "Person",
    "ReceiverEvent",
    "Refusal",
    "Result",
    "SeriesFacts",
    "SeriesState",
    "SourceCount",
    "StorageCommitment",
    "Verdict",
]


@dataclass(frozen=True, slots=True)
class Association:
    """One sender's association with the receiver (PS3.8)."""

    id: str
    """Made by the receiver; unique for ever."""
    calling_ae_title: str
    called_ae_title: str
    address: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: AssociationOutcome = AssociationOutcome.OPEN
    instances: int = 0
    """C-STOREs answered 0x0000."""
    refused: int = 0
    """Images refused for want of resources (A700), which passes, and not brought again on it."""
    refused_uids: tuple[str, ...] = ()
    """Their SOP Instance UIDs, so that it is known when they have come after all; of very many, the first."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One stored SOP instance."""

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    """Empty where the data set holds none; such an instance is kept, shown, and completes no series."""
    study_instance_uid: str
    transfer_syntax_uid: str
    path: str
    """Relative to the spool's root, as the spool gave it."""
    size: int
    """Bytes of the file."""
    digest: str
    """Hex digest of the data set's bytes as they arrived, without the file meta information."""
    association_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """A sender or an object that was turned away, with what an administrator could do about it."""

    at: datetime
    calling_ae_title: str
    called_ae_title: str
    address: str
    reason: str
    hint: str
    """The line of conf.yaml that would let it in; empty where none would."""
    path: str = ""
    """Relative to the spool's root, where the refused bytes were kept aside; else empty."""
    times: int = 1
    """How often it happened since it was last reported."""
    of_image: bool = False
    """It is an image that was refused; else a whole association or connection, or one of its contexts."""


@dataclass(frozen=True, slots=True)
class StorageCommitment:
    """A storage commitment request (PS3.4 J.3.2): the sender lists what it believes we hold."""

    at: datetime
    calling_ae_title: str
    transaction_uid: str
    sop_instance_uids: tuple[str, ...]
    association_id: str
    sop_class_uids: tuple[str, ...] = ()
    """Of each instance, in the same order."""


@dataclass(frozen=True, slots=True)
class CommitmentOutcome:
    """What a destination answered when we asked it for storage commitment (PS3.4 J.3.3).

    Attributes:
        committed: SOP Instance UIDs of what it takes responsibility for.
        failed: Failure Reason (0008,1197) by SOP Instance UID of what it doesn't.
    """

    transaction_uid: str
    committed: tuple[str, ...]
    failed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """A modality performed procedure step (PS3.4 F.7) as last reported."""

    at: datetime
    calling_ae_title: str
    mpps_instance_uid: str
    status: Literal["IN PROGRESS", "COMPLETED", "DISCONTINUED"]
    series: Mapping[str, tuple[str, ...]]
    """SOP Instance UIDs by Series Instance UID; empty until the final N-SET lists them."""


Happening = Literal["opened", "stored", "duplicate", "conflict", "closed", "refused", "commitment", "mpps"]


@dataclass(frozen=True, slots=True)
class ReceiverEvent:
    """One line of a receiver's journal: what happened, in order. The coordinator reads them into the ledger.

    `opened` and `closed` carry `association`; `stored`, `duplicate` (same bytes again) and `conflict`
    (same UID, other bytes, kept beside) carry `instance`; the others the record of their name.
    """

    happening: Happening
    association: Association | None = None
    instance: Instance | None = None
    refusal: Refusal | None = None
    commitment: StorageCommitment | None = None
    step: PerformedStep | None = None


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What is known of a series from headers alone: what rules and people are shown.

    Attributes:
        header: DICOM keywords of the series' first image by InstanceNumber, as plain Python values.
        images: number of instances held. frames: number of frames in all of them.
        own: it is a result of this node, and is never routed.
        derived: facts that a header does not state (plane, spacing, kind, …), by name.
    """

    series_instance_uid: str
    study_instance_uid: str
    header: Mapping[str, Any]
    images: int
    frames: int
    calling_ae_titles: tuple[str, ...] = ()
    own: bool = False
    derived: Mapping[str, Any] = field(default_factory=dict)

    @property
    def modality(self) -> str:
        """Modality (0008,0060), or an empty string."""
        return str(self.header.get("Modality", "") or "")


class SeriesState(StrEnum):
    """Where a series stands."""

    ARRIVING = "arriving"
    COMPLETE = "complete"


class JobState(StrEnum):
    """Where a job stands; the allowed changes stand in ledger/transitions.py."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    NOT_APPLICABLE = "not applicable"
    FAILED = "failed"
    DROPPED = "dropped"
    STALE = "stale"


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    OWED = "owed"
    SENDING = "sending"
    SENT = "sent"
    """Answered with success; whether the destination takes responsibility for it is not known yet."""
    DELIVERED = "delivered"
    REFUSED = "refused"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one pipeline on one revision of one series."""

    id: str
    """Derived from series, revision, route and pipeline: asking twice gives one job."""
    study_instance_uid: str
    series: Mapping[str, str]
    """Series Instance UID by role; a pipeline of one series has the role "image"."""
    revision: int
    route: str
    pipeline: str
    destinations: tuple[str, ...]
    created_at: datetime
    """Also the content time of the results, so that a second run after a crash makes the same bytes."""
    priority: int = 0
    """Higher runs first."""
    attempt: int = 0
    doubtful: bool = False
    """The series was called complete by a ceiling only."""
    shadow: bool = False
    """Run and keep, deliver nothing."""
    missing: str | None = None
    """Why there is nothing to run, such as a series that it waited for in vain: it only says so."""


@dataclass(frozen=True, slots=True)
class Result:
    """One encoded object, or a file that stays here such as an embedding, durable in the spool."""

    sop_instance_uid: str
    """Of a file, a UID that tells it from all others."""
    sop_class_uid: str
    """Empty for a file."""
    series_instance_uid: str
    """Of a file, the series that it is about."""
    kind: str
    """Its form: "seg", "labelmap", "sr", "sc", …, "embedding"."""
    path: str
    """Relative to the spool's root."""
    description: str = ""
    destinations: tuple[str, ...] = ()
    """Whom it was made for."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whose something is: as much as tells one patient from another. Dates are DICOM DA."""

    patient_id: str
    issuer: str
    """Issuer of Patient ID (0010,0021)."""
    birth_date: str
    name: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A value that was measured, for later studies of the patient to be compared with.

    Attributes:
        series_instance_uid: what it was measured on.
        study_date: DICOM DA.
        algorithm, version: what measured it.
        key: tracking UID, concept, derivation, unit and structure; a value of another key is another thing.
        made_at: YYYYMMDDHHMMSS; of two values of one series the later counts.
        options: digest of the algorithm's parameters; None: not known, as of values kept before it was.
    """

    person: Person
    study_instance_uid: str
    series_instance_uid: str
    study_date: str
    algorithm: str
    version: str
    key: tuple[str, str, str, str, str]
    value: float
    made_at: str
    options: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """In which form a destination gets one of its outputs, and why.

    Attributes:
        output: as its `outputs` name it.
        form: None where it can have the output in no form.
        reason: what stood against every better form; of which the first is the best.
        destination: by its name in conf.yaml.
    """

    output: str
    form: str | None
    reason: str
    destination: str = ""

    @property
    def words(self) -> str:
        """The choice as an administrator reads it."""
        chosen = "in no form" if self.form is None else f"as {self.form}"
        return f"{self.destination}: {self.output} {chosen}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result owed to one destination."""

    id: int
    sop_instance_uid: str
    sop_class_uid: str
    destination: str
    path: str
    attempt: int
    study_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """How one attempt ended. `error` is None when the peer answered success (or a warning)."""

    delivery_id: int
    error: str | None = None
    transient: bool = False
    status: int | None = None
    """DIMSE or HTTP status, where there was one."""
    absent: bool = False
    """The attempt certainly left nothing there: the peer was not reached, or said that it took nothing."""
