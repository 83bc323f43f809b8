"""How urgent a route's job is, and when it may start."""

from __future__ import annotations

from datetime import datetime, timedelta

from dicom_node.config.models import RouteConfig, WindowConfig
from dicom_node.config.types import ALL_DAYS
from dicom_node.records import SeriesFacts

URGENCY = {"STAT": 1000, "HIGH": 100, "LOW": -100}
"""What Requested Procedure Priority (0040,1003) adds; ROUTINE, MEDIUM and silence add nothing."""
_WEEK = 7


def priority(route: RouteConfig, facts: SeriesFacts) -> int:
    """The route's priority, and the request's on top of it, from the header or its request attributes."""
    return route.priority + max((URGENCY.get(one, 0) for one in _requested(facts)), key=abs, default=0)


def not_before(route: RouteConfig, now: datetime) -> datetime:
    """The first moment, from now on, at which a job of a route may start.

    Args:
        route: with its `hours`.
        now: aware, in the zone by whose clock the windows are meant.
    """
    if not route.hours:
        return now
    return min(_next(window, now) for window in route.hours)


def _next(window: WindowConfig, now: datetime) -> datetime:
    """Now, if the window is open, else its next start; yesterday's may still be open after midnight."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for days in range(-1, _WEEK + 1):
        day = midnight + timedelta(days=days)
        if ALL_DAYS[day.weekday()] not in window.days:
            continue
        start = day.replace(hour=window.start.hour, minute=window.start.minute, second=window.start.second)
        end = day.replace(hour=window.end.hour, minute=window.end.minute, second=window.end.second)
        if end <= start:
            end += timedelta(days=1)
        if now < end:
            return max(now, start)
    return now


def _requested(facts: SeriesFacts) -> list[str]:
    items = [facts.header, *(facts.header.get("RequestAttributesSequence") or ())]
    return [
        str(item.get("RequestedProcedurePriority") or "").upper() for item in items if hasattr(item, "get")
    ]
