"""The status page as HTML: made here, with nothing to load from elsewhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from dicom_node.web.status import Status

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def render(status: Status) -> str:
    """The whole page; every value is escaped."""
    return _template().render(status=status, ago=lambda moment: ago(moment, status.at))


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, or how soon, in words: "3 min ago", "in 20 s"; empty where there is no time."""
    if moment is None:
        return ""
    distance = abs(now - moment)
    if distance < timedelta(seconds=1):
        return "now"
    seconds = int(distance.total_seconds())
    text = next(f"{seconds // size} {unit}" for unit, size in _UNITS if seconds >= size)
    return f"{text} ago" if moment < now else f"in {text}"


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("dicom_node.web", "."), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("status.html")
