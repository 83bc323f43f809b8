"""What waits for rules that the site has no more is dropped, so that a deleted route never fires again."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from dicom_node.node.site import Site

log = structlog.get_logger()


def abandon(site: Site) -> None:
    """Drops jobs that wait for a route or a pipeline that conf.yaml has no more; log and rows say so."""
    routes = [route.name for route in site.config.routes]
    for cause, jobs in site.ledger.work.abandon(
        routes, list(site.config.pipelines), datetime.now(UTC)
    ).items():
        log.warning("jobs_dropped", cause=cause, jobs=jobs)
