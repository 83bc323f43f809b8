"""`dicom-node replay`: what other rules would make of past traffic, and queues it where that is wanted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dicom_node import log
from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.config import load
from dicom_node.config.faults import FaultyConfigError
from dicom_node.config.when import ALWAYS, Condition, parse_when
from dicom_node.node.replaying import Firing, Replayed
from dicom_node.node.replaying import replay as replayed
from dicom_node.node.requeueing import Requeued, requeue
from dicom_node.node.site import open_site
from dicom_node.route import weigh

LAST_DAYS = 7
SAME = ("stays", "neither")


def replay(
    config: ConfigOption = CONFIG,
    rules: Annotated[
        Path | None, typer.Option(help="A conf.yaml with the new rules; else the site's own as it is now.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help=f"Series complete from then on; else {LAST_DAYS} days back.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(help="Series complete before; else all.")] = None,
    only: Annotated[
        str | None, typer.Option(help="Conditions on the series, as under `when:`, such as 'Modality: CT'.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show also what stays as it is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every condition.")] = False,
    queue: Annotated[bool, typer.Option("--requeue", help="Queue the jobs that start or differ.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Queue without asking.")] = False,
) -> None:
    """Run rules over past traffic: which routes would fire now, and fired then, and why."""
    log.configure(level="warning")
    condition = _condition(only)
    with told(), open_site(config) as site:
        site.ledger.migrate()
        asked = load(rules) if rules is not None else site.config
        found = list(
            replayed(
                site,
                asked,
                _aware(since) or datetime.now(UTC) - timedelta(days=LAST_DAYS),
                _aware(until) or datetime.now(UTC) + timedelta(days=1),
                lambda facts: weigh(condition, facts).held,
            )
        )
        wanted = [one for one in found if one.change in {"starts", "differs"}]
        if not as_json:
            _show([one for one in found if everything or one.change not in SAME], found)
        done = requeue(site, asked, wanted) if queue and wanted and (yes or _agreed(len(wanted))) else None
    if as_json:
        typer.echo(json.dumps(_json(found, done), indent=2, default=str))
    elif done is not None:
        console.print(done.words, highlight=False)
    elif queue:
        console.print("nothing queued", highlight=False)


def _condition(only: str | None) -> Condition:
    if only is None:
        return ALWAYS
    try:
        return parse_when(YAML(typ="safe").load(only))
    except (FaultyConfigError, YAMLError) as fault:
        raise typer.BadParameter(str(fault), param_hint="--only") from None


def _aware(when: datetime | None) -> datetime | None:
    """What was typed is meant by the machine's clock."""
    return None if when is None else when.astimezone()


def _agreed(jobs: int) -> bool:
    what = "this job" if jobs == 1 else f"these {jobs} jobs"
    return typer.confirm(f"Queue {what}? Destinations get what they do not have.", err=True)


def _show(shown: Sequence[Replayed], found: Sequence[Replayed]) -> None:
    """A table of what changes, and counts."""
    if shown:
        table = Table(title="Past traffic under the new rules", title_justify="left")
        for column in ("series", "route", "change", "then", "now"):
            table.add_column(column, overflow="fold")
        for one in shown:
            series = f"{one.modality or 'no modality'}, {one.images} images\n{one.series_instance_uid}"
            table.add_row(series, one.route, one.change, _words(one.then), _words(one.now))
        console.print(table, highlight=False, markup=False)
    console.print(_summary(found), highlight=False)


def _words(firing: Firing) -> str:
    return f"{firing.words}: {firing.reason}"


def _summary(found: Sequence[Replayed]) -> str:
    series = len({one.series_instance_uid for one in found})
    counts = Counter(one.change for one in found)
    told = ", ".join(f"{counts[change]} {change}" for change in ("starts", "stops", "differs", "stays"))
    return f"{series} series; of their routes: {told}"


def _json(found: Sequence[Replayed], done: Requeued | None) -> dict[str, Any]:
    rows = [
        {
            "study_instance_uid": one.study_instance_uid,
            "series_instance_uid": one.series_instance_uid,
            "modality": one.modality,
            "images": one.images,
            "route": one.route,
            "change": one.change,
            "then": _plain(one.then),
            "now": _plain(one.now),
            "explanation": one.new.explanation if one.new is not None else None,
        }
        for one in found
    ]
    counts = dict(Counter(one.change for one in found))
    return {"summary": counts, "routes": rows, "requeued": None if done is None else vars(done)}


def _plain(firing: Firing) -> dict[str, Any]:
    return {
        "fired": firing.fired,
        "reason": firing.reason,
        "pipeline": firing.pipeline,
        "destinations": list(firing.destinations),
        "shadow": firing.shadow,
    }
