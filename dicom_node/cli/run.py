"""`dicom-node run PIPELINE FOLDER --output FOLDER`: a pipeline on files, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from dicom_node import log
from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.config import Config, PipelineConfig, load, resolve
from dicom_node.counted import counted
from dicom_node.encode import unit_text
from dicom_node.errors import ConfigError
from dicom_node.findings import Finding, Measurement
from dicom_node.node.offline import FoundSeries, find_series, run_folder
from dicom_node.records import JobState


def run(
    pipeline: Annotated[str, typer.Argument(help="A pipeline's name in conf.yaml, or package.module:Class.")],
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Where the images are.")],
    output: Annotated[Path, typer.Option(help="Where the results go.")],
    config: ConfigOption = CONFIG,
) -> None:
    """Run a pipeline on a folder of images, and write its results into another."""
    log.configure(level="warning")
    with told():
        site = load(config) if config.exists() else Config()
        chosen = resolve(_pipeline(pipeline, site))
        series, others = find_series(folder)
        if not series:
            console.print(f"no DICOM series under {folder} ({len(others)} other files)")
            raise typer.Exit(1)
        failures = 0
        with Progress(console=console, transient=True) as bar:
            tasks = {
                one.series_instance_uid: bar.add_task(one.description or one.modality, total=1.0)
                for one in series
            }
            for one, ran, paths in run_folder(
                pipeline,
                chosen,
                series,
                output,
                site,
                lambda uid, fraction: bar.update(tasks[uid], completed=fraction),
            ):
                bar.update(tasks[one.series_instance_uid], completed=1.0)
                failures += ran.state is JobState.FAILED
                bar.console.print(
                    f"[bold]{escape(_named(one))}[/bold], {counted(len(one.paths), 'image')}: {ran.state}"
                )
                if ran.reason:
                    bar.console.print(f"  {ran.reason}", markup=False)
                if any(isinstance(finding, Measurement) for finding in ran.findings):
                    bar.console.print(findings_table(ran.findings))
                for path in paths:
                    bar.console.print(f"  {path}", markup=False, soft_wrap=True)
    if failures:
        raise typer.Exit(1)


def _named(series: FoundSeries) -> str:
    """A series' modality and description, where it has one."""
    return f"{series.modality} {series.description}".strip() or "a series"


def _pipeline(name: str, site: Config) -> PipelineConfig:
    """A configured pipeline by its name, or one by its import string."""
    if name in site.pipelines:
        return site.pipelines[name]
    if ":" in name:
        return PipelineConfig(use=name)
    known = ", ".join(site.pipelines) or "none is configured"
    raise ConfigError(f"no pipeline is called {name!r} (there are: {known}); or give package.module:Class")


def findings_table(findings: tuple[Finding, ...]) -> Table:
    """The numbers that were measured."""
    table = Table("measured", "of", "value", "doubt")
    for one in findings:
        if isinstance(one, Measurement):
            value = escape(f"{one.value:.{one.digits}f} {unit_text(one.unit)}".rstrip())
            table.add_row(one.name.meaning, one.segment or "", value, one.doubt or "")
    return table
