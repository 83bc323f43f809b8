"""`dicom-node demo`: a node and a small PACS on this machine, a series sent, the results to look at."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from dicom_node import log
from dicom_node.cli.common import console, told
from dicom_node.demo.story import Shown, tell_story
from dicom_node.phantom import ChestTruth, write_chest


def demo(
    images: Annotated[
        Path | None,
        typer.Option("--input", exists=True, file_okay=False, help="Your images; else a phantom."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Where everything is kept; emptied first.")] = Path(
        "demo-output"
    ),
) -> None:
    """Show the whole journey: images in, SEG, SR and pictures back in a PACS."""
    log.configure(level="error")
    began = time.monotonic()
    _empty(output)

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/dim]  {text}")

    with told(), tempfile.TemporaryDirectory() as scratch:
        truth = None
        if images is None:
            say("making a chest phantom of known lung volumes; it is no patient")
            images = Path(scratch)
            truth = write_chest(images)
        shown = tell_story(images, output.resolve(), say)
        _show(shown, output)
        if truth is not None:
            _compare(shown, truth)
        if any(job["state"] == "failed" for job in shown.jobs):
            raise typer.Exit(1)


def _empty(output: Path) -> None:
    """Removes what an earlier demonstration left; nothing else."""
    if (output / "conf.yaml").exists() and (output / "pacs").is_dir():
        shutil.rmtree(output)
    if output.exists() and any(output.iterdir()):
        raise typer.BadParameter(f"{output} holds other files; choose another folder with --output")


def _show(shown: Shown, output: Path) -> None:
    """Tables of what was delivered and measured, and where the pictures are."""
    jobs = Table(title="What ran", title_justify="left")
    for column in ("pipeline", "state", "reason"):
        jobs.add_column(column)
    for job in shown.jobs:
        jobs.add_row(*(str(job[name] or "") for name in ("pipeline", "state", "reason")))
    delivered = Table(
        "modality", "series", "description", title="What the PACS received", title_justify="left"
    )
    for ds in shown.objects:
        delivered.add_row(str(ds.Modality), str(ds.SeriesNumber), str(ds.SeriesDescription))
    numbers = Table("measured", "of", "value", title="What was measured", title_justify="left")
    for one in shown.numbers:
        numbers.add_row(one.name, one.of, escape(f"{one.value:.1f} {one.unit}"))
    for table in (jobs, delivered, numbers):
        console.print(table)
    console.print("Pictures to look at:")
    for path in shown.pictures:
        console.print(f"  {output / 'pictures' / path.name}", markup=False, soft_wrap=True)


def _compare(shown: Shown, truth: ChestTruth) -> None:
    """How far the phantom's measured lung volumes are from the truth."""
    table = Table(
        "lung", "true ml", "measured ml", "off by", title="The phantom's truth", title_justify="left"
    )
    for side, true_ml in truth.ml.items():
        for one in shown.numbers:
            if one.unit == "ml" and side in one.of.lower():
                off = 100.0 * (one.value - true_ml) / true_ml
                table.add_row(side, f"{true_ml:.0f}", f"{one.value:.0f}", f"{off:+.1f} %")
    console.print(table)
