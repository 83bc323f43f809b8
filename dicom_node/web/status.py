"""What the status page and /status show: UIDs, counts, states and reasons, and never patient data.

The models below are an allow-list: a column that they do not name leaves by no page, whatever a view gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dicom_node import __version__
from dicom_node.log import without_names
from dicom_node.records import Choice, DeliveryState, JobState, SeriesState

LATELY = timedelta(hours=24)
"""How long a refusal, a failed job, and a result that a destination accepts in no form, ask for somebody."""
REPEATED = 2
"""Times that a sender is turned away before somebody is needed: one odd try is none."""
SAID = 5
"""Senders that are turned away, or send other bytes, that are named among what needs somebody."""
SHOWN = 25
"""Lines of each table."""
LOOKED_AT = 500
"""Newest deliveries that are not there among which those that went wrong are looked for."""

Told = Annotated[str, AfterValidator(without_names)]
"""A text for an administrator, cut where it holds a name after all."""


class StatusView(Protocol):
    """Read-only queries, such as the ledger's views; rows are mappings that hold at least what is shown."""

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Numbers by state, of "series", "jobs", "deliveries", "associations" and "conflicts"."""

    def recent_series(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """The series that changed last."""

    def recent_jobs(self, limit: int, states: Sequence[str] | None = None) -> Sequence[Mapping[str, Any]]:
        """The newest jobs in these states; None: in any."""

    def deliveries(self, states: Sequence[str], limit: int) -> Sequence[Mapping[str, Any]]:
        """The newest deliveries in these states."""

    def refusals(self, limit: int) -> Sequence[Mapping[str, Any]]:
        """What was turned away lately."""

    def turned_away(self, since: datetime) -> Sequence[Mapping[str, Any]]:
        """How often who was turned away since a moment, by sender and reason."""

    def conflicting(self, since: datetime) -> Sequence[Mapping[str, Any]]:
        """How many images came again with other bytes since a moment, by sender."""

    def last_change(self) -> datetime | None:
        """When anything last changed its state."""


class Line(BaseModel):
    """Base of every line: takes the columns it names, and drops all others."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Check(Line):
    """Whether a part of the node does its work: a receiver, a worker, the disk."""

    name: str
    ok: bool
    detail: Told = ""


class RouteLine(Line):
    """What a route made of a series."""

    route: str
    fires: bool
    why: Told


class SeriesLine(Line):
    """A series, and why it is complete or waits."""

    series_instance_uid: str
    study_instance_uid: str
    modality: str | None
    state: str
    revision: int
    images: int
    own: bool
    doubtful: bool
    last_image_at: datetime
    why: Told
    routing: str = Field(description="What became of it, in a few words.")
    routes: list[RouteLine] = Field(description="Routes of one series; those of several are among the jobs.")


class JobLine(Line):
    """A job, and how far it is or why it ended."""

    id: str
    study_instance_uid: str
    series_instance_uid: str
    pipeline: str
    route: str
    state: str
    attempt: int
    progress: float | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    reason: Told | None
    forms: list[Told] = []
    """In which form each destination gets each output, and why."""
    bare: list[str] = []
    """Destinations that can have its result in no form."""


class DeliveryLine(Line):
    """A result owed to a destination or refused by it."""

    id: int
    study_instance_uid: str
    job_id: str
    sop_instance_uid: str
    destination: str
    kind: str
    state: str
    attempt: int
    not_before: datetime | None
    error: Told | None


class RefusalLine(Line):
    """A sender or an object that was turned away, and what would let it in."""

    at: datetime
    calling_ae_title: str
    called_ae_title: str
    address: str
    reason: Told
    hint: Told
    times: int = 1


class TurnedAwayLine(Line):
    """What was turned away of one sender for one reason in the last 24 hours."""

    calling_ae_title: str
    address: str
    reason: Told
    hint: Told
    of_image: bool
    times: int

    @property
    def concern(self) -> str:
        """What needs somebody, and the cure; empty where it came to nothing that repeats or is missed."""
        who = f"{self.calling_ae_title or 'somebody'} at {self.address or 'an unknown address'}"
        cure = f" ({self.hint})" if self.hint else ""
        if self.of_image:
            number = _number(self.times, "image")
            return f"{number} of {who} refused in the last 24 hours: {self.reason}{cure}"
        if self.times < REPEATED:
            return ""
        return f"{who} turned away {self.times} times in the last 24 hours: {self.reason}{cure}"


class ConflictLine(Line):
    """Images of one sender that came again with other bytes in the last 24 hours."""

    calling_ae_title: str
    images: int
    at: datetime
    policy: str = "all are kept, and receive: {conflict} says which count"

    @property
    def concern(self) -> str:
        """What needs somebody."""
        number, who = _number(self.images, "image"), self.calling_ae_title or "an unknown sender"
        return f"{number} of {who} came again with other bytes in the last 24 hours: {self.policy}"


