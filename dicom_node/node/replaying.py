"""Runs rules over past traffic: what each route made of a series then, and what it makes of it now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from dicom_node.config import Config, RouteConfig
from dicom_node.ledger import NewJob, PastJob, PastSeries
from dicom_node.node.completing import new_job, new_study_job
from dicom_node.node.site import Site
from dicom_node.records import SeriesFacts
from dicom_node.route import Complete, Explanation, know, match, match_study

Change = Literal["starts", "stops", "differs", "stays", "neither"]


@dataclass(frozen=True, slots=True)
class Firing:
    """What a route made of a series, or of a study, at one time.

    Attributes:
        reason: why it fired or didn't, in a few words; it may hold values of the header.
        pipeline: what it ran, or would run. destinations: where its results go.
        shadow: its results are kept only.
    """

    fired: bool
    reason: str
    pipeline: str = ""
    destinations: tuple[str, ...] = ()
    shadow: bool = False

    @property
    def words(self) -> str:
        """What it does, for people."""
        if not self.fired:
            return "does not run"
        where = "in shadow" if self.shadow else f"to {', '.join(self.destinations) or 'nobody'}"
        return f"runs {self.pipeline} {where}"


GONE = Firing(fired=False, reason="no such route")


@dataclass(frozen=True, slots=True)
class Replayed:
    """A route on a series, or on the series of a study, then and now.

    Attributes:
        series_instance_uid: the first of several.
        new: the job that the rules ask for now; None where they ask for none.
    """

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    images: int
    route: str
    then: Firing
    now: Firing
    new: NewJob | None = None

    @property
    def change(self) -> Change:
        """What the rules would change."""
        if self.then.fired != self.now.fired:
            return "starts" if self.now.fired else "stops"
        if not self.now.fired:
            return "neither"
        return "stays" if self.then.words == self.now.words else "differs"


def replay(
    site: Site,
    rules: Config,
    since: datetime,
    until: datetime,
    only: Callable[[SeriesFacts], bool] = lambda _facts: True,
) -> Iterator[Replayed]:
    """Weighs rules against every series that became complete in a span of time. Changes nothing.

    Args:
        site: whose traffic it was.
        rules: the configuration with the routes, and with what the site has taught.
        since: aware; included.
        until: aware; excluded.
        only: which series; a study counts by any of its series.

    Yields:
        Each series with each route of one series, in their order; after the last series of a study, the
        study with each route of several.
    """
    past = site.ledger.past.series(since, until)
    last = {one.study_instance_uid: one.series_instance_uid for one in past}
    wanted: set[str] = set()
    for one in past:
        facts = _facts(site, rules, one.series_instance_uid)
        jobs = site.ledger.past.jobs(one.study_instance_uid)
        if only(facts):
            wanted.add(one.study_instance_uid)
            yield from _series(rules, one, facts, [job for job in jobs if not job.study])
        if last[one.study_instance_uid] == one.series_instance_uid and one.study_instance_uid in wanted:
            yield from _study(site, rules, one.study_instance_uid, [job for job in jobs if job.study])


def _facts(site: Site, rules: Config, series_instance_uid: str) -> SeriesFacts:
    holdings = site.ledger.holdings
    fields = holdings.fields(series_instance_uid)
    return know(holdings.facts(series_instance_uid), fields, rules.understanding)[0]


def _series(
    rules: Config, one: PastSeries, facts: SeriesFacts, jobs: Sequence[PastJob]
) -> Iterator[Replayed]:
    """Routes of one series: those that there are, then those that there were."""
    ran = {job.route: job for job in jobs if job.series_instance_uid == one.series_instance_uid}
    before = {kept.route: kept for kept in map(Explanation.from_json, one.explanations)}
    routes = {route.name: route for route in rules.routes if not route.series}
    now = datetime.now(UTC)
    explained = {made.route: made for made in match(facts, routes.values())}
    for name in dict.fromkeys([*routes, *before, *ran]):
        made = explained.get(name)
        new = new_job(rules, facts, made, now) if made is not None and made.matched else None
        yield Replayed(
            one.study_instance_uid,
            one.series_instance_uid,
            facts.modality,
            facts.images,
            name,
            _then(ran.get(name), before.get(name)),
            _now(routes[name], made.matched, made.reason) if made is not None else GONE,
            new,
        )


def _study(site: Site, rules: Config, study_instance_uid: str, jobs: Sequence[PastJob]) -> Iterator[Replayed]:
    """Routes of several series, as if their wait were over."""
    complete = site.ledger.holdings.complete_in_study(study_instance_uid)
    study = [Complete(_facts(site, rules, uid), at) for uid, at in complete]
    by_uid: Mapping[str, SeriesFacts] = {each.facts.series_instance_uid: each.facts for each in study}
    ran = {job.route: job for job in jobs}
    routes = {route.name: route for route in rules.routes if route.series}
    now = datetime.now(UTC)
    for name in dict.fromkeys([*routes, *ran]):
        made = match_study(study, routes[name], now) if name in routes else None
        uids = list(made.series.values()) if made is not None else []
        first = by_uid[next(iter(uids or by_uid))]
        fires = made is not None and made.stands in {"ready", "missing"}
        yield Replayed(
            study_instance_uid,
            first.series_instance_uid,
            "+".join(by_uid[uid].modality for uid in uids) or first.modality,
            sum(by_uid[uid].images for uid in uids) or first.images,
            name,
            _then(ran.get(name), None),
            _now(routes[name], fires, made.reason) if made is not None else GONE,
            new_study_job(rules, first, made, now) if made is not None and fires else None,
        )


def _then(job: PastJob | None, explanation: Explanation | None) -> Firing:
    if job is not None:
        return Firing(True, job.reason, job.pipeline, job.destinations, job.shadow)
    if explanation is None:
        return GONE
    return Firing(False, explanation.reason)


def _now(route: RouteConfig, fired: bool, reason: str) -> Firing:
    return Firing(True, reason, route.run, route.send, route.shadow) if fired else Firing(False, reason)
