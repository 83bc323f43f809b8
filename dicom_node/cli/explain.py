"""`dicom-node explain FOLDER|STUDY|SERIES`: what each series is, and why it runs or doesn't."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from dicom_node import log
from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.config import load
from dicom_node.node.explaining import explain_folder, explain_held
from dicom_node.node.site import open_site


def explain(
    what: Annotated[
        str, typer.Argument(help="A folder of images, or the UID of a study or series that came.")
    ],
    config: ConfigOption = CONFIG,
) -> None:
    """Say what each series is, whether it is complete, and what each route makes of it."""
    log.configure(level="error")
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # odd headers are what one asks about
    with told():
        if Path(what).is_dir():
            texts = explain_folder(Path(what), load(config))
            _print(texts)
            return
        with open_site(config) as site:
            site.ledger.migrate()
            _print(explain_held(what, site))


def _print(texts: Iterable[str]) -> None:
    """Each series' explanation, with a line between them."""
    for number, text in enumerate(texts):
        console.print(
            *([] if number == 0 else [""]), text, sep="\n", markup=False, highlight=False, soft_wrap=True
        )
