"""Judges arriving series, and queues what the site's rules ask for once one is complete."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from dicom_node.complete import judge
from dicom_node.ledger import Held, NewJob
from dicom_node.node.site import Site
from dicom_node.records import Evidence, SeriesFacts, Verdict
from dicom_node.route import match
from dicom_node.volume import stack_evidence

log = structlog.get_logger()


def sweep(site: Site) -> None:
    """Judges every arriving series that is due."""
    for series_instance_uid in site.ledger.holdings.due(datetime.now(UTC)):
        held = site.ledger.holdings.held(series_instance_uid)
        if held is None:
            continue
        now = datetime.now(UTC)
        verdict = judge(evidence(held), site.config.complete, now)
        if verdict.complete:
            complete(site, held, verdict, now)
        else:
            site.ledger.holdings.wait_until(series_instance_uid, verdict)


def evidence(held: Held) -> Evidence:
    """What the ledger holds of a series, as evidence of its completeness."""
    return Evidence(
        series_instance_uid=held.series_instance_uid,
        instances=len(held.fields),
        first_image_at=held.first_image_at,
        last_image_at=held.last_image_at,
        associations=held.associations,
        sender_open=held.sender_open,
        geometry=stack_evidence(held.fields),
        committed=held.committed,
        performed=held.performed,
        counts=held.counts,
        pauses=held.pauses,
        returns=held.returns,
        reopened=held.revision > 1,
    )


def complete(site: Site, held: Held, verdict: Verdict, now: datetime) -> None:
    """Marks a series complete and queues a job for each route that fires."""
    facts = site.ledger.holdings.facts(held.series_instance_uid)
    jobs = new_jobs(site, facts)
    queued = site.ledger.work.complete(held.series_instance_uid, held.revision, verdict, jobs, now)
    log.info(
        "series_complete",
        series_instance_uid=held.series_instance_uid,
        revision=held.revision,
        images=facts.images,
        evidence=verdict.evidence,
        jobs=len(queued),
    )


def new_jobs(site: Site, facts: SeriesFacts) -> list[NewJob]:
    """The jobs that the site's routes ask for, each with why."""
    routes = {route.name: route for route in site.config.routes}
    return [
        NewJob(
            route=explanation.route,
            pipeline=routes[explanation.route].run,
            series={"image": facts.series_instance_uid},
            destinations=routes[explanation.route].send,
            priority=routes[explanation.route].priority,
            explanation=explanation.as_json(),
        )
        for explanation in match(facts, site.config.routes)
        if explanation.matched
    ]
