"""The form of every measurement: what is run when, and what is printed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from bench.harness import OURS, Case, Measured, Unavailable, main, measure, ratio


def counting(log: list[str], name: str, values: list[float]) -> Callable[[], float]:
    """A subject that says when it runs, and gives the next of its values."""
    left = iter(values)

    def run() -> float:
        log.append(name)
        return next(left)

    return run


def test_subjects_are_interleaved_and_none_is_always_first() -> None:
    log: list[str] = []
    subjects = {name: counting(log, name, [1.0] * 3) for name in "abc"}
    measure(Case("x", "s", subjects, "less"), rounds=3)
    assert log == [*"abc", *"bca", *"cab"]


def test_the_median_of_the_rounds_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    def cases(quick: bool) -> Iterator[Case]:
        assert not quick
        yield Case("read", "ms", {OURS: counting([], "", [9.0, 1.0, 2.0])}, "less")

    main(cases, rounds=3, arguments=["--json"])
    row = json.loads(capsys.readouterr().out)
    assert row == {"case": "read", "subject": "dicom-node", "value": 2.0, "unit": "ms"}


def test_a_case_keeps_what_it_needs_open_while_it_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    opened: list[bool] = []

    def cases(quick: bool) -> Iterator[Case]:
        opened.append(True)
        yield Case("a", "s", {OURS: lambda: float(opened[-1])}, "less")
        opened.append(False)

    main(cases, arguments=["--quick", "--json"])
    assert json.loads(capsys.readouterr().out)["value"] == 1.0
    assert opened == [True, False]


def test_a_peer_that_is_not_installed_is_left_out_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    def absent() -> float:
        raise Unavailable("storescp is not installed")

    case = Case("receive", "images/s", {"storescp": absent, OURS: lambda: 5.0}, "more")
    main(lambda _quick: [case], arguments=["--json"])
    printed = capsys.readouterr()
    assert [json.loads(line)["subject"] for line in printed.out.splitlines()] == [OURS]
    assert printed.err == "receive: storescp left out: storescp is not installed\n"


def test_a_failure_of_a_subject_is_no_result() -> None:
    with pytest.raises(ZeroDivisionError):
        measure(Case("x", "s", {OURS: lambda: 1 / 0}, "less"), rounds=1)


@pytest.mark.parametrize(("better", "expected"), [("more", 4.0), ("less", 0.25)])
def test_the_ratio_says_how_many_times_better_ours_is(better: str, expected: float) -> None:
    case = Case("x", "u", {}, better)  # type: ignore[arg-type]  # a parameter, not a literal
    ours, peer = Measured(case, OURS, (8.0,)), Measured(case, "peer", (2.0,))
    assert ratio(peer, ours) == expected
    assert ratio(ours, ours) == 1.0


def test_the_table_shows_both_and_their_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    case = Case("receive", "images/s", {OURS: lambda: 700.0, "orthanc": lambda: 280.0}, "more")
    main(lambda _quick: [case], arguments=["--quick"])
    rows = capsys.readouterr().out.splitlines()
    assert any("dicom-node" in row and "700" in row for row in rows)
    assert any("orthanc" in row and "280" in row and "2.50 x" in row for row in rows)
