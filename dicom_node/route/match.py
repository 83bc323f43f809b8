"""Matches a series against the site's routes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dicom_node.config.models import RouteConfig
from dicom_node.config.when import ALWAYS, AllOf, Condition
from dicom_node.records import SeriesFacts
from dicom_node.route.brief import brief
from dicom_node.route.explanation import Explanation, Weighed
from dicom_node.route.weigh import weigh

OWN = "a result of this node is never routed"


def match(facts: SeriesFacts, routes: Iterable[RouteConfig]) -> tuple[Explanation, ...]:
    """Explains, for each route of one series in turn, whether it takes the series. Several may.

    Routes of several series are left to `match_study`. A result of this node is taken by none, whatever
    the rules say: it would come back as input for ever.
    """
    return tuple(explain(facts, route) for route in routes if not route.series)


def explain(facts: SeriesFacts, route: RouteConfig, also: Condition = ALWAYS) -> Explanation:
    """Explains whether a series meets a route's conditions, and some others with them."""
    if facts.own:
        return Explanation(route.name, matched=False, reason=OWN, brief=OWN)
    condition = route.when if also == ALWAYS else AllOf((route.when, also))
    weighed = weigh(condition, facts)
    told = brief(weighed, matched=weighed.held)
    if weighed.held:
        return Explanation(
            route.name, matched=True, reason="every condition holds", weighed=weighed, brief=told
        )
    failed = next(_failed(weighed))
    actual = "absent" if failed.actual is None else failed.actual
    reason = f"{failed.says}: {actual}" if not failed.parts else f"{failed.says} …"
    return Explanation(route.name, matched=False, reason=reason, weighed=weighed, brief=told)


def _failed(weighed: Weighed) -> Iterator[Weighed]:
    """The innermost conditions that decided against, first to last."""
    if weighed.says != "all of":
        yield weighed
        return
    for part in weighed.parts:
        if not part.held:
            yield from _failed(part)
