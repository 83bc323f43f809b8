"""Several cases in one pass: each gets its own answer, whatever another one does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from dicom_node.errors import Cancelled, ModelFailed, ModelUnavailable, NodeError, OutOfResources
from dicom_node.infer.engine import Engine
from dicom_node.pipeline import Case, Finding, NotApplicable, Options, Pipeline, Requirements
from tests.infer.cases import lung_findings, make_case


class Counted(Pipeline):
    """Notes the mean of each case of a pass; some passes fail."""

    name, version, title = "counted", "1", "Counted"
    requires = Requirements(modality=("CT",))
    most = 99
    """More at once than this do not fit into memory."""

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.passes: list[list[int]] = []

    def run(self, case: Case) -> Iterable[Finding]:
        [findings] = self.run_many([case])
        return findings

    def run_many(self, cases: Sequence[Case]) -> Iterable[Iterable[Finding]]:
        numbers = [int(case.volume.array.mean()) for case in cases]
        self.passes.append(numbers)
        for case in cases:
            case.progress(0.5)
        if len(cases) > self.most:
            raise MemoryError
        if 13 in numbers:
            raise ValueError("an unlucky case")
        return [self._found(number, case) for number, case in zip(numbers, cases, strict=True)]

    def _found(self, number: int, case: Case) -> list[Any]:
        return [] if number == 7 else [NotApplicable(f"{number} of {case.volume.array.mean():g}")]


def case_of(number: int, modality: str = "CT", progress: Callable[[float], None] | None = None) -> Case:
    made = make_case(np.full((2, 3, 4), number, np.float32), {"Modality": modality})
    return made if progress is None else Case(made.inputs, progress)


def cancelled_after(calls: int) -> Callable[[float], None]:
    """As a job that is cancelled at some time; told once, as the ledger may be asked once a second."""
    left = [calls]

    def progress(_fraction: float) -> None:
        left[0] -= 1
        if left[0] == -1:
            raise Cancelled("the job was taken back")

    return progress


def told(answers: Sequence[object]) -> list[str]:
    """Answers in words."""
    return [
        type(answer).__name__ if isinstance(answer, NodeError) else answer[0].reason  # type: ignore[index]
        for answer in answers
    ]


def run(pipeline: Pipeline, *cases: Case) -> list[str]:
    return told(Engine({"it": pipeline}, "cpu").run_many("it", cases))


def test_each_case_gets_its_own_answer_from_one_pass() -> None:
    pipeline = Counted()
    assert run(pipeline, *map(case_of, (1, 2, 3))) == ["1 of 1", "2 of 2", "3 of 3"]
    assert pipeline.passes == [[1, 2, 3]]
    assert run(pipeline, case_of(4)) == ["4 of 4"]
    assert run(pipeline) == []


def test_what_does_not_apply_takes_no_part() -> None:
    pipeline = Counted()
    answers = run(pipeline, case_of(1), case_of(2, "MR"), case_of(3))
    assert answers == ["1 of 1", "Modality is MR, needed is CT", "3 of 3"]
    assert pipeline.passes == [[1, 3]]


def test_what_breaks_its_contract_fails_alone() -> None:
    pipeline = Counted()
    assert run(pipeline, *map(case_of, (1, 7, 3))) == ["1 of 1", "ModelFailed", "3 of 3"]
    assert len(pipeline.passes) == 1


def test_what_spoils_a_pass_fails_alone_and_says_why() -> None:
    pipeline = Counted()
    with capture_logs() as logs:
        answers = Engine({"it": pipeline}, "cpu").run_many("it", list(map(case_of, (1, 2, 13, 4))))
    assert told(answers) == ["1 of 1", "2 of 2", "ModelFailed", "4 of 4"]
    assert "ValueError: an unlucky case" in str(answers[2])
    assert pipeline.passes == [[1, 2, 13, 4], [1, 2], [13, 4], [13], [4]]
    assert [one["cases"] for one in logs if one["event"] == "pass_failed"] == [4, 2]


def test_the_pass_that_fits_into_memory_is_found() -> None:
    pipeline = Counted()
    pipeline.most = 2
    assert run(pipeline, *map(case_of, range(20, 25))) == [f"{n} of {n}" for n in range(20, 25)]
    assert list(map(len, pipeline.passes)) == [5, 3, 2, 1, 2]
    pipeline.most = 0
    assert run(pipeline, *map(case_of, (1, 2))) == [OutOfResources.__name__] * 2


@pytest.mark.parametrize("calls", [0, 1], ids=["before", "in the pass"])
def test_a_case_that_is_cancelled_leaves_the_others(calls: int) -> None:
    pipeline = Counted()
    gone = case_of(2, progress=cancelled_after(calls))
    assert run(pipeline, case_of(1), gone, case_of(3)) == ["1 of 1", "Cancelled", "3 of 3"]
    assert pipeline.passes == [[1, 2, 3]] if calls else [[1, 3]]


def test_a_pass_whose_cases_are_all_cancelled_ends() -> None:
    pipeline = Counted()
    both = [case_of(number, progress=cancelled_after(1)) for number in (1, 2)]
    assert run(pipeline, *both) == ["Cancelled", "Cancelled"]
    assert pipeline.passes == [[1, 2]]


def test_a_case_that_is_cancelled_in_a_pass_that_fails_is_not_tried_again() -> None:
    pipeline = Counted()
    gone = case_of(2, progress=cancelled_after(1))
    assert run(pipeline, case_of(13), gone, case_of(3)) == ["ModelFailed", "Cancelled", "3 of 3"]
    assert pipeline.passes == [[13, 2, 3], [13], [3]]


class Few(Counted):
    """Forgets the last case of several."""

    def run_many(self, cases: Sequence[Case]) -> Iterable[Iterable[Finding]]:
        return list(super().run_many(cases))[: len(cases) - 1 or 1]


def test_a_pass_that_does_not_answer_each_counts_for_none() -> None:
    pipeline = Few()
    assert run(pipeline, *map(case_of, (1, 2, 3))) == ["1 of 1", "2 of 2", "3 of 3"]


class Absent(Counted):
    def load(self, device: str) -> None:  # noqa: ARG002 - the interface
        raise ModelUnavailable("there is no such folder")


def test_a_model_that_can_not_be_loaded_is_told_to_each() -> None:
    pipeline = Absent()
    assert run(pipeline, *map(case_of, (1, 2, 3))) == [ModelUnavailable.__name__] * 3
    assert pipeline.passes == []


class Plain(Pipeline):
    """Knows nothing of passes."""

    name, version, title = "plain", "1", "Plain"

    def run(self, case: Case) -> Iterable[Finding]:
        if case.volume.array.mean() == 13:
            raise ValueError("an unlucky case")
        return lung_findings(case)


def test_a_pipeline_without_passes_runs_one_after_the_other() -> None:
    answers = Engine({"it": Plain()}, "cpu").run_many("it", list(map(case_of, (1, 13, 3))))
    assert [type(answer) for answer in answers] == [list, ModelFailed, list]
