"""What commands share: the option for conf.yaml, and how errors reach the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from dicom_node.errors import NodeError

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The site's configuration.", show_default=True)
]
CONFIG = Path("conf.yaml")
console = Console()
errors = Console(stderr=True)


@contextmanager
def told() -> Iterator[None]:
    """Turns the node's own errors into a text and exit status 1."""
    try:
        yield
    except NodeError as fault:
        errors.print(str(fault), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
