"""`dicom-node status`: whether the node works, what needs somebody, and what stands where; no patient data.

A line for each thing, and one for each UID: they are there to be copied, however narrow the terminal is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.config import Config, load
from dicom_node.errors import Permanent
from dicom_node.ledger import Ledger
from dicom_node.node.folders import database_url
from dicom_node.node.surroundings import data_folder
from dicom_node.node.watching import NODE, checks
from dicom_node.records import DeliveryState
from dicom_node.web import (
    SHOWN,
    Check,
    DeliveryLine,
    JobLine,
    RefusalLine,
    SeriesLine,
    Status,
    ago,
    read_status,
)

UNSETTLED = (DeliveryState.REFUSED, DeliveryState.OWED, DeliveryState.SENDING, DeliveryState.SENT)


def status(
    config: ConfigOption = CONFIG,
    rows: Annotated[int, typer.Option(min=1, help="How many of the newest to show.")] = 10,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also each route of each series, each result's form, what was delivered."),
    ] = False,
) -> None:
    """Say whether the node works, what is owed and failed, and what arrived; changes nothing."""
    with told():
        try:
            _look(load(config), rows, everything)
        except PermissionError as fault:
            only = "only the node's own user and group may look"
            raise Permanent(f"{fault.filename}: {only}") from None


def _look(config: Config, rows: int, everything: bool) -> None:
    """Shows the node's parts, and what its ledger says. Raises Permanent where that can't be read."""
    parts = list(checks(config))
    with closing(Ledger(database_url(config), looks_only=True)) as ledger:
        if (lack := ledger.database.lacks()) is not None:
            _print(_verdict(parts, [f"{one.name}: {one.detail}" for one in parts if not one.ok]))
            faults = [str(one.fault) for one in data_folder(config.node.data) if one.needed]
            raise Permanent("\n".join(faults) or lack)
        now = datetime.now(UTC)
        found = read_status(ledger.views, lambda: parts, now, max(rows, SHOWN))
        deliveries = [DeliveryLine.model_validate(row) for row in ledger.views.deliveries(UNSETTLED, rows)]
        _print(_verdict(parts, found.concerns))
        _print(_numbers(found))
        _show("Failed jobs", (_job(one, now) for one in found.failed_jobs[:rows]))
        _show("Owed and refused", (_delivery(one, now) for one in deliveries))
        _show("Turned away", (_refusal(one, now) for one in found.refusals[:rows]))
        kept = found.counts["conflicts"]["kept"]
        _show(f"Same UID, other bytes: the newest of {kept}", map(_conflict, ledger.views.conflicts(rows)))
        _show("Jobs", (_job(one, now, everything) for one in found.jobs[:rows]))
        _show("Series", (_series(one, now, everything) for one in found.series[:rows]))
        if everything:
            sent = ledger.views.deliveries((DeliveryState.DELIVERED,), rows)
            _show("Delivered", (_delivery(DeliveryLine.model_validate(row), now) for row in sent))


def _verdict(parts: Sequence[Check], concerns: list[str]) -> Iterator[str]:
    """Whether the node runs, what needs somebody, and how its parts are."""
    if idle := [f"{one.name}: {one.detail}" for one in parts if one.name == NODE]:
        yield "The node does not run."
    elif not concerns:
        yield "The node runs, and all is well."
    else:
        yield "The node runs, and needs somebody:"
    yield from (f"  - {concern}" for concern in concerns if concern not in idle)
    yield from (f"  {one.name}: {one.detail}" for one in parts if one.ok)


def _numbers(found: Status) -> Iterator[str]:
    """How many there are of each kind, by state."""
    for what, states in found.counts.items():
        yield f"  {what}: " + (", ".join(f"{number} {state}" for state, number in states.items()) or "none")


def _job(one: JobLine, now: datetime, everything: bool = False) -> Iterator[str]:
    attempt = f", attempt {one.attempt}" if one.attempt > 1 else ""
    yield f"{one.pipeline} {one.state}{attempt}, by route {one.route}, {ago(one.created_at, now)}"
    yield from _why(one.reason)
    yield f"job {one.id}"
    yield f"study {one.study_instance_uid}"
    yield f"series {one.series_instance_uid}"
    yield from one.forms if everything or one.bare else ()


def _delivery(one: DeliveryLine, now: datetime) -> Iterator[str]:
    again = f", next try {ago(one.not_before, now)}" if one.state == DeliveryState.OWED else ""
    yield f"{one.kind} {one.state} to {one.destination}, attempt {one.attempt}{again}"
    yield from _why(one.error)
    yield f"job {one.job_id}"
    yield f"study {one.study_instance_uid}"
    yield f"result {one.sop_instance_uid}"


def _series(one: SeriesLine, now: datetime, everything: bool) -> Iterator[str]:
    kind = "own result" if one.own else one.modality or "unknown modality"
    doubt = " with doubt" if one.doubtful else ""
    revision = f", revision {one.revision}" if one.revision > 1 else ""
    images = "1 image" if one.images == 1 else f"{one.images} images"
    yield f"{kind}, {images}, {one.state}{doubt}{revision}, {ago(one.last_image_at, now)}"
    yield from _why(one.why)
    yield one.routing
    yield f"series {one.series_instance_uid}"
    yield f"study {one.study_instance_uid}"
    for line in one.routes if everything else ():
        yield f"{'fires' if line.fires else 'does not fire'}: {line.route}: {line.why}"


def _refusal(one: RefusalLine, now: datetime) -> Iterator[str]:
    times = f", {one.times} times" if one.times > 1 else ""
    yield f"{one.calling_ae_title} at {one.address}, {ago(one.at, now)}{times}: {one.reason}"
    yield from (["what helps:", *one.hint.splitlines()] if one.hint else ())


def _conflict(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"{row['at'].astimezone():%Y-%m-%d %H:%M:%S}"
    yield f"instance {row['sop_instance_uid']}"
    yield f"series {row['series_instance_uid']}"
    yield f"file {row['path']}"


def _why(reason: str | None) -> Iterator[str]:
    """The reason, where there is one."""
    yield from [reason] if reason else []


def _show(title: str, entries: Iterable[Iterator[str]]) -> None:
    """Entries under their title, each with its first line further out; nothing where there are none."""
    for number, (first, *others) in enumerate(entries):
        _print([*(["", title] if number == 0 else []), f"  {first}", *(f"      {line}" for line in others)])


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
