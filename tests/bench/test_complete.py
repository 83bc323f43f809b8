"""Simulated scanner days, in short: where there is evidence, nothing fires early."""

from __future__ import annotations

import random

import pytest

from bench.arrivals import arrive, habits
from bench.complete import CLASSES, OURS, early, fires, waits
from bench.complete_plot import plot, read, table

DAYS = 40


@pytest.mark.parametrize("sender", ["proof", "association and geometry", "association alone"])
def test_nothing_fires_early_where_there_is_evidence(sender: str) -> None:
    assert early(fires(sender, OURS, DAYS)) == 0.0
    assert early(fires(sender, "timer of 5 s", DAYS)) > 0.0


def test_a_released_association_with_whole_geometry_waits_for_its_settle_time_only() -> None:
    found = waits(fires("association and geometry", OURS, DAYS))
    assert found[len(found) // 2] < 1.5


def test_without_evidence_quiet_time_is_early_less_often_than_a_short_timer() -> None:
    ours = early(fires("quiet time alone", OURS, DAYS))
    assert ours < early(fires("quiet time alone", "timer of 5 s", DAYS)) / 5


@pytest.mark.parametrize("sender", list(CLASSES))
def test_arrivals_are_in_order(sender: str) -> None:
    draw = random.Random(3)
    for _ in range(20):
        arrival = arrive(draw, CLASSES[sender](draw))
        assert list(arrival.images) == sorted(arrival.images)
        assert all(start < end for start, end, _ in arrival.associations)
        assert arrival.associations[-1][1] > arrival.images[-1]
        held = sum(
            any(start <= one <= end for start, end, _ in arrival.associations) for one in arrival.images
        )
        assert held == len(arrival.images)


def test_a_sender_that_sends_at_once_never_pauses() -> None:
    draw = random.Random(5)
    sender = habits(draw, proof=False, at_once=True, whole=True)
    assert {arrive(draw, sender).longest_pause for _ in range(50)} == {0.0}


def test_the_table_and_the_plot_name_every_subject() -> None:
    lines = [
        f'{{"case": "proof: {name}", "subject": "{subject}", "value": 1.5, "unit": "s"}}'
        for subject in (OURS, "timer of 5 s")
        for name in ("early", "in doubt", "median wait", "95th percentile of wait")
    ]
    live = '{"case": "running node: start", "subject": "dicom-node", "value": 1.1, "unit": "s"}'
    figures = read([*lines, live])
    assert "| proof | dicom-node | 1.50 | 1.50 | 1.5 | 1.5 |" in table(figures)
    assert plot(figures).count("<circle") == 2
