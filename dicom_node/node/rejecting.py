"""Tells destinations which results that they hold no longer count, once what replaces them is there."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from dicom_node.encode import rejection_note
from dicom_node.headers import read_header
from dicom_node.ledger import Replaced
from dicom_node.node.outcomes import keep_object
from dicom_node.node.site import Site

log = structlog.get_logger()


def reject_replaced(site: Site, destination: str) -> None:
    """Owes a destination a rejection note for each job whose results stand beside earlier ones there."""
    for replaced in site.ledger.superseding.to_reject(destination):
        owed = _owe(site, destination, replaced)
        log.info(
            "results_rejected",
            destination=destination,
            job=replaced.job_id,
            revision=replaced.revision,
            results=len(replaced.results),
            owed=owed,
        )


def _owe(site: Site, destination: str, replaced: Replaced) -> bool:
    """Makes a note and owes it; a crash in between leaves a file that nobody asks for, and no second note."""
    node = site.config.node
    note = rejection_note(
        [read_header(site.spool.path(one.path)) for one in replaced.results],
        replaced.revision,
        replaced.at,
        reason=replaced.reason,
        use=node.use,
        ae_title=node.ae_title,
        institution=node.institution,
    )
    now = datetime.now(UTC)
    folder = f"{replaced.job_id}-{now:%Y%m%dT%H%M%S%f}"
    kept = keep_object(site.spool, folder, note)
    return site.ledger.superseding.owe_note(replaced.job_id, destination, kept, now)
