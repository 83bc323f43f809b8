"""`dicom-node status`: what stands where, and what needs somebody; no patient data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.node.site import open_site
from dicom_node.records import Choice
from dicom_node.web import routes_of, routing


def status(
    config: ConfigOption = CONFIG,
    rows: Annotated[int, typer.Option(help="How many of the newest to show.")] = 10,
) -> None:
    """Show what arrived, what was made of it, what is owed, and what was refused."""
    with told(), open_site(config) as site:
        site.ledger.migrate()
        views = site.ledger.views
        console.print(_counts(views.counts()))
        series = views.recent_series(rows)
        columns = ("series_instance_uid", "kind", "images", "revision", "state", "why", "routing")
        _show("Series", [_series(row) for row in series], columns)
        _show(
            "Routes", [each for row in series for each in _routes(row)], ("series", "route", "fires", "why")
        )
        jobs = views.recent_jobs(rows)
        _show("Jobs", jobs, ("id", "pipeline", "route", "state", "attempt", "reason"))
        _show("Forms", list(_forms(jobs)), ("job", "destination", "output", "form", "because"))
        _show(
            "Deliveries",
            views.deliveries(limit=rows),
            ("destination", "description", "state", "attempt", "error"),
        )
        _show("Turned away", views.refusals(rows), ("at", "calling_ae_title", "address", "reason", "hint"))
        _show("Same UID, other bytes", views.conflicts(rows), ("at", "sop_instance_uid", "path"))


def _series(row: Mapping[str, Any]) -> dict[str, Any]:
    """A series with its verdict's reason, and with what became of it."""
    why = (row["verdict"] or {}).get("reason", "")
    kind = "own result" if row["own"] else row["modality"]
    return {**row, "why": why, "kind": kind, "routing": routing(row)}


def _routes(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What each route made of a series, and why."""
    for one in routes_of(row):
        fires = "yes" if one.fires else "no"
        yield {"series": row["series_instance_uid"], "route": one.route, "fires": fires, "why": one.why}


def _forms(jobs: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """In which form each destination got each output of a job, and why."""
    for job in jobs:
        for choice in (Choice(**one) for one in job["choices"] or ()):
            yield {
                "job": job["id"],
                "destination": choice.destination,
                "output": choice.output,
                "form": choice.form or "nothing",
                "because": choice.reason,
            }


def _counts(counts: Mapping[str, Mapping[str, int]]) -> Table:
    """Numbers by state."""
    table = Table(title="Now", title_justify="left")
    table.add_column("what")
    table.add_column("how many")
    for what, states in counts.items():
        table.add_row(what, ", ".join(f"{number} {state}" for state, number in states.items()) or "none")
    return table


def _show(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """A table of rows; nothing where there are none."""
    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    console.print(table)


def _cell(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return ""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else str(value)
