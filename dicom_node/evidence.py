"""Frozen records of what is known about whether a series is complete, and of what was made of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AssociationOutcome(StrEnum):
    """How an association stands."""

    OPEN = "open"
    RELEASED = "released"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class AssociationEvidence:
    """What one association brought of one series.

    Attributes:
        refused: images that this node refused on it for want of resources, and doesn't hold yet. Of which
            series they are is not known.
    """

    association_id: str
    calling_ae_title: str
    started_at: datetime
    ended_at: datetime | None
    outcome: AssociationOutcome
    images: int
    last_image_at: datetime
    refused: int = 0


@dataclass(frozen=True, slots=True)
class SourceCount:
    """Number of Series Related Instances (0020,1209) as the source answered a C-FIND."""

    at: datetime
    peer: str
    instances: int


@dataclass(frozen=True, slots=True)
class GeometryEvidence:
    """Whether the slices held make a whole stack, from headers alone."""

    whole: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known about whether a series is complete; `complete.judge` turns it into a verdict.

    Attributes:
        associations: every association that brought images of the series, by start.
        refused_beside: associations that its senders had since its first image, that brought none of it, and
            of which this node refused images that it doesn't hold yet.
        sender_open: an association of one of its senders is open now (it may still bring images).
        committed: a storage commitment request lists images of the series, and every one listed for
            the series is held, and none is held that it does not list.
        performed: likewise for an MPPS that reports COMPLETED and references the series.
        counts: answers from the source, oldest first.
        pauses: of each of this sender's past series, a bounded number of the latest: the longest time, in
            seconds, in which images were still to come though every association that had brought some
            was released; 0 for a series that came at once.
        promised: the proof that this sender has given for its past series and not yet for this one
            ("commitment", "mpps", "count"); empty where it gives none reliably.
        reopened: late images came after an earlier verdict.
        listening_since: when this node was last started: what was sent while it was away could not come,
            and no silence before counts. None: it always listened.
    """

    series_instance_uid: str
    instances: int
    first_image_at: datetime
    last_image_at: datetime
    associations: tuple[AssociationEvidence, ...]
    sender_open: bool
    geometry: GeometryEvidence
    committed: bool = False
    performed: bool = False
    counts: tuple[SourceCount, ...] = ()
    pauses: tuple[float, ...] = ()
    reopened: bool = False
    promised: str = ""
    listening_since: datetime | None = None
    refused_beside: tuple[AssociationEvidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a series is complete, why, and when to look again if it isn't yet.

    Attributes:
        complete: it may be routed. doubtful: by a ceiling only; the results say so.
        evidence: which row of the table decided ("commitment", "mpps", "count", "geometry", "quiet",
            "ceiling", "waiting").
        reason: in words, with the figures it rests on.
        look_again_at: when the verdict can change though nothing arrives; None if it can't.
    """

    complete: bool
    evidence: str
    reason: str
    doubtful: bool = False
    look_again_at: datetime | None = None
