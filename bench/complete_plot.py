"""Turns `python -m bench.complete --json` into a plot (SVG, the argument) and a table (Markdown, printed)."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench.harness import OURS
from bench.live import LIVE

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 420, 70, 60
LINE = 16
OUR_COLOR, TIMER_COLOR = "#0072b2", "#d55e00"
LONGEST_WAIT, RAREST, COMMONEST = 70.0, 0.1, 300.0
"""Ends of the axes: seconds; early fires in 1000 series, where none stands on the rarest's line."""
Figures = Mapping[tuple[str, str], Mapping[str, float]]
"""By sender class and subject: what was measured, by its name."""


def read(lines: Iterable[str]) -> Figures:
    """The figures of a run of the bench; what it measured on a running node is left out."""
    figures: dict[tuple[str, str], dict[str, float]] = {}
    for row in map(json.loads, lines):
        sender, _, name = row["case"].rpartition(": ")
        if sender != LIVE:
            figures.setdefault((sender, row["subject"]), {})[name] = row["value"]
    return figures


def table(figures: Figures) -> str:
    """The figures as Markdown, one line a class and subject."""
    rows = [
        "| senders | policy | early, in 1000 | in doubt, in 1000 | median wait, s | 95th percentile, s |",
        "|---|---|---|---|---|---|",
    ]
    for (sender, subject), found in figures.items():
        waits = f"{found['median wait']:.1f} | {found['95th percentile of wait']:.1f}"
        rows.append(f"| {sender} | {subject} | {found['early']:.2f} | {found['in doubt']:.2f} | {waits} |")
    return "\n".join(rows)


def plot(figures: Figures) -> str:
    """Early fires over the median wait: below and to the left is better."""
    points: list[tuple[float, float, str, str]] = []
    timers: dict[str, tuple[float, float]] = {}
    for (sender, subject), found in figures.items():
        wait, early = found["median wait"], found["early"]
        if subject == OURS:
            points.append((wait, early, OUR_COLOR, sender))
        else:
            timers[subject] = wait, max(early, timers.get(subject, (wait, 0.0))[1])
    points += [(wait, early, TIMER_COLOR, subject) for subject, (wait, early) in timers.items()]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([f'{head} font-size="13">', paper, _axes(), *_points(points), "</svg>\n"])


def _points(points: Sequence[tuple[float, float, str, str]]) -> Iterator[str]:
    """Dots, and labels that are moved up until they lie on no other."""
    taken: list[tuple[float, float, float]] = []
    for wait, early, color, label in points:
        x, y = _x(wait), _y(early)
        left, base = x + 9, y - 6
        right = left + 7 * len(label)
        while any(abs(base - other) < LINE and left < end and start < right for start, end, other in taken):
            base -= LINE
        taken.append((left, right, base))
        yield f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="{color}"/>'
        yield f'<path d="M{x:.0f} {y:.0f}L{left - 2:.0f} {base - 4:.0f}" stroke="{color}"/>'
        yield f'<text x="{left:.0f}" y="{base:.0f}" fill="{color}">{escape(label)}</text>'


def _x(wait: float) -> float:
    return LEFT + (WIDTH - LEFT - 110) * wait / LONGEST_WAIT


def _y(early: float) -> float:
    share = math.log(max(early, RAREST) / RAREST) / math.log(COMMONEST / RAREST)
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 30) * share


def _axes() -> str:
    marks = [f'<path d="M{LEFT} 25V{_y(RAREST):.0f}H{WIDTH - 20}" fill="none" stroke="black"/>']
    marks += [
        f'<text x="{_x(wait):.0f}" y="{HEIGHT - 38}" text-anchor="middle">{wait}</text>'
        for wait in range(0, int(LONGEST_WAIT) + 1, 10)
    ]
    for early in (RAREST, 1.0, 10.0, 100.0):
        label = "none" if early == RAREST else f"{early:g}"
        marks.append(f'<text x="{LEFT - 8}" y="{_y(early) + 4:.0f}" text-anchor="end">{label}</text>')
        marks.append(f'<path d="M{LEFT} {_y(early):.0f}H{WIDTH - 20}" stroke="#ddd"/>')
    marks.append(f'<text x="{WIDTH / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">median wait, s</text>')
    marks.append(
        f'<text x="{LEFT}" y="16">early fires in 1000 series: blue the node, by senders; red timers</text>'
    )
    return "\n".join(marks)


if __name__ == "__main__":
    found = read(sys.stdin)
    Path(sys.argv[1]).write_text(plot(found), encoding="utf-8")
    print(table(found))
