"""The Typer application: which commands there are."""

from __future__ import annotations

from typing import Annotated

import typer

from dicom_node import __version__
from dicom_node.cli.cancel import cancel
from dicom_node.cli.check import check
from dicom_node.cli.demo import demo
from dicom_node.cli.destinations import destinations
from dicom_node.cli.explain import explain
from dicom_node.cli.models import models
from dicom_node.cli.new_pipeline import new_pipeline
from dicom_node.cli.reindex import reindex
from dicom_node.cli.replay import replay
from dicom_node.cli.retry import retry
from dicom_node.cli.run import run
from dicom_node.cli.send import send
from dicom_node.cli.serve import serve
from dicom_node.cli.similar import similar
from dicom_node.cli.status import status

app = typer.Typer(
    help="A DICOM node that runs large imaging models and returns what they find to the PACS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version and exit.")
    ] = False,
) -> None:
    """A DICOM node that runs large imaging models and returns what they find to the PACS."""


for command in (
    *(serve, check, status, explain, similar, run, send, demo),
    *(retry, cancel, replay, reindex, new_pipeline),
):
    app.command()(command)
for group, name in ((destinations, "destinations"), (models, "models")):
    app.add_typer(group, name=name)
