"""`dicom-node retry`: another try for a failed or dropped job, or for what a destination refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.errors import Permanent
from dicom_node.node.site import open_site


def retry(
    what: Annotated[str, typer.Argument(help="Id of a failed or dropped job, or the name of a destination.")],
    config: ConfigOption = CONFIG,
) -> None:
    """Try a failed or dropped job again; or owe a destination again what it refused, and hurry the rest."""
    now = datetime.now(UTC)
    with told(), open_site(config) as site:
        site.ledger.migrate()
        if what in site.config.destinations:
            again = site.ledger.outbox.retry(what, now)
            hurried = site.ledger.outbox.hurry(what, now)
            console.print(f"{what}: {again} refused results are owed again, {hurried} are due now")
        elif site.ledger.work.retry(what, now):
            console.print(f"job {what} is queued again")
        else:
            known = ", ".join(site.config.destinations) or "none"
            raise Permanent(
                f"{what} is no failed or dropped job on images that are all there are, "
                f"and no destination (there are: {known})"
            )
