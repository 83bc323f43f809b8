"""Routes that ask for several series of a study, each in its role: which there are, and how long to wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from dicom_node.config.models import RouteConfig
from dicom_node.records import SeriesFacts
from dicom_node.route.explanation import Explanation
from dicom_node.route.match import explain

Stands = Literal["ready", "waiting", "missing", "no"]


@dataclass(frozen=True, slots=True)
class Complete:
    """A series of the study that is complete, and since when."""

    facts: SeriesFacts
    at: datetime


@dataclass(frozen=True, slots=True)
class StudyExplanation:
    """What a route of several series made of a study.

    Attributes:
        stands: "ready" (run now), "waiting" (for the missing roles, until `look_again_at`), "missing"
            (the wait is over without a role that is needed) or "no" (no series is for this route).
        series: Series Instance UID by role.
        missing: roles without a series.
        candidates: by role, what was made of each series.
    """

    route: str
    stands: Stands
    reason: str
    series: Mapping[str, str]
    missing: tuple[str, ...] = ()
    look_again_at: datetime | None = None
    candidates: Mapping[str, tuple[tuple[str, Explanation], ...]] | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain values, to be kept."""
        at = self.look_again_at.isoformat() if self.look_again_at else None
        return asdict(self) | {"look_again_at": at}


def match_study(study: Sequence[Complete], route: RouteConfig, now: datetime) -> StudyExplanation:
    """Finds a series for each role of a route.

    Of several that fit a role, the one with most images is taken, then the one with the lowest Series
    Number, then by UID; none is taken in two roles. Roles that fewer series fit choose first.

    Args:
        study: the complete series of one study, in any order.
        route: one with `series`.
        now: aware.
    """
    by_uid = {one.facts.series_instance_uid: one for one in study}
    candidates = {role: tuple(_candidates(study, route, role)) for role in route.series}
    fitting = {role: [uid for uid, why in all_ if why.matched] for role, all_ in candidates.items()}
    chosen = _choose(fitting, by_uid)
    missing = tuple(role for role in route.series if role not in chosen)
    began = min((by_uid[uid].at for uid in chosen.values()), default=now)
    stands, reason = _judge(route, chosen, missing, now - began)
    over = began + timedelta(seconds=route.wait)
    return StudyExplanation(
        route=route.name,
        stands=stands,
        reason=reason,
        series=chosen,
        missing=missing,
        look_again_at=over if stands == "waiting" else None,
        candidates=candidates,
    )


def _judge(
    route: RouteConfig, chosen: Mapping[str, str], missing: Sequence[str], waited: timedelta
) -> tuple[Stands, str]:
    if not chosen:
        return "no", "no series of the study is for this route"
    found, lacks = ", ".join(chosen), ", ".join(missing)
    if not missing:
        return "ready", f"all are there: {found}"
    if waited < timedelta(seconds=route.wait):
        return "waiting", f"{found} found; waiting up to {route.wait:g} s for {lacks}"
    needed = [role for role in missing if not route.series[role].optional]
    if needed:
        return "missing", f"after {route.wait:g} s there is no {', '.join(needed)}"
    return "ready", f"{found} found; goes on without {lacks} after {route.wait:g} s"


def _candidates(
    study: Sequence[Complete], route: RouteConfig, role: str
) -> Iterable[tuple[str, Explanation]]:
    for one in study:
        yield one.facts.series_instance_uid, explain(one.facts, route, route.series[role].when)


def _choose(fitting: Mapping[str, Sequence[str]], by_uid: Mapping[str, Complete]) -> dict[str, str]:
    """One series for each role, the choosiest role first; in the order of the roles."""
    chosen: dict[str, str] = {}
    for role in sorted(fitting, key=lambda name: len(fitting[name])):
        free = [by_uid[uid].facts for uid in fitting[role] if uid not in chosen.values()]
        if free:
            chosen[role] = min(free, key=_rank).series_instance_uid
    return {role: chosen[role] for role in fitting if role in chosen}


def _rank(facts: SeriesFacts) -> tuple[int, float, str]:
    number = facts.header.get("SeriesNumber")
    return (
        -facts.frames,
        number if isinstance(number, int | float) else float("inf"),
        facts.series_instance_uid,
    )
