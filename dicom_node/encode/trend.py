"""Trend plots: measurements beside the same ones of the patient's earlier studies, drawn over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from PIL import Image, ImageDraw

from dicom_node.encode.common import mark
from dicom_node.encode.context import EncodeContext
from dicom_node.encode.earlier import earlier_of, study_date
from dicom_node.encode.lettering import AMBER, GREY, WHITE, width, wrap, write
from dicom_node.encode.wording import change_text, unit_text
from dicom_node.findings import Detection, Finding, Measurement

PAGE = 1024
_TITLE, _TEXT = 38, 28
_TOP, _BOTTOM, _LEFT = 110, 60, 48
_MOST = 4
"""Plots of a page; more measurements are in the report."""
Point = tuple[date, float]


def trend_page(findings: Sequence[Finding], context: EncodeContext) -> Image.Image | None:
    """Draws a page with a plot of each measurement that has earlier values; None where none has."""
    followed = [(about, one) for about, one in _measurements(findings) if series_of(one, context)]
    if not followed:
        return None
    page = Image.new("RGB", (PAGE, PAGE))
    draw = ImageDraw.Draw(page)
    write(draw, (16, 12), f"{context.title}: trend", _TITLE)
    write(draw, (16, 58), mark(context), _TEXT, AMBER)
    shown = followed[:_MOST]
    height = (PAGE - _TOP - _BOTTOM) // len(shown)
    for index, (about, one) in enumerate(shown):
        top = _TOP + index * height
        _plot(draw, about, one, series_of(one, context), (top, top + height))
    if len(followed) > _MOST:
        words = f"... and {len(followed) - _MOST} more measurements: see the report"
        write(draw, (16, PAGE - 12), words, _TEXT, GREY, "ls")
    return page


def series_of(one: Measurement, context: EncodeContext) -> list[Point]:
    """A measurement after its earlier values, by date; empty where there is no earlier one."""
    earlier = earlier_of(one, context)
    return [*earlier, (study_date(context), one.value)] if earlier else []


def _measurements(findings: Sequence[Finding]) -> Iterator[tuple[str, Measurement]]:
    """Every measurement with what it is about; empty: the whole image."""
    for one in findings:
        if isinstance(one, Measurement):
            yield one.segment or "", one
        elif isinstance(one, Detection):
            about = f"{one.name.meaning} {one.tracking_id or ''}".rstrip()
            yield from ((about, each) for each in one.measurements)


def _plot(
    draw: ImageDraw.ImageDraw,
    about: str,
    one: Measurement,
    points: Sequence[Point],
    rows: tuple[int, int],
) -> None:
    """One plot between two rows of the page: a title with the change, a line, dates below it."""
    top, bottom = rows[0] + 2 * _TEXT, rows[1] - 2 * _TEXT
    write(draw, (_LEFT, rows[0] + 8), wrap(_heading(about, one, points), _TEXT, PAGE - 2 * _LEFT)[0], _TEXT)
    places = _places(points, (_LEFT + 60, PAGE - _LEFT - 60), (top + 30, bottom))
    draw.line((_LEFT, bottom + 8, PAGE - _LEFT, bottom + 8), fill=GREY)
    draw.line(places, fill=GREY, width=3)
    free = 0.0
    for (when, value), (x, y) in zip(points, places, strict=True):
        last = when == points[-1][0]
        draw.ellipse((x - 7, y - 7, x + 7, y + 7), fill=AMBER if last else WHITE)
        label = when.strftime("%Y-%m-%d")
        half = width(label, 24) / 2
        if x - half < free and not last:
            continue  # too close to the one before: its dot stands without a date
        write(draw, (x, bottom + 14), label, 24, GREY, "ma")
        write(draw, (x, y - 12), f"{value:.{one.digits}f}", 24, AMBER if last else WHITE, "ms")
        free = x + half + 8


def _heading(about: str, one: Measurement, points: Sequence[Point]) -> str:
    """What is plotted, and by how much it changed since the study before."""
    name = f"{about}: {one.name.meaning}" if about else one.name.meaning
    unit = unit_text(one.unit)
    heading = f"{name}, {unit}" if unit else name
    return f"{heading}: {change_text(one, points[-2])}"


def _places(
    points: Sequence[Point], columns: tuple[int, int], rows: tuple[int, int]
) -> list[tuple[float, float]]:
    """Where each point is drawn: dates to scale from left to right, values to scale upward.

    A fifth of the greatest value is at least the height of a plot, so that noise looks like no change.
    """
    values = [value for _when, value in points]
    days = [(when - points[0][0]).days for when, _value in points]
    span, reach = days[-1], max(max(values) - min(values), max(map(abs, values)) / 5) or 1.0
    return [
        (
            columns[0] + (columns[1] - columns[0]) * day / span,
            rows[1] - (rows[1] - rows[0]) * (value - min(values)) / reach,
        )
        for day, value in zip(days, values, strict=True)
    ]
