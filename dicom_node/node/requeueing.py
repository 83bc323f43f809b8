"""Queues what new rules ask for on past traffic: nothing twice, and nothing to a destination that has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from dicom_node.config import Config
from dicom_node.errors import Permanent
from dicom_node.ledger import NewJob
from dicom_node.node.negotiating import takers
from dicom_node.node.outcomes import addressed, kept
from dicom_node.node.replaying import Replayed
from dicom_node.node.site import Site

log = structlog.get_logger()
BEHIND = -10_000
"""Added to a replayed job's priority: it runs when no new study waits."""


@dataclass
class Requeued:
    """What was done.

    Attributes:
        queued: jobs that the workers will run.
        owed: results of earlier runs, owed to destinations that did not have them.
        held: jobs that had run, and of which nobody lacks anything.
        reopened: series that are arriving again: they are routed by themselves.
    """

    queued: int = 0
    owed: int = 0
    held: int = 0
    reopened: int = 0

    @property
    def words(self) -> str:
        """For people."""
        told = [f"jobs queued: {self.queued}", f"results of earlier runs owed to destinations: {self.owed}"]
        if self.held:
            told.append(f"run before, with results that nobody lacks: {self.held}")
        if self.reopened:
            told.append(f"not queued, as their series is arriving again: {self.reopened}")
        return "; ".join(told)


def requeue(site: Site, rules: Config, changes: Iterable[Replayed]) -> Requeued:
    """Queues the jobs of routes that start, or differ, under the rules that were replayed.

    A job that ran before is not run again: its kept results go to those who lack them. A route in shadow
    delivers nothing. What a route does no more stays where it was sent.

    Raises:
        Permanent: the site's conf.yaml lacks a route, its pipeline, or a destination of its, or has others.
    """
    asked = [one.new for one in changes if one.change in {"starts", "differs"} and one.new is not None]
    _refuse_others(site, rules, asked)
    done = Requeued()
    for new in asked:
        _requeue(site, replace(new, priority=new.priority + BEHIND), done)
    log.info("replayed", queued=done.queued, owed=done.owed, held=done.held, reopened=done.reopened)
    return done


def _requeue(site: Site, new: NewJob, done: Requeued) -> None:
    now = datetime.now(UTC)
    job_id, queued = site.ledger.past.requeue(new, now)
    if job_id is None:
        done.reopened += 1
    elif queued:
        done.queued += 1
    else:
        owed = 0 if new.shadow else _owe(site, job_id, new, now)
        done.owed += owed
        done.held += not owed


def _owe(site: Site, job_id: str, new: NewJob, now: datetime) -> int:
    """Owes what a job made to the destinations that lack it."""
    outcome = kept(site.spool, job_id)
    if outcome is None:
        return 0
    outcome = addressed(outcome, takers(site, new.destinations))
    return site.ledger.past.owe(job_id, outcome.results, new.destinations, now)


def _refuse_others(site: Site, rules: Config, asked: Sequence[NewJob]) -> None:
    """What is queued runs as the site's own rules say: those that were replayed must be the same."""
    config, lacks = site.config, []
    wanted: tuple[tuple[str, set[str], Mapping[str, object], Mapping[str, object]], ...] = (
        ("route", {new.route for new in asked}, _by_name(rules), _by_name(config)),
        ("pipeline", {new.pipeline for new in asked}, rules.pipelines, config.pipelines),
    )
    for kind, names, new, own in wanted:
        lacks += [f"no {kind} {name}" for name in sorted(names - set(own))]
        lacks += [f"another {kind} {name}" for name in sorted(names & set(own)) if new[name] != own[name]]
    destinations = {name for new in asked for name in new.destinations}
    lacks += [f"no destination {name}" for name in sorted(destinations - set(config.destinations))]
    if asked and rules.understanding != config.understanding:
        lacks.append("another section understanding")
    if lacks:
        raise Permanent(f"{site.config_path} has {', '.join(lacks)}: put the new rules in force first")


def _by_name(config: Config) -> dict[str, object]:
    return {route.name: route for route in config.routes}
