"""`dicom-node cancel`: a job that is not wanted any more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.errors import Permanent
from dicom_node.node.site import open_site


def cancel(
    job: Annotated[str, typer.Argument(help="The id of a job that waits or runs.")],
    config: ConfigOption = CONFIG,
) -> None:
    """Take a job that waits or runs out of the queue; it makes no results, and `status` says why."""
    with told(), open_site(config) as site:
        site.ledger.migrate()
        if not site.ledger.work.cancel(job, datetime.now(UTC)):
            raise Permanent(f"{job} is no job that waits or runs")
        console.print(f"job {job} is cancelled")