class Status(BaseModel):
    """All that the status page shows."""

    version: str = __version__
    at: datetime
    last_change: datetime | None
    concerns: list[str] = Field(description="What needs somebody, in words; empty: all is well.")
    checks: list[Check]
    counts: dict[str, dict[str, int]]
    series: list[SeriesLine]
    jobs: list[JobLine]
    failed_jobs: list[JobLine]
    deliveries: list[DeliveryLine] = Field(description="Refused, or owed after a failed attempt.")
    refusals: list[RefusalLine]
    turned_away: list[TurnedAwayLine] = Field(description="In the last 24 hours, by sender and reason.")
    conflicts: list[ConflictLine] = Field(description="Same UID, other bytes: in the last 24 hours.")

    @property
    def well(self) -> bool:
        """Nothing needs anybody."""
        return not self.concerns


def read_status(
    view: StatusView, checks: Callable[[], Iterable[Check]], now: datetime, shown: int = SHOWN
) -> Status:
    """The node's status at a time (aware, UTC), with so many lines of each table at most."""
    unsettled = view.deliveries((DeliveryState.REFUSED, DeliveryState.OWED), LOOKED_AT)
    deliveries = [DeliveryLine.model_validate(row) for row in unsettled if row["error"]]
    status = Status(
        at=now,
        last_change=view.last_change(),
        concerns=[],
        checks=list(checks()),
        counts={what: dict(states) for what, states in view.counts().items()},
        series=[_series(row) for row in view.recent_series(shown)],
        jobs=[_job(row) for row in view.recent_jobs(shown)],
        failed_jobs=[_job(row) for row in view.recent_jobs(shown, (JobState.FAILED,))],
        deliveries=deliveries[:shown],
        refusals=[RefusalLine.model_validate(row) for row in view.refusals(shown)],
        turned_away=[TurnedAwayLine.model_validate(row) for row in view.turned_away(now - LATELY)],
        conflicts=[ConflictLine.model_validate(row) for row in view.conflicting(now - LATELY)],
    )
    return status.model_copy(update={"concerns": _concerns(status)})


def _series(row: Mapping[str, Any]) -> SeriesLine:
    verdict = row["verdict"] or {}
    told = {"why": verdict.get("reason", ""), "routing": routing(row), "routes": routes_of(row)}
    return SeriesLine.model_validate({**row, **told})


def routes_of(row: Mapping[str, Any]) -> list[RouteLine]:
    """What each route of one series made of a series, kept since it was complete; none of an own result."""
    if row["own"] or row["state"] != SeriesState.COMPLETE:
        return []
    kept = row["explanations"] or ()
    return [RouteLine(route=one["route"], fires=one["matched"], why=one.get("brief", "")) for one in kept]


def routing(row: Mapping[str, Any]) -> str:
    """What became of a series, in a few words."""
    if row["own"]:
        return "never routed: it is a result of this node"
    if row["state"] != SeriesState.COMPLETE:
        return "routed when it is complete"
    fired = [one.route for one in routes_of(row) if one.fires]
    return f"runs {', '.join(fired)}" if fired else "no route of one series is for it"


def _job(row: Mapping[str, Any]) -> JobLine:
    choices = [Choice(**one) for one in row.get("choices") or ()]
    given = {choice.destination for choice in choices if choice.form is not None}
    bare = sorted({choice.destination for choice in choices} - given)
    return JobLine.model_validate({**row, "forms": [choice.words for choice in choices], "bare": bare})


def _concerns(status: Status) -> list[str]:
    failed = [job for job in status.failed_jobs if job.finished_at and status.at - job.finished_at < LATELY]
    refused = status.counts.get("deliveries", {}).get(DeliveryState.REFUSED, 0)
    waiting = sorted({line.destination for line in status.deliveries if line.state == DeliveryState.OWED})
    concerns = [f"{check.name}: {check.detail or 'not well'}" for check in status.checks if not check.ok]
    if failed:
        least = "at least " if len(failed) == SHOWN else ""
        concerns.append(f"{least}{_number(len(failed), 'job')} failed in the last 24 hours")
    if refused:
        concerns.append(f"{_number(refused, 'result')} refused by a destination")
    concerns += [f"{destination} does not take results now; they are tried again" for destination in waiting]
    lately = [job for job in status.jobs if job.finished_at and status.at - job.finished_at < LATELY]
    bare = sorted({destination for job in lately for destination in job.bare})
    concerns += [f"{destination} accepts no form of the results it is to have" for destination in bare]
    concerns += _at_most(line.concern for line in status.turned_away)
    concerns += _at_most(line.concern for line in status.conflicts)
    return concerns


def _at_most(concerns: Iterable[str]) -> list[str]:
    """The first few of what needs somebody, and how many more there are."""
    said = [concern for concern in concerns if concern]
    more = len(said) - SAID
    return [*said[:SAID], *([f"{more} more of the kind"] if more > 0 else [])]


def _number(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
