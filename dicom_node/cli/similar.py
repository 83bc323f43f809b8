"""`dicom-node similar SERIES|STUDY`: the series that are held and most alike, by their embeddings."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from dicom_node import log
from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.node.likeness import Likeness, likenesses
from dicom_node.node.site import open_site


def similar(
    uid: Annotated[str, typer.Argument(help="UID of a series or study of which an embedding is kept.")],
    config: ConfigOption = CONFIG,
    most: Annotated[int, typer.Option(min=1, help="How many series at most.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the series held that are most like one, by the cosine of their embeddings."""
    log.configure(level="warning")
    with told(), open_site(config) as site:
        site.ledger.migrate()
        found = likenesses(uid, site, most)
    if as_json:
        typer.echo(json.dumps([_json(one) for one in found], indent=2))
        return
    for one in found:
        _show(one)


def _show(one: Likeness) -> None:
    """A line for each series, whole however narrow the terminal is: UIDs are there to be copied."""
    lines = [f"Series {one.kept.series_instance_uid}, by {one.kept.embedder} ({one.of})"]
    for kept, cosine in one.alike:
        lines.append(f"  {cosine:.4f}  {kept.series_instance_uid} of study {kept.study_instance_uid}")
    none = "no other series has an embedding of this model and version"
    lines.append(f"  {one.compared} other series compared" if one.compared else f"  {none}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _json(one: Likeness) -> dict[str, Any]:
    alike = [
        {
            "series_instance_uid": kept.series_instance_uid,
            "study_instance_uid": kept.study_instance_uid,
            "cosine": cosine,
        }
        for kept, cosine in one.alike
    ]
    return {**asdict(one.kept), "of": one.of, "compared": one.compared, "alike": alike}
