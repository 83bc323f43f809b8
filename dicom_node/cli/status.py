"""`dicom-node status`: what stands where, and what needs somebody; no patient data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.node.site import open_site


def status(
    config: ConfigOption = CONFIG,
    rows: Annotated[int, typer.Option(help="How many of the newest to show.")] = 10,
) -> None:
    """Show what arrived, what was made of it, what is owed, and what was refused."""
    with told(), open_site(config) as site:
        site.ledger.migrate()
        views = site.ledger.views
        console.print(_counts(views.counts()))
        series = [
            row
            | {
                "why": (row["verdict"] or {}).get("reason", ""),
                "kind": "own result" if row["own"] else row["modality"],
            }
            for row in views.recent_series(rows)
        ]
        _show("Series", series, ("series_instance_uid", "kind", "images", "revision", "state", "why"))
        _show("Jobs", views.recent_jobs(rows), ("id", "pipeline", "route", "state", "attempt", "reason"))
        _show(
            "Deliveries",
            views.deliveries(limit=rows),
            ("destination", "description", "state", "attempt", "error"),
        )
        _show("Turned away", views.refusals(rows), ("at", "calling_ae_title", "address", "reason", "hint"))
        _show("Same UID, other bytes", views.conflicts(rows), ("at", "sop_instance_uid", "path"))


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
