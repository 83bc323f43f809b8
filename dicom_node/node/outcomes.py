"""What a run said, durable in the spool: a run is not repeated when only the ledger's record of it was lost.

The ledger commits after the spool, and can be rebuilt from it. A second run would give other bytes under
the same UIDs, since its time is another; so what was said first stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import TypeAdapter

from dicom_node.encode import EncodedFile, EncodedObject, Taker, plan_among, to_bytes
from dicom_node.node.finishing import Ran
from dicom_node.records import Choice, Job, JobState, Measured, Result
from dicom_node.spool import Spool

NAME = "outcome.json"
FINAL = (JobState.DONE, JobState.NOT_APPLICABLE)
"""A failure may have passed by the next time: it is tried again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended, its results in the spool, and why they have the forms that they have."""

    state: JobState
    reason: str | None
    results: tuple[Result, ...]
    choices: tuple[Choice, ...] = ()
    measured: tuple[Measured, ...] = ()
    """What later studies of the patient are compared with."""


_ADAPTER = TypeAdapter(Outcome)


def keep(spool: Spool, job: Job, ran: Ran) -> Outcome:
    """Writes the objects and files of a run, and last what makes them whole: the outcome.

    Each run has a folder of its own: an earlier one may have died half-way, with other bytes.
    """
    folder = f"{job.id}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    objects = (keep_object(spool, folder, one) for one in ran.objects)
    results = (*objects, *(_keep_file(spool, folder, one) for one in ran.files))
    outcome = Outcome(ran.state, ran.reason, results, ran.choices, ran.measured)
    spool.write_result(folder, NAME, _ADAPTER.dump_json(outcome))
    return outcome


def kept(spool: Spool, job_id: str) -> Outcome | None:
    """The final outcome of an earlier run of a job, whatever the ledger says; None where there is none."""
    for path in spool.results(f"{job_id}-", NAME):
        outcome = _ADAPTER.validate_json(path.read_bytes())
        if outcome.state in FINAL:
            return outcome
    return None


def addressed(outcome: Outcome, takers: Iterable[Taker]) -> Outcome:
    """An outcome with destinations that its run did not know of added to what was made for others.

    A route may have been given another destination since; and outcomes of the first version name none.
    """
    made = {result.kind for result in outcome.results}
    known = {choice.destination for choice in outcome.choices}
    late = tuple(choice for one in takers if one.name not in known for choice in plan_among(made, one))
    gets = {form: dict.fromkeys(one.destination for one in late if one.form == form) for form in made}
    results = (replace(one, destinations=(*one.destinations, *gets[one.kind])) for one in outcome.results)
    return replace(outcome, results=tuple(results), choices=(*outcome.choices, *late))


def keep_object(spool: Spool, folder: str, one: EncodedObject) -> Result:
    """Writes one object into a folder of the results."""
    return Result(
        sop_instance_uid=one.sop_instance_uid,
        sop_class_uid=one.sop_class_uid,
        series_instance_uid=one.series_instance_uid,
        kind=one.kind,
        path=spool.write_result(folder, f"{one.sop_instance_uid}.dcm", to_bytes(one)),
        description=one.description,
        destinations=one.destinations,
    )


def _keep_file(spool: Spool, folder: str, one: EncodedFile) -> Result:
    """Writes a file that is no object, and that nobody is sent."""
    return Result(
        sop_instance_uid=one.uid,
        sop_class_uid="",
        series_instance_uid=one.series_instance_uid,
        kind=one.kind,
        path=spool.write_result(folder, one.name, one.content),
        description=one.description,
    )
