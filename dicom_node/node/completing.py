"""Judges arriving series, and queues what the site's rules ask for once one is complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from dicom_node.complete import judge
from dicom_node.config import Config
from dicom_node.errors import Transient
from dicom_node.ledger import Held, NewJob, NoMore
from dicom_node.node.clock import Clock
from dicom_node.node.counting import Sources
from dicom_node.node.site import Site
from dicom_node.records import Evidence, SeriesFacts, Verdict
from dicom_node.route import (
    Complete,
    Explanation,
    StudyExplanation,
    know,
    match,
    match_study,
    not_before,
    priority,
)
from dicom_node.understanding import Answer
from dicom_node.volume import stack_evidence

log = structlog.get_logger()
AFTER_A_FAULT = timedelta(minutes=1)
NO_MORE = "the earlier result of route {route} no longer counts: images came after it, and {why}"
"""What a study is told of a result that its route asks for no more."""


def sweep(site: Site, sources: Sources, clock: Clock) -> None:
    """Judges every arriving series, and every waiting study, that is due.

    Args:
        site: whose series.
        sources: who is asked for counts.
        clock: as it was when the journals had been read; set in between, it must not make a silence long.
    """
    for series_instance_uid in site.ledger.holdings.due(clock.now()):
        try:
            _look_at(site, series_instance_uid, sources, clock)
        except Transient:
            raise
        except Exception as fault:  # one series' fault must not keep the others waiting
            log.exception("series_not_judged", series_instance_uid=series_instance_uid)
            reason = f"the node failed to judge it: {type(fault).__name__}"
            again = clock.now() + AFTER_A_FAULT
            waiting = Verdict(complete=False, evidence="waiting", reason=reason, look_again_at=again)
            site.ledger.holdings.wait_until(series_instance_uid, waiting)
    for study_instance_uid in site.ledger.work.waiting(clock.now()):
        look_at_study(site, study_instance_uid, clock.now())


def _look_at(site: Site, series_instance_uid: str, sources: Sources, clock: Clock) -> None:
    """Judges one series."""
    held = site.ledger.holdings.held(series_instance_uid)
    if held is None:
        return
    now = clock.now()
    verdict = judge(evidence(held, sources, clock.since), site.config.complete, now)
    if verdict.complete:
        complete(site, held, verdict, now)
    else:
        site.ledger.holdings.wait_until(series_instance_uid, verdict)


def evidence(held: Held, sources: Sources, since: datetime) -> Evidence:
    """What the ledger holds of a series, as evidence of its completeness.

    A source that is asked for counts, and answers, will give one.
    """
    asked = sources.answer({one.calling_ae_title for one in held.associations})
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
        promised=held.promised or ("count" if asked else ""),
        listening_since=since,
        refused_beside=held.refused_beside,
        reopened=held.revision > 1,
    )


def complete(site: Site, held: Held, verdict: Verdict, now: datetime) -> None:
    """Marks a series complete, queues a job for each route that fires, and looks at routes of its study."""
    facts, _answers = known(site, held.series_instance_uid, held.fields)
    explanations = match(facts, site.config.routes)
    of_the_study = [route.name for route in site.config.routes if route.series and not facts.own]
    if of_the_study:  # also where this life ends before it has looked
        site.ledger.work.wait(facts.study_instance_uid, dict.fromkeys(of_the_study, now))
    queued = site.ledger.work.complete(
        held.series_instance_uid,
        held.revision,
        verdict,
        [new_job(site.config, facts, one, now) for one in explanations if one.matched],
        now,
        [one.as_json() for one in explanations],
        [_no_more(held, one) for one in explanations if not one.matched] if held.revision > 1 else (),
    )
    log.info(
        "series_complete",
        series_instance_uid=held.series_instance_uid,
        revision=held.revision,
        images=facts.images,
        evidence=verdict.evidence,
        jobs=len(queued),
    )
    if of_the_study:
        look_at_study(site, facts.study_instance_uid, now)


def _no_more(held: Held, explanation: Explanation) -> NoMore:
    """What to say of earlier results of a route that does not fire on a series as it is now."""
    why = explanation.brief or explanation.reason
    reason = NO_MORE.format(route=explanation.route, why=f"the series as it is now is not for it: {why}")
    return NoMore(explanation.route, (held.series_instance_uid,), reason, explanation.as_json())


def known(
    site: Site, series_instance_uid: str, fields: Sequence[Mapping[str, Any]]
) -> tuple[SeriesFacts, tuple[Answer, ...]]:
    """A series' facts with what was understood of it."""
    return know(site.ledger.holdings.facts(series_instance_uid), fields, site.config.understanding)


def new_job(config: Config, facts: SeriesFacts, explanation: Explanation, now: datetime) -> NewJob:
    """The job that a route of one series asks for."""
    series = {"image": facts.series_instance_uid}
    return _new_job(config, facts, series, explanation.route, explanation.as_json(), now)


def new_study_job(config: Config, first: SeriesFacts, explanation: StudyExplanation, now: datetime) -> NewJob:
    """The job that a route of several series asks for; its results are of the first's study and patient."""
    made = _new_job(config, first, explanation.series, explanation.route, explanation.as_json(), now)
    return replace(made, missing=explanation.reason if explanation.stands == "missing" else None)


def _new_job(
    config: Config,
    facts: SeriesFacts,
    series: Mapping[str, str],
    name: str,
    explanation: Mapping[str, Any],
    now: datetime,
) -> NewJob:
    (route,) = (one for one in config.routes if one.name == name)
    return NewJob(
        route=route.name,
        pipeline=route.run,
        series=series,
        destinations=route.send,
        priority=priority(route, facts),
        explanation=explanation,
        shadow=route.shadow,
        not_before=not_before(route, now.astimezone()),
    )


def look_at_study(site: Site, study_instance_uid: str, now: datetime) -> None:
    """Queues what routes of several series ask for, or notes how long they wait for the rest."""
    study = []
    for uid, at in site.ledger.holdings.complete_in_study(study_instance_uid):
        facts, _answers = known(site, uid, site.ledger.holdings.fields(uid))
        study.append(Complete(facts, at))
    again: dict[str, datetime] = {}
    for route in site.config.routes:
        if not route.series:
            continue
        explanation = match_study(study, route, now)
        if explanation.look_again_at is not None:
            again[route.name] = explanation.look_again_at
        else:
            _act(site, study, explanation, now)
    site.ledger.work.wait(study_instance_uid, again)


def _act(site: Site, study: Sequence[Complete], explanation: StudyExplanation, now: datetime) -> None:
    """Queues what a route that waits no more asks for, and takes back what it said of other series."""
    by_uid = {one.facts.series_instance_uid: one.facts for one in study}
    first = next(iter(explanation.series.values()), None)
    if first is not None:
        site.ledger.work.queue(new_study_job(site.config, by_uid[first], explanation, now), now)
    others = tuple(uid for uid in by_uid if uid != first)
    why = explanation.reason if first is None else "it takes other series of the study now"
    reason = NO_MORE.format(route=explanation.route, why=why)
    site.ledger.work.withdraw(NoMore(explanation.route, others, reason, explanation.as_json()), now)
